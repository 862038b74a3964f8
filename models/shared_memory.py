"""Arrays in memory that two processes see: copied once, instead of going through a pipe in small pieces."""

import itertools
import mmap
import os
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..outputs import Array

_ALIGN_BYTES = 64
# What a reader keeps mapped: as much as inputs lie in at a time, usually. What it maps takes memory also when its owner
# has given it up.
_MOST_MAPPED, _MOST_MAPPED_BYTES = 128, 2**26
_Key = TypeVar("_Key")
_SERIALS = itertools.count()


class SharedArray(NamedTuple):
    """Where an array lies: what travels in its place.

    Attributes:
        path: names the memory in the file system.
        serial: tells it from another memory that came to have the same name.
        size_bytes: the whole memory's.
        offset: of the array's first byte.
        dtype: numpy's name for it; of an input of several parts, each with its name, type and shape.
        shape: the array's.
    """

    path: str
    serial: int
    size_bytes: int
    offset: int
    dtype: Any
    shape: tuple[int, ...]


class SharedMemory:
    """The owner's side of one memory; it is freed once `close` was called and no view of it is used any more."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = max(1, size_bytes)
        self.serial = next(_SERIALS)
        self._unnamed = hasattr(os, "memfd_create")
        if self._unnamed:
            # Nothing is left behind, however this process ends.
            self._file = os.memfd_create("infilink")
            self.path = f"/proc/{os.getpid()}/fd/{self._file}"
        else:
            self._file, self.path = tempfile.mkstemp(prefix="infilink-")
        os.ftruncate(self._file, self.size_bytes)
        self._bytes = np.frombuffer(mmap.mmap(self._file, self.size_bytes), np.uint8)

    def at(self, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[SharedArray, Array]:
        """An array's place in it, and the array, to be written."""
        told = dtype.str if dtype.names is None else np.lib.format.dtype_to_descr(dtype)
        place = SharedArray(self.path, self.serial, self.size_bytes, offset, told, shape)
        return place, _view(self._bytes, place)

    def close(self) -> None:
        """Gives it up; the other side's mapping lives until it drops it."""
        self._bytes = np.empty(0, np.uint8)
        os.close(self._file)
        if not self._unnamed:
            os.unlink(self.path)


class SharedWriter:
    """Memory that is written anew each time, and grows with what is written; close it in the end."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None

    def write(self, array: Array) -> SharedArray:
        """Copies an array in; the other side may read it until the next ones are written."""
        return self.write_all({"": array})[""]

    def write_all(self, arrays: Mapping[_Key, Array]) -> dict[_Key, SharedArray]:
        """Copies arrays in; the other side may read them until the next ones are written."""
        needed_bytes = sum(padded(array.nbytes) for array in arrays.values())
        if self._memory is None or self._memory.size_bytes < needed_bytes:
            self.close()
            self._memory = SharedMemory(needed_bytes)
        places: dict[_Key, SharedArray] = {}
        offset = 0
        for name, array in arrays.items():
            places[name], target = self._memory.at(offset, array.dtype, array.shape)
            np.copyto(target, array)
            offset += padded(array.nbytes)
        return places

    def close(self) -> None:
        """Gives the memory up."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None


class SharedReader:
    """The other side: maps each memory once, as long as it is used."""

    def __init__(self) -> None:
        self._mapped: OrderedDict[tuple[str, int], Array] = OrderedDict()

    def read(self, place: SharedArray) -> Array:
        """The array that lies there: not copied, and not to be written."""
        key = place.path, place.serial
        memory = self._mapped.get(key)
        if memory is not None:
            self._mapped.move_to_end(key)
            return _view(memory, place)
        # What had the same name before is gone.
        for old in [old for old in self._mapped if old[0] == place.path]:
            del self._mapped[old]
        with open(place.path, "rb") as file:
            memory = np.frombuffer(mmap.mmap(file.fileno(), place.size_bytes, prot=mmap.PROT_READ), np.uint8)
        self._mapped[key] = memory
        # Also this one, if it is that large: it lives as long as what is read of it.
        while len(self._mapped) > _MOST_MAPPED or sum(map(len, self._mapped.values())) > _MOST_MAPPED_BYTES:
            self._mapped.popitem(last=False)
        return _view(memory, place)


def padded(size_bytes: int) -> int:
    """What an array of that size takes among others."""
    return -(-size_bytes // _ALIGN_BYTES) * _ALIGN_BYTES


def _view(memory: Array, place: SharedArray) -> Array:
    dtype = np.dtype(place.dtype) if isinstance(place.dtype, str) else np.lib.format.descr_to_dtype(place.dtype)
    size_bytes = dtype.itemsize * int(np.prod(place.shape, dtype=np.int64))
    return memory[place.offset : place.offset + size_bytes].view(dtype).reshape(place.shape)
