"""Shares the time for decoding among a device's streams: one price for all, so that it goes where it is worth most."""

import math
import threading
import time
from collections.abc import Callable

_EVERY_S = 1.0
_GAIN = 0.5
_STEP = 1.0
"""In one turn the price changes by no more than e to this."""
_LEAST, _MOST = 1e-4, 1e4
_FORGOTTEN = 0.8


class DecodeBudget:
    """The streams that share one budget (PacketGame, section 5.4, with a price in place of a sorted list).

    A packet is decoded if its doubt for a second of decoding is above the price, whichever stream it is of: with one
    price for all, no other choice of as many seconds removes more doubt. The price rises while more is spent than is
    allowed, and falls while less is.

    Args:
        clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seats: dict[float, list[DecodeSeat]] = {}
        self._prices: dict[float, float] = {}
        self._turned_s: dict[float, float] = {}

    def join(self, share: float, threshold: float) -> "DecodeSeat":
        """A place for a stream.

        Args:
            share: of the time that decoding everything would take; streams with the same one share it.
            threshold: the stream's own, until it is known what decoding takes.
        """
        seat = DecodeSeat(self, share, threshold)
        with self._lock:
            self._seats.setdefault(share, []).append(seat)
        return seat

    def leave(self, seat: "DecodeSeat") -> None:
        """A stream has ended; twice is fine."""
        with self._lock:
            seats = self._seats.get(seat.share, [])
            if seat in seats:
                seats.remove(seat)

    def turn(self, share: float) -> None:
        """Moves the price of those with a share, once in a while."""
        with self._lock:
            now_s = self._clock()
            if now_s - self._turned_s.setdefault(share, now_s) < _EVERY_S:
                return
            self._turned_s[share] = now_s
            seats = [seat for seat in self._seats.get(share, []) if seat.packet_s]
            if not seats:
                return
            spent_s, whole_s = sum(seat.recent[0] for seat in seats), sum(seat.recent[1] for seat in seats)
            mean = sum(seat.threshold / seat.packet_s for seat in seats) / len(seats)
            price = self._prices.get(share, mean)
            if whole_s:
                step = _GAIN * math.log(max(spent_s / whole_s, 1e-3) / share)
                price *= math.exp(max(-_STEP, min(_STEP, step)))
            self._prices[share] = price = min(_MOST, max(_LEAST, price))
            for seat in seats:
                seat.recent = (_FORGOTTEN * seat.recent[0], _FORGOTTEN * seat.recent[1])
                seat.threshold = price * seat.packet_s


class DecodeSeat:
    """One stream's place in a budget; used by its capture loop alone.

    Attributes:
        share: the budget.
        threshold: the packet gate's, as the budget has it now.
        recent: the time lately spent with decoding, and what decoding everything would have taken.
        packet_s: what a packet takes to decode, on average; 0: not known yet.
    """

    def __init__(self, budget: DecodeBudget, share: float, threshold: float) -> None:
        self.budget = budget
        self.share = share
        self.threshold = threshold
        self.recent = (0.0, 0.0)
        self.packet_s = 0.0
        self._last = (0.0, 0.0)

    def spend(self, decode_s: float, whole_s: float, packets: int) -> float:
        """Takes what decoding has taken so far; returns the threshold.

        Args:
            decode_s: since the stream began.
            whole_s: what decoding everything would have taken.
            packets: how many there were.
        """
        last, self._last = self._last, (decode_s, whole_s)
        self.recent = (
            self.recent[0] + max(0.0, decode_s - last[0]),
            self.recent[1] + max(0.0, whole_s - last[1]),
        )
        self.packet_s = whole_s / packets if packets and decode_s else 0.0
        self.budget.turn(self.share)
        return self.threshold

    def close(self) -> None:
        """The stream has ended."""
        self.budget.leave(self)
