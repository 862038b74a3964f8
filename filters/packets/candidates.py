"""What competes to choose a stream's packets: learnt from their sizes, or by the time alone."""

import random
from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..training.sweep import Sweep
from .features import NAMES, PacketFeatures
from .gate import PacketGate
from .held import HeldLosses
from .policy import PacketPolicy, fit_weights
from .recording import PacketRecording
from .replay import Played, play_gate

EVERY_KEY = "every K-th key"
_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Shares of the packets that are decoded where examples are taken; a gate will find itself at any of them."""
_KEYS = 3.0
_ROUNDS = 2
_LOOKED_BACK = 8
_THRESHOLDS = np.geomspace(3e-4, 1.0, 30)
# The doubt rises with the time since the last decoded picture, and with nothing else.
_BY_TIME = (-3.0, 1.0)


@dataclass(frozen=True)
class PacketSweep(Sweep):
    """What each threshold brought over a stretch; its rate is the share of the time of decoding that is saved.

    Attributes:
        saved: per threshold.
        policy: what was run.
    """

    saved: Array | None = None
    policy: PacketPolicy | None = None

    @property
    def rates(self) -> Array:
        """The share of the time of decoding that is saved, per threshold."""
        assert self.saved is not None, "every packet sweep knows what it saved"
        return self.saved


def policies(recording: PacketRecording, held: HeldLosses, start: int, stop: int, seed: int) -> dict[str, PacketPolicy]:
    """Every candidate, learnt from the packets from `start` to `stop`; the simplest comes first."""
    costs = recording.costs
    features, losses = examples(recording, held, start, stop, seed=seed)
    learnt = fit_weights(features, losses)
    by_time = tuple(_BY_TIME[number] if number < len(_BY_TIME) else 0.0 for number in range(len(NAMES)))
    return {
        EVERY_KEY: PacketPolicy(by_time, costs, keys_only=True, threshold=0.0),
        "sizes at keys": PacketPolicy(learnt, costs, keys_only=True, threshold=0.0),
        "sizes": PacketPolicy(learnt, costs, keys_only=False, threshold=0.0),
    }


def examples(recording: PacketRecording, held: HeldLosses, start: int, stop: int, *, seed: int) -> tuple[Array, Array]:
    """Features of packets against one decoded before, and what holding its answer loses.

    Which are decoded is drawn, at several rates, so that ages and feedback are of all kinds that a gate meets.

    Returns:
        float64 (examples, features) and float64 (examples,).
    """
    rows: list[tuple[float, ...]] = []
    references: list[int] = []
    currents: list[int] = []
    for number, rate in enumerate(_RATES * _ROUNDS):
        draw = random.Random(f"{seed} {number}")
        features, last = PacketFeatures(), list[int]()
        for place in range(start, stop):
            packet, current = recording.packets[place], int(recording.inputs[place])
            features.push(packet.size_bytes, key=packet.key, time_s=packet.time_s)
            if current < 0:
                continue
            before = max((each for each in last if each < current), default=-1)
            if before >= 0:
                rows.append(features.vector())
                references.append(before)
                currents.append(current)
            if not last or draw.random() < rate * (_KEYS if packet.key else 1.0):
                if before >= 0:
                    features.judged(held.one(before, current))
                features.decoded()
                last.append(current)
                del last[:-_LOOKED_BACK]
    return np.asarray(rows), held.of(np.asarray(references), np.asarray(currents))


def sweep(
    name: str, policy: PacketPolicy, recording: PacketRecording, held: HeldLosses, start: int, stop: int
) -> PacketSweep:
    """A candidate at many thresholds over the packets from `start` to `stop`, from the most careful one on."""
    played: list[Played] = []
    for threshold in _THRESHOLDS.tolist():
        gate = PacketGate(PacketPolicy(policy.weights, policy.costs, policy.keys_only, threshold))
        played.append(play_gate(recording, gate, held, start, stop))
    current = played[0].first + np.arange(len(played[0].losses))
    # Of key pictures alone even the most careful threshold may lose too much: before it stands decoding everything.
    return PacketSweep(
        name,
        np.concatenate([[0.0], _THRESHOLDS]),
        np.stack([np.ones(len(current), bool), *(each.decoded for each in played)]),
        np.stack([np.zeros(len(current)), *(each.losses for each in played)]),
        held.of(np.full(len(current), current[0]), current),
        saved=np.asarray([0.0, *(each.saved for each in played)]),
        policy=policy,
    )
