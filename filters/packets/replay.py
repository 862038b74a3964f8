"""Runs a packet gate, or anything that chooses packets, over a recording: what is decoded, and what holding loses."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from .gate import PacketGate
from .held import HeldLosses
from .packet import Packet
from .recording import PacketRecording

_LOOKED_BACK = 8
"""Among so many of the packets chosen last is the one that is shown before a picture."""


@dataclass(frozen=True)
class Played:
    """What came of it on a stretch of a recording.

    Attributes:
        decoded: which inputs have a result of their own, bool (inputs,).
        saved: the share of the time of decoding everything that was saved.
        losses: what holding loses on each input, float64 (inputs,).
        first: the index of the first of these inputs in the trace.
    """

    decoded: Array
    saved: float
    losses: Array
    first: int

    @property
    def accuracy(self) -> float:
        """One minus the mean loss."""
        return float(1.0 - self.losses.mean())


Chooser = Callable[[int, Packet], bool]
"""Says of a packet, by its number, whether it is to be decoded."""


def play_gate(recording: PacketRecording, gate: PacketGate, held: HeldLosses, start: int, stop: int) -> Played:
    """Runs a gate over the packets from `start` to `stop`; the models' feedback comes at once.

    Args:
        recording: the packets.
        gate: at its beginning.
        held: what holding loses.
        start: the first packet.
        stop: after the last one.
    """
    last: list[int] = []

    def choose(number: int, packet: Packet) -> bool:
        chosen = gate.take(packet).chosen
        current = int(recording.inputs[number])
        if chosen and current >= 0:
            before = [each for each in last if each < current]
            if before:
                gate.judged(held.one(max(before), current))
            last.append(current)
            del last[:-_LOOKED_BACK]
        return chosen

    return play(recording, choose, held, start, stop)


def play(recording: PacketRecording, choose: Chooser, held: HeldLosses, start: int, stop: int) -> Played:
    """The same with any choice; references that were skipped are decoded late, where something is made of them.

    Args:
        recording: the packets.
        choose: is asked in the order of decoding.
        held: what holding loses.
        start: the first packet; what is chosen before the first key picture after it can't be decoded.
        stop: after the last one.
    """
    spent_s = behind_s = 0.0
    begun = False
    costs = recording.costs
    chosen: list[int] = []
    for number in range(start, stop):
        packet = recording.packets[number]
        if packet.key:
            begun, behind_s = True, 0.0
        cost_s = costs.of(key=packet.key, reference=packet.reference)
        if choose(number, packet) and begun:
            spent_s += cost_s + behind_s
            behind_s = 0.0
            chosen.append(int(recording.inputs[number]))
        elif packet.reference:
            behind_s += cost_s
    whole_s = sum(costs.of(key=each.key, reference=each.reference) for each in recording.packets[start:stop])
    among = recording.inputs[start:stop]
    among = among[among >= 0]
    first, after = int(among.min()), int(among.max()) + 1
    decoded = np.zeros(after - first, bool)
    decoded[[each - first for each in chosen if each >= first]] = True
    current = np.arange(first, after)
    references = np.maximum.accumulate(np.where(decoded, current, first))
    losses = np.where(decoded, 0.0, held.of(references, current))
    return Played(decoded, 1.0 - spent_s / whole_s, losses, first)
