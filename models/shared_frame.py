"""A frame in memory that two processes see: copied once, instead of going through a pipe in small pieces."""

import mmap
import os
import tempfile

import numpy as np

from ..outputs import Array


class SharedFrame:
    """The writer's side."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._unnamed = hasattr(os, "memfd_create")
        if self._unnamed:
            # Nothing is left behind, however this process ends.
            self._file = os.memfd_create("infilink-frame")
            self.path = f"/proc/{os.getpid()}/fd/{self._file}"
        else:
            self._file, self.path = tempfile.mkstemp(prefix="infilink-frame-")
        os.ftruncate(self._file, size)
        self._memory = mmap.mmap(self._file, size)
        self._array = np.frombuffer(self._memory, np.uint8)

    def write(self, frame: Array) -> None:
        """Copies a frame in; the other side may read it until the next one is written."""
        np.copyto(self._array[: frame.size].reshape(frame.shape), frame)

    def close(self) -> None:
        """Gives the memory back; the other side's mapping lives until it drops it."""
        del self._array
        self._memory.close()
        os.close(self._file)
        if not self._unnamed:
            os.unlink(self.path)


class FrameReader:
    """The reader's side: maps the memory when it is new."""

    def __init__(self) -> None:
        self._path = ""
        self._array: Array = np.empty(0, np.uint8)

    def read(self, path: str, size: int, shape: tuple[int, ...]) -> Array:
        """The frame that lies in the memory at `path`, not copied."""
        if path != self._path or self._array.size != size:
            with open(path, "rb") as file:
                self._array = np.frombuffer(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ), np.uint8)
            self._path = path
        return self._array[: int(np.prod(shape))].reshape(shape)
