"""What a packet says of itself before anything is decoded: its size, and whether other pictures are made of it."""

from dataclasses import dataclass
from typing import Any

_SEARCHED_BYTES = 4096
"""So far a slice is looked for behind parameter sets and messages; without one a picture counts as a reference."""
_START = b"\0\0\1"


@dataclass(frozen=True, slots=True)
class Packet:
    """One picture as it lies in its container.

    Attributes:
        size_bytes: of it.
        key: whether it can be decoded without any other, and all that follow can be without those before it.
        reference: whether others may be made of it.
        time_s: when it is shown, in the stream's own time; times may go back by some pictures.
    """

    size_bytes: int
    key: bool
    reference: bool
    time_s: float


class References:
    """Tells the pictures that others are made of from those that can be left out freely.

    Args:
        codec: FFmpeg's name of it.
        extradata: the stream's own header; it says how units are set apart.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self.codec = codec
        self._length_bytes = _length_bytes(codec, extradata or b"")
        self._layers = 0

    def has(self, packet: Any) -> bool:
        """Whether others may be made of a packet of FFmpeg's; where that can't be told, they are."""
        if packet.is_keyframe:
            return True
        if packet.is_disposable:
            return False
        if self.codec not in ("h264", "hevc", "mpeg4"):
            return True
        data = bytes(memoryview(packet)[:_SEARCHED_BYTES])
        if self.codec == "mpeg4":
            at = data.find(b"\0\0\1\xb6")
            return not 0 <= at < len(data) - 4 or data[at + 4] >> 6 != 2
        for at in self._units(data, packet.size):
            if self.codec == "h264" and data[at] & 31 in (1, 5):
                return data[at] & 0x60 != 0
            if self.codec == "hevc" and at + 1 < len(data) and (data[at] >> 1) & 63 < 32:
                return self._is_hevc_reference((data[at] >> 1) & 63, data[at + 1] & 7)
        return True

    def _is_hevc_reference(self, kind: int, layer: int) -> bool:
        # Even kinds below 16 serve no picture of their own layer, but may serve one of a higher layer.
        self._layers = max(self._layers, layer)
        return kind >= 16 or kind % 2 == 1 or layer < self._layers

    def _units(self, data: bytes, size_bytes: int) -> "list[int]":
        """Where units begin, as far as they lie in the first bytes."""
        found = []
        if self._length_bytes and not data.startswith((_START, b"\0" + _START)):
            at = 0
            while at + self._length_bytes < len(data):
                length = int.from_bytes(data[at : at + self._length_bytes], "big")
                if not 0 < length <= size_bytes:
                    break
                found.append(at + self._length_bytes)
                at += self._length_bytes + length
            return found
        at = data.find(_START)
        while 0 <= at < len(data) - 3:
            found.append(at + 3)
            at = data.find(_START, at + 3)
        return found


def _length_bytes(codec: str, extradata: bytes) -> int:
    """Of how many bytes the length before each unit is; 0: units begin with a start code."""
    at = {"h264": 4, "hevc": 21}.get(codec)
    if at is None or len(extradata) <= at or extradata[0] != 1:
        return 0
    return (extradata[at] & 3) + 1
