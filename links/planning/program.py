"""What the mixed-integer programs have in common: how rows are built, and a solver that is quiet."""

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...outputs import Array


def milp_available() -> bool:
    """Whether SciPy is installed; it comes with `infilink[cloud]` and `infilink[train]`."""
    return importlib.util.find_spec("scipy") is not None


class Rows:
    """The rows of a sparse matrix while it is built, each with its upper limit."""

    def __init__(self) -> None:
        self._limits: list[Array] = []
        self._parts: list[tuple[Array, Array, Array]] = []
        self._count = 0

    def add(self, limits: Array) -> Array:
        """The places of new rows with these limits."""
        self._limits.append(limits)
        self._count += len(limits)
        return np.arange(self._count - len(limits), self._count)

    def set(self, rows: Array, columns: Array, values: Array | float) -> None:
        """Adds entries."""
        self._parts.append((rows, columns, np.broadcast_to(np.asarray(values, np.float64), rows.shape)))

    def matrix(self, columns: int) -> tuple[Any, Array]:
        """The matrix and the limits."""
        from scipy.sparse import csr_array

        rows, at, values = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        return csr_array((values, (rows, at)), shape=(self._count, columns)), np.concatenate(self._limits)


@contextmanager
def silenced() -> Iterator[None]:
    """Sends what C code prints on standard output nowhere: HiGHS has a stray line there, which would break `--json`."""
    library = ctypes.CDLL(None)
    sys.stdout.flush()
    library.fflush(None)
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        library.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
