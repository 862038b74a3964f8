"""What decoding takes on this machine, and what it would take without a packet gate."""

import time

from .packet import Packet
from .policy import PacketCosts

_KINDS = 3
_FIRST = 16
_EVERY = 16
"""So many of each type are measured at first, then one of so many: to ask the system for the time may take longer than
to decide."""


class DecodeMeter:
    """Counts packets by their type, and measures the processor's time of some of those that are decoded.

    Args:
        costs: what a type takes of which none was decoded yet, in proportion to the others.
    """

    def __init__(self, costs: PacketCosts) -> None:
        self._units = (costs.key, costs.reference, costs.free)
        self._seen = [0] * _KINDS
        self._decoded = [0] * _KINDS
        self._measured = [0] * _KINDS
        self._took_s = [0.0] * _KINDS

    @property
    def spent_s(self) -> float:
        """The processor's time that decoding took, as far as it was measured."""
        return sum(count * each_s for count, each_s in zip(self._decoded, self._each_s(), strict=True))

    @property
    def whole_s(self) -> float:
        """What decoding everything would have taken."""
        return sum(count * each_s for count, each_s in zip(self._seen, self._each_s(), strict=True))

    def seen(self, packet: Packet) -> None:
        """Counts a packet."""
        self._seen[_kind(packet)] += 1

    def begin(self, packet: Packet) -> float | None:
        """A packet is decoded now; returns what `end` is to be given."""
        kind = _kind(packet)
        count = self._decoded[kind]
        self._decoded[kind] += 1
        return time.thread_time() if count < _FIRST or count % _EVERY == 0 else None

    def end(self, packet: Packet, begun_s: float | None) -> None:
        """The packet was decoded."""
        if begun_s is None:
            return
        kind = _kind(packet)
        self._measured[kind] += 1
        self._took_s[kind] += time.thread_time() - begun_s

    def _each_s(self) -> tuple[float, ...]:
        """What a packet of each type takes."""
        units = sum(count * unit for count, unit in zip(self._measured, self._units, strict=True))
        unit_s = sum(self._took_s) / units if units else 0.0
        return tuple(
            took_s / count if count else unit * unit_s
            for took_s, count, unit in zip(self._took_s, self._measured, self._units, strict=True)
        )


def _kind(packet: Packet) -> int:
    return 0 if packet.key else 1 if packet.reference else 2
