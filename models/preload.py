"""What the fork server does once on Linux, before it makes any process: imports all that a model's process needs.

It also reads the inference library's code in. Its pages then belong to every process alike: else the first model to
run would be counted with some 10 MB of code that is there anyway, and the next one, beside it, would not.

What it imported is kept out of the garbage collector's sight. A full collection writes to every object there is, and a
page that is written to is shared no longer: one in the fork server or in a process gave a model 11 MB that no
measurement before had shown.

What it took is left in small pages, also where the malloc asks for huge ones: the system makes a huge page of small
ones that are near each other minutes later, for one process, and what it had shared until then it has twice.
"""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from . import process

__all__ = ["process"]


_MADV_NOHUGEPAGE = 15


def _mappings() -> Iterator[tuple[int, int, str, str]]:
    """This process's memory: start, end, permissions and what it is of; empty: of no file."""
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            addresses, permissions, _, _, _, *of = line.split(maxsplit=5)
            start, stop = (int(address, 16) for address in addresses.split("-"))
            yield start, stop, permissions, "".join(of)


def _read_in(library: str) -> None:
    for start, stop, permissions, of in _mappings():
        if library in of and permissions.startswith("r") and "w" not in permissions:
            ctypes.string_at(start, stop - start)


def _keep_small() -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "madvise"):
        for start, stop, permissions, of in _mappings():
            if permissions == "rw-p" and of in ("", "[heap]"):
                libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), _MADV_NOHUGEPAGE)


_read_in("/onnxruntime/")
gc.collect()
gc.freeze()
_keep_small()
