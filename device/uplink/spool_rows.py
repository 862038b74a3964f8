"""What the spool keeps: an input with its place, its worth and its checksum, and the session that it belongs to."""

import zlib
from dataclasses import dataclass
from typing import NamedTuple


class Key(NamedTuple):
    """Names an input, for good: under this name the coordinator knows whether it has answered it.

    Attributes:
        session: the session's id.
        sequence: the input's number in it.
    """

    session: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Head:
    """An input, without what travels of it.

    Attributes:
        key: names it.
        captured_s: when it was captured, in the session's time.
        taken_s: when it was taken, Unix time.
        value: what it is worth: the gate's score; infinite for one that is audited.
        size_bytes: what it takes.
        chain: the sequence of the input that its group of pictures begins with; None: it refers to no other.
    """

    key: Key
    captured_s: float
    taken_s: float
    value: float
    size_bytes: int
    chain: int | None = None

    @property
    def chain_key(self) -> Key | None:
        """The chain, by the session that it is of."""
        return None if self.chain is None else Key(self.key.session, self.chain)


@dataclass(frozen=True, slots=True)
class SpoolRow:
    """An input as it is kept.

    Attributes:
        head: what is known of it.
        message: a serialized `Input` of edge.proto.
        facts: its row of the results file, as `pack_facts` writes it; empty: there is no such file.
    """

    head: Head
    message: bytes
    facts: bytes = b""

    @property
    def checksum(self) -> int:
        """Of all of it, CRC-32: says whether the disk has kept it."""
        head = self.head
        place = f"{head.key.session}/{head.key.sequence}/{head.captured_s!r}/{head.chain}".encode()
        return zlib.crc32(self.facts, zlib.crc32(self.message, zlib.crc32(place)))


@dataclass(frozen=True)
class Waiting:
    """What waits to be answered.

    Attributes:
        count: how many inputs.
        size_bytes: what they take.
        oldest_s: how long the oldest has waited.
    """

    count: int = 0
    size_bytes: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True)
class SpoolSession:
    """A run of one source, or several that went on with each other.

    Attributes:
        id: names it on the wire.
        source: what its inputs come from: another source begins a session of its own.
        hello: what the device said of itself, a serialized `Hello`.
        results: the results file that its answers belong to; empty: none.
        position: the last input that was decided on, with all before it; -1: none.
        reserved: no input with this sequence or a larger one was sent yet.
        ended: whether all of it was taken and answered.
    """

    id: str
    source: str
    hello: bytes = b""
    results: str = ""
    position: int = -1
    reserved: int = 0
    ended: bool = False
