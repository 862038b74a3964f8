"""Decodes video and sound from the wire in processes of their own, which are started anew when one dies or hangs."""

import itertools
import logging
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np

from ...errors import InfilinkError, InvalidInput
from ...models.forked import fork
from ...models.process_child import put
from ...models.shared_memory import SharedArray, SharedMemory
from ...outputs import Array
from ...protos.sounds import Codec
from ...protos.video import most_packets
from .video_child import DONE, MOST_KEPT_BYTES, NOT_HERE, PictureRequest, SoundRequest, serve_decoder

logger = logging.getLogger(__name__)

_MOST_PROCESSES = 4
# A chain of so many pictures as it may have, decoded again from its beginning, takes no longer.
_TIMEOUT_S = 20.0
_MOST_REPLY_BYTES, _MOST_REASON = 2**16, 500
_MOST_CHAIN_BYTES = 2**24
"""What the packets of one chain may take."""


class BrokenChain(InfilinkError):
    """Pictures that an input refers to are not here: its chain is to be sent again from its beginning."""


class Chain:
    """The packets of one chain of pictures, as far as they came; it ends when nobody holds it any more.

    Attributes:
        key: names it in this process.
        width: of its pictures, in pixels.
        height: the same.
        packets: so far; none once they were given up.
        size_bytes: what they take.
        decoded: how many of them a decoder has read, if it is still there.
        failed: why nothing more of it can be decoded; empty: it can.
    """

    def __init__(self, decoders: "VideoDecoders", key: int, width: int, height: int) -> None:
        self._decoders = decoders
        self.key, self.width, self.height = key, width, height
        self.packets: list[bytes] = []
        self.size_bytes = self.decoded = 0
        self.failed = ""

    def __del__(self) -> None:
        """Gives its packets and its decoder up."""
        self._decoders.ended(self)


