"""Pictures that were kept, made visible again: a JPEG is itself, H.264 is decoded in a process of its own."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...codec import encode_jpeg
from ...errors import InvalidInput
from ...outputs import Array
from ...protos import edge_pb2
from ..runtime.video_decoders import BrokenChain, Chain, VideoDecoders
from .store import Sent

_QUALITY = 90
# Of all that is looked at at once; what devices send just now is decoded elsewhere.
_MOST_BYTES = 2**25
_COLUMNS = "number, session, sequence, at_us, captured_us, audited, encoding, chain, payload"


@dataclass(frozen=True)
class Picture:
    """One picture that was kept.

    Attributes:
        number: it has here; the later it came, the higher.
        session, sequence: name the input.
        at_us: when it was answered, Unix time.
        captured_us: when it was captured, by the device's clock; 0: not told.
        audited: whether the device's audit had drawn it.
        encoding: as it came: "jpeg" or "h264".
        jpeg: the picture; of H.264 made anew.
    """

    number: int
    session: str
    sequence: int
    at_us: int
    captured_us: int
    audited: bool
    encoding: str
    jpeg: bytes


class SentPictures:
    """Reads the pictures that were kept.

    Args:
        sent: where they are.
    """

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self._decoders = VideoDecoders(1, most_bytes=_MOST_BYTES)

    def jpeg(self, stream: str, number: int) -> bytes:
        """A picture of a stream; empty: it is not kept, or can't be decoded."""
        one = f"SELECT {_COLUMNS} FROM sent WHERE stream = ? AND number = ? AND payload IS NOT NULL"
        with self.sent.read() as database:
            found = [*self._read(database, database.execute(one, (stream, number)))]
        return found[0].jpeg if found else b""

    @contextmanager
    def between(self, stream: str, since_us: int, until_us: int) -> Iterator[Iterator[Picture]]:
        """A stream's pictures that were answered in a stretch of time, in their order, read one at a time."""
        all_of_it = (
            f"SELECT {_COLUMNS} FROM sent WHERE stream = ? AND at_us >= ? AND at_us < ? AND payload IS NOT NULL "
            "ORDER BY at_us, number"
        )
        with self.sent.read() as database:
            yield self._read(database, database.execute(all_of_it, (stream, since_us, until_us)))

    def close(self) -> None:
        """Ends the decoder; closing twice is fine."""
        self._decoders.stop()

    def _read(self, database: sqlite3.Connection, rows: sqlite3.Cursor) -> Iterator[Picture]:
        """The pictures of rows; one that can't be decoded is left out."""
        chains = _Chains(database, self._decoders)
        for *told, encoding, number, payload in rows:
            if number:
                try:
                    jpeg = encode_jpeg(chains.read(number, payload, told[0]), _QUALITY)
                except (InvalidInput, BrokenChain):
                    continue
            else:
                jpeg = payload
            yield Picture(told[0], told[1], told[2], told[3], told[4], bool(told[5]), encoding, jpeg)


class _Chains:
    """Decodes pictures of chains, one after the other: what was read of a chain is not read again."""

    def __init__(self, database: sqlite3.Connection, decoders: VideoDecoders) -> None:
        self._database = database
        self._decoders = decoders
        self._number, self._until = 0, -1
        self._chain: Chain | None = None

    def read(self, number: int, payload: bytes, row: int) -> Array:
        """The picture of a row (uint8 BGR), by the chain's number and the Chunk that the row has."""
        chunk: Any = edge_pb2.Chunk.FromString(payload)
        if self._chain is None or number != self._number:
            self._chain = self._decoders.open(chunk.width, chunk.height)
            self._number, self._until = number, -1
        # The packets up to its place came with it and before it.
        before = "SELECT number, payload FROM sent WHERE chain = ? AND number > ? AND number <= ? ORDER BY number"
        for found, data in self._database.execute(before, (number, self._until, row)):
            packets = edge_pb2.Chunk.FromString(data).packets
            if packets:
                self._decoders.add(self._chain, packets)
            self._until = found
        out: Array = np.empty((chunk.height, chunk.width, 3), np.uint8)
        self._decoders.read(self._chain, chunk.place, out)
        return out
