"""The packets of kept pictures that travel as H.264, until nothing that is to be sent refers to them any more."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ...codec import encode_jpeg
from ...errors import InvalidInput
from ...protos import edge_pb2

EarlierInputs = Callable[[int, int], list[bytes]]
"""The inputs of a chain before a sequence, in order, as they were put down in an earlier run: serialized."""

_TRIES = 2
# What a connection lacks of a chain is sent without asking whether a JPEG would be smaller.
_LITTLE_BYTES = 2**14


class SentChains:
    """Which packets of which chains one connection has carried."""

    def __init__(self) -> None:
        self.next: dict[int, int] = {}


class ChainStore:
    """Keeps the packets of the chains that inputs are still sent of, and puts them into these inputs.

    The packets of the newest chain stay, as pictures that do not exist yet will refer to them.

    Args:
        quality: of the JPEGs that take their place where no H.264 is taken.
        earlier: finds inputs of earlier runs; None: there are none.
    """

    def __init__(self, quality: int, *, earlier: EarlierInputs | None = None) -> None:
        self.quality = quality
        self.earlier = earlier
        self.is_taken = False
        """Whether the coordinator takes H.264."""
        self.is_broken = False
        """Whether the next picture should begin a new chain: one before it will not arrive, or would have to again."""
        self._changing = threading.Lock()
        self._packets: dict[int, list[bytes]] = {}
        # By sequence: the chain of an input that has no answer yet, and how often its chain was not there.
        self._open: dict[int, int] = {}
        self._tries: dict[int, int] = {}

    def add(self, sequence: int, chain: int, packet: bytes) -> int:
        """Takes the packet of an input; returns its place in the chain."""
        with self._changing:
            self._packets.setdefault(chain, []).append(packet)
            self._open[sequence] = chain
            place = len(self._packets[chain]) - 1
            if not place:
                self._tidy()
            return place

    def agree(self, welcome: edge_pb2.Welcome) -> None:
        """Takes note of what the coordinator takes; on each connection, which has carried nothing yet."""
        self.is_broken = True
        self.is_taken = edge_pb2.ENCODING_H264 in welcome.encodings

    def complete(self, message: edge_pb2.Input, sent: SentChains) -> edge_pb2.Input:
        """An input as it is to be sent now: with what its connection lacks of its chain.

        Args:
            message: the input; one that is no H.264 is returned as it is.
            sent: what the connection has carried; it is assumed to carry this, too.
        """
        chain = chain_of(message)
        if chain is None:
            return message
        chunk: Any = edge_pb2.Chunk.FromString(message.payload)
        own, place = chunk.packets[0], chunk.place
        before = self._before(chain, place, message.sequence)
        complete = edge_pb2.Input()
        complete.CopyFrom(message)
        first = min(sent.next.get(chain, 0), place + 1)
        lacking = [*before, own][first:]
        is_none_taken = not self.is_taken or self._tries.get(message.sequence, 0) > _TRIES
        if is_none_taken or (len(lacking) > 1 and sum(map(len, lacking)) > _LITTLE_BYTES):
            jpeg = _as_jpeg([*before, own], chunk.width, chunk.height, self.quality)
            # On a line that breaks again and again, what is large never arrives.
            if is_none_taken or 0 < len(jpeg) < sum(map(len, lacking)):
                complete.encoding, complete.payload = edge_pb2.ENCODING_JPEG, jpeg
                return complete
        del chunk.packets[:]
        chunk.first = first
        chunk.packets.extend(lacking)
        sent.next[chain] = max(sent.next.get(chain, 0), place + 1)
        complete.payload = chunk.SerializeToString()
        return complete

    def lost(self, sequence: int, sent: SentChains) -> None:
        """The coordinator has not what an input refers to: its chain is sent from its beginning again."""
        with self._changing:
            self._tries[sequence] = self._tries.get(sequence, 0) + 1
            chain = self._open.get(sequence)
        if chain is not None:
            sent.next.pop(chain, None)
        else:
            # Of one that is on disk it is not known here: all chains are sent from their beginning.
            sent.next.clear()

    def done(self, sequence: int, *, arrived: bool = True) -> None:
        """Takes note that an input need not be sent any more; `arrived`: others can refer to it where it was sent."""
        with self._changing:
            chain = self._open.pop(sequence, None)
            self._tries.pop(sequence, None)
            if chain is not None:
                self.is_broken |= not arrived
                self._tidy()

    def _before(self, chain: int, place: int, sequence: int) -> list[bytes]:
        with self._changing:
            known = self._packets.get(chain, [])
            if len(known) < place and self.earlier is not None:
                # Of what is on disk no more than one chain is kept in memory.
                self._tidy()
                messages = map(edge_pb2.Input.FromString, self.earlier(chain, sequence))
                known = [edge_pb2.Chunk.FromString(each.payload).packets[0] for each in messages]
                self._packets[chain] = known
            return known[:place]

    def _tidy(self) -> None:
        used = {*self._open.values(), max(self._packets, default=0)}
        for chain in [each for each in self._packets if each not in used]:
            del self._packets[chain]


def chain_of(message: edge_pb2.Input) -> int | None:
    """The chain that an input is one of; None: it stands alone."""
    if message.encoding != edge_pb2.ENCODING_H264 or not message.payload:
        return None
    return int(edge_pb2.Chunk.FromString(message.payload).chain)


def _as_jpeg(packets: list[bytes], width: int, height: int, quality: int) -> bytes:
    # Late: FFmpeg takes memory that agents of other inputs need not hold.
    from ...protos.video import PictureReader

    picture = np.empty((height, width, 3), np.uint8)
    try:
        PictureReader(width, height).read(packets, picture)
    except InvalidInput:
        return b""  # The coordinator refuses it, and says so.
    return encode_jpeg(picture, quality)