class VideoDecoders:
    """Keeps the chains of all streams, and decodes them.

    Each keeps its packets: whichever decoder was lost, another is brought to where it was. Those of the chains that
    were used least lately are given up when all together take too much; what refers to them is `BrokenChain`.

    Args:
        processes: how many decode at once; 0: one for each two processors, at most four.
        most_bytes: what the packets of all chains may take.
    """

    def __init__(self, processes: int = 0, *, most_bytes: int = 2**26) -> None:
        count = processes or min(_MOST_PROCESSES, max(1, (os.cpu_count() or 1) // 2))
        self.most_bytes = most_bytes
        self.size_bytes = 0
        self._workers = [_DecoderProcess() for _ in range(count)]
        self._chains = OrderedDict[int, "weakref.ref[Chain]"]()
        self._keys = itertools.count(1)
        # A chain may end wherever Python collects what nobody holds, also in here.
        self._changing = threading.RLock()

    def open(self, width: int, height: int) -> Chain:
        """Begins a chain of pictures of this size, in pixels."""
        with self._changing:
            chain = Chain(self, next(self._keys), width, height)
            self._chains[chain.key] = weakref.ref(chain)
            return chain

    def ended(self, chain: Chain) -> None:
        """Takes note that nobody holds a chain any more."""
        with self._changing:
            self._chains.pop(chain.key, None)
            self._forget(chain)
            if chain.decoded:
                self._worker(chain).ended.append(chain.key)

    def add(self, chain: Chain, packets: Sequence[bytes]) -> None:
        """Adds a chain's next packets.

        Raises:
            InvalidInput: these are more than a chain may have.
        """
        size_bytes = sum(map(len, packets))
        most = most_packets(chain.width, chain.height)
        if len(chain.packets) + len(packets) > most or chain.size_bytes + size_bytes > _MOST_CHAIN_BYTES:
            raise InvalidInput(
                f"`payload.packets`: a chain of {chain.width}x{chain.height} has at most {most} packets, of at most "
                f"{_MOST_CHAIN_BYTES} bytes together"
            )
        with self._changing:
            chain.packets += packets
            chain.size_bytes += size_bytes
            self.size_bytes += size_bytes
            self._chains[chain.key] = weakref.ref(chain)
            self._chains.move_to_end(chain.key)
            while self.size_bytes > self.most_bytes and len(self._chains) > 1:
                oldest = self._chains.popitem(last=False)[1]()
                if oldest is not None:
                    self._forget(oldest)

    def read(self, chain: Chain, place: int, out: Array) -> None:
        """Decodes the picture at a place of a chain; blocks until that is done.

        Args:
            chain: the chain.
            place: of the picture's packet.
            out: uint8 BGR (height, width, 3): where it goes.

        Raises:
            InvalidInput: it can't be decoded.
            BrokenChain: the chain was given up.
        """
        self._worker(chain).read(chain, place, out)

    def read_sound(self, codec: Codec, payload: bytes, out: Array) -> None:
        """Decodes a sound whose header was read; blocks until that is done. Raises InvalidInput."""
        min(self._workers, key=lambda each: each.waiting).read_sound(codec, payload, out)

    def stop(self) -> None:
        """Ends the processes."""
        for worker in self._workers:
            worker.stop()

    def _worker(self, chain: Chain) -> "_DecoderProcess":
        return self._workers[chain.key % len(self._workers)]

    def _forget(self, chain: Chain) -> None:
        self.size_bytes -= chain.size_bytes
        chain.packets, chain.size_bytes = [], 0


class _DecoderProcess:
    """One process, and the memory that it writes to; it is started by the first who needs it.

    Attributes:
        ended: the chains that it can give up.
        waiting: how many requests wait for it.
    """

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.waiting = 0
        self._turn = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection
        self._memory: SharedMemory | None = None

    def read(self, chain: Chain, place: int, out: Array) -> None:
        with self._turn:
            if chain.failed:
                raise InvalidInput(chain.failed)
            ended, self.ended = self.ended, []
            # A picture before the last one that was read: others of its stream were decoded first.
            first = chain.decoded if chain.decoded <= place else 0
            reply = self._read(chain, first, place, out, ended)
            if reply in (NOT_HERE, b""):
                reply = self._read(chain, 0, place, out, ended)
            chain.decoded = place + 1 if reply == DONE else 0
            if reply != DONE:
                chain.failed = _reason(reply)
                raise InvalidInput(chain.failed)

    def read_sound(self, codec: Codec, payload: bytes, out: Array) -> None:
        self.waiting += 1
        try:
            with self._turn:
                reply = self._ask(lambda given: SoundRequest(codec, payload, given), out)
            if reply != DONE:
                raise InvalidInput(_reason(reply))
        finally:
            self.waiting -= 1

    def stop(self) -> None:
        with self._turn:
            self._end()
            if self._memory is not None:
                self._memory.close()
                self._memory = None

    def _read(self, chain: Chain, first: int, place: int, out: Array, ended: list[int]) -> bytes:
        packets = chain.packets[first : place + 1]
        if len(packets) <= place - first:
            raise BrokenChain("the pictures that this one refers to were given up, as too much waits")
        return self._ask(lambda given: PictureRequest(chain.key, first, packets, given, ended), out)

    def _ask(self, request: Callable[[SharedArray], PictureRequest | SoundRequest], out: Array) -> bytes:
        """How it went; the process that dies over it is replaced for the next one."""
        if self._memory is None or self._memory.size_bytes < out.nbytes:
            if self._memory is not None:
                self._memory.close()
            self._memory = SharedMemory(out.nbytes)
        given, array = self._memory.at(0, out.dtype, out.shape)
        if self._process is None:
            self._process, self._pipe = fork(serve_decoder)
        try:
            put(self._pipe, request(given))
            reply = self._pipe.recv_bytes(_MOST_REPLY_BYTES) if self._pipe.poll(_TIMEOUT_S) else b""
        except (EOFError, OSError):
            reply = b""
        if not reply:
            logger.warning("a decoder of what devices send ended; it is replaced")
            self._end()
            return b""
        if reply == DONE:
            np.copyto(out, array)
        del array
        if self._memory.size_bytes > MOST_KEPT_BYTES:
            self._memory.close()
            self._memory = None
        return reply

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._pipe.close()
            self._process = None


def _reason(reply: bytes) -> str:
    return reply[1:].decode("utf-8", "replace")[:_MOST_REASON] or "`payload`: the decoder ended over it"
