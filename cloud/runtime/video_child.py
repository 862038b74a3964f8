"""A process that decodes video and sound from the wire: whatever they do to a decoder, only this process can die of it.

Its owner never unpickles what it says: a byte for how it went, and text. Pictures lie in memory that the owner gave.
"""

import mmap
import os
from collections import OrderedDict
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from ...errors import InvalidInput
from ...models.process_child import get, prepare_process
from ...models.shared_memory import SharedArray
from ...outputs import Array
from ...protos.sounds import Codec, decode, read_header
from ...protos.video import PictureReader

DONE, INVALID, NOT_HERE = b"+", b"-", b"?"
"""How a request went; after the second its reason follows, the third says that the chain is not at that place here."""

MOST_KEPT_BYTES = 2**24
"""What is larger of the memory that pictures are given in is not kept for the next one."""
# What the decoders of all chains may take, and how many of them there may be.
_MOST_BYTES, _MOST_CHAINS = 2**28, 256
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_NO_STATM_PICTURES = 6


class PictureRequest(NamedTuple):
    """The next packets of a chain.

    Attributes:
        chain: names it.
        first: the place of the first packet; 0 begins the chain anew.
        packets: at least one.
        out: where the last one's picture goes: uint8 BGR (height, width, 3).
        ended: chains that nothing more comes of.
    """

    chain: int
    first: int
    packets: list[bytes]
    out: SharedArray
    ended: list[int]


class SoundRequest(NamedTuple):
    """A sound.

    Attributes:
        codec: "flac" or "opus".
        payload: its bytes.
        out: where its samples go: int16 (samples,).
    """

    codec: Codec
    payload: bytes
    out: SharedArray


def serve_decoder(pipe: Connection) -> None:
    """The whole life of the process: one request after another until the pipe closes."""
    prepare_process(1)
    server = _Server()
    while True:
        try:
            pipe.send_bytes(server.answer(get(pipe)))
        except (EOFError, OSError):
            return


class _Server:
    """Holds the decoders of the chains that were used last."""

    def __init__(self) -> None:
        self._chains = OrderedDict[int, PictureReader]()
        self._base_bytes = _resident_bytes()
        self._key: tuple[str, int] = "", 0
        self._memory: Array = np.empty(0, np.uint8)

    def answer(self, request: PictureRequest | SoundRequest) -> bytes:
        """How it went."""
        if self._memory.nbytes > MOST_KEPT_BYTES:
            self._key, self._memory = ("", 0), np.empty(0, np.uint8)
        try:
            if isinstance(request, SoundRequest):
                decode(read_header(request.codec, request.payload), self._out(request.out))
                return DONE
            return self._read(request)
        except InvalidInput as error:
            return INVALID + str(error).encode()
        except MemoryError:
            self._chains.clear()
            return INVALID + b"`payload`: takes more memory than there is"

    def _read(self, request: PictureRequest) -> bytes:
        for ended in request.ended:
            self._chains.pop(ended, None)
        reader = self._chains.pop(request.chain, None)
        out = self._out(request.out)
        if not request.first:
            reader = PictureReader(out.shape[1], out.shape[0])
        if reader is None or reader.position != request.first:
            return NOT_HERE
        reader.read(request.packets, out)
        # One that failed is not kept: what it holds is no longer what its owner thinks.
        self._chains[request.chain] = reader
        self._shrink()
        return DONE

    def _shrink(self) -> None:
        while self._chains and (len(self._chains) > _MOST_CHAINS or self._taken_bytes() > _MOST_BYTES):
            self._chains.popitem(last=False)

    def _taken_bytes(self) -> int:
        if self._base_bytes:
            return _resident_bytes() - self._base_bytes
        return sum(_NO_STATM_PICTURES * 3 * each.width * each.height // 2 for each in self._chains.values())

    def _out(self, place: SharedArray) -> Array:
        if self._key != (place.path, place.serial):
            with open(place.path, "r+b") as file:
                self._memory = np.frombuffer(mmap.mmap(file.fileno(), place.size_bytes), np.uint8)
            self._key = place.path, place.serial
        dtype = np.dtype(place.dtype)
        size_bytes = dtype.itemsize * int(np.prod(place.shape, dtype=np.int64))
        out: Array = self._memory[:size_bytes].view(dtype).reshape(place.shape)
        return out


def _resident_bytes() -> int:
    """What this process has in memory of its own; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except OSError:
        return 0
    return (resident - shared) * _PAGE_BYTES
