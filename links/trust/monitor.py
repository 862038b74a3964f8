"""Watches one way of answering for a model while it serves: revokes and regains trust, and moves its regions."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self, get_args

import numpy as np

from ...evidence import SequentialTest
from ..answer import Answer, Trust
from .calibration import Calibration
from .certificate import RISK

DELTA = 0.05
"""How often a certificate that holds is ever revoked, at most."""
LIVE_CONFIDENCE = 0.9
"""From which confidence on a link's outputs may be certified live where the recording certified none."""
WINDOW = 200
"""How many of the latest distances are kept for regions."""
GAMMA = 0.02
"""How much one audited sample moves the level of regions."""
HIGHEST_LEVEL = 0.5
_LEAST_LIVE = 19
# After a long failure everything looks like one clump; trust must be regained some day all the same.
_LEAST_SHARE = 0.25
_CALIBRATE_EVERY = 10
# The correlation that is assumed before disagreements were seen, as strongly as so many of them would show it.
_ASSUMED_CORRELATION = 0.3
_ASSUMED_ERRORS = 3.0
_HIGHEST_CORRELATION = 0.95
# The time constant, in samples, with which older ones count less.
_MEMORY = 200.0

Change = Literal["revoked", "regained"]
State = Literal["recorded", "revoked", "live"]


class Monitor:
    """The trust in one way to answer, from its audited samples: predictions compared with what the model said.

    Args:
        alpha: the share of trusted answers that may disagree.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        self.state: State = "recorded"
        self.audited = 0
        self._drift = SequentialTest(alpha, [min(0.95, times * alpha) for times in (2, 3, 5)])
        self._gain = SequentialTest(alpha, [0.0, 0.2 * alpha, 0.5 * alpha])
        self._clumping = Clumping()
        self._oldest = -1
        self._level = AdaptiveLevel(alpha)
        self._distances: deque[float] = deque(maxlen=WINDOW)
        self._calibration: Calibration | None = None
        self._calibrated_s = 0.0

    def apply(self, answer: Answer, age: int) -> Answer:
        """The answer, with the trust and the region that the audited samples give it.

        Args:
            answer: as the recording says.
            age: the bucket of its last output's age.
        """
        return replace(
            answer,
            trust=self._trust(answer, age),
            calibration=self._calibration or answer.calibration,
            calibrated_s=self._calibrated_s or answer.calibrated_s,
            level=self._level.level,
        )

    def observe(self, answer: Answer, age: int, *, agreement: float, distance: float, now_s: float) -> Change | None:
        """Takes one audited sample; returns what it changed, if anything.

        Args:
            answer: what would have been served, as the recording says.
            age: the bucket of its last output's age.
            agreement: with the exact output.
            distance: from the exact output.
            now_s: Unix time.
        """
        self.audited += 1
        self._move_region(answer, distance, now_s)
        trusted = self._trust(answer, age) == "certified"
        if not trusted and not _eligible(answer):
            return None
        disagreement, share = 1.0 - agreement, self._clumping.share
        self._clumping.update(disagreement)
        if trusted:
            if self._drift.update(disagreement, share=share) < 1.0 / DELTA:
                return None
            self.state = "revoked"
            self._gain.reset()
            self._oldest = -1
            return "revoked"
        self._oldest = max(self._oldest, age)
        if self._gain.update(disagreement, share=max(share, _LEAST_SHARE)) < 1.0 / RISK:
            return None
        self.state = "live"
        self._calibrated_s = now_s
        self._drift.reset()
        self._gain.reset()
        return "regained"

    def as_dict(self) -> dict[str, Any]:
        """Its state as plain values for JSON."""
        return {
            "state": self.state,
            "audited": self.audited,
            "drift": self._drift.as_list(),
            "gain": self._gain.as_list(),
            "clumping": self._clumping.as_list(),
            "oldest": self._oldest,
            "level": self._level.level,
            "distances": list(self._distances),
            "calibration": None if self._calibration is None else self._calibration.as_list(),
            "calibrated_s": self._calibrated_s,
        }

    @classmethod
    def from_dict(cls, alpha: float, data: Mapping[str, Any]) -> Self:
        """A monitor with the state that `as_dict` gave, for the same `alpha`.

        Raises:
            KeyError, TypeError, ValueError: it is not what `as_dict` wrote.
        """
        monitor = cls(alpha)
        if data["state"] not in get_args(State):
            raise ValueError(f"no such state: {data['state']!r}")
        monitor.state = data["state"]
        monitor.audited = int(data["audited"])
        monitor._drift.restore(data["drift"])
        monitor._gain.restore(data["gain"])
        monitor._clumping.restore(data["clumping"])
        monitor._oldest = int(data["oldest"])
        monitor._level.level = float(data["level"])
        monitor._distances.extend(data["distances"])
        monitor._calibration = None if data["calibration"] is None else Calibration.from_list(data["calibration"])
        monitor._calibrated_s = float(data["calibrated_s"])
        return monitor

    def _trust(self, answer: Answer, age: int) -> Trust:
        if self.state == "recorded":
            return answer.trust
        if self.state == "live" and _eligible(answer) and age <= self._oldest:
            return "certified"
        if answer.trust != "certified":
            return answer.trust
        return "revoked" if self.state == "revoked" else "uncalibrated"

    def _move_region(self, answer: Answer, distance: float, now_s: float) -> None:
        calibration = self._calibration or answer.calibration
        if calibration is not None and calibration.calibrated(self.alpha):
            self._level.update(outside=distance > calibration.radius(self._level.level) + 1e-9)
        self._distances.append(distance)
        known = 0 if answer.calibration is None else answer.calibration.count
        due = self._calibration is None or self.audited % _CALIBRATE_EVERY == 0
        if due and len(self._distances) >= max(_LEAST_LIVE, min(known, WINDOW)):
            self._calibration = Calibration.of(np.asarray(self._distances))
            self._calibrated_s = now_s


def _eligible(answer: Answer) -> bool:
    """Whether it may be certified live: what the recording certified, what is held, and a link's surest outputs."""
    return answer.trust == "certified" or answer.origin != "linked" or answer.confidence >= LIVE_CONFIDENCE


class AdaptiveLevel:
    """The risk level at which to read a calibration, so that a share `alpha` of exact outputs lies outside.

    From Gibbs & Candes, "Adaptive conformal inference under distribution shift" (2021). After n samples the share
    outside is at most alpha + (alpha + gamma) / (gamma * n), without any assumption on the stream, if a level of 0 or
    less means the region that holds everything.

    Args:
        alpha: the share that may lie outside.
        gamma: the step.
    """

    def __init__(self, alpha: float, *, gamma: float = GAMMA) -> None:
        self.alpha = alpha
        self.gamma = gamma
        self.level = alpha

    def update(self, *, outside: bool) -> float:
        """Takes one compared sample; returns the next level."""
        # A highest level keeps regions from being empty; it can only make them cover more.
        self.level = min(HIGHEST_LEVEL, self.level + self.gamma * (self.alpha - float(outside)))
        return self.level


class Clumping:
    """The correlation of a sample's disagreement with the next one's, learnt sample by sample in constant memory.

    Audited samples are a turn apart, but a scene that is hard lasts. Until disagreements were seen, some correlation is
    assumed: three errors in a row are then not taken for three accidents.
    """

    def __init__(self) -> None:
        self._count = 0.0
        self._sum = 0.0
        self._squares = 0.0
        self._products = 0.0
        self._last = 0.0

    @property
    def share(self) -> float:
        """How many independent samples the next one is worth, from those before it: above 0, at most 1."""
        of_mean = self._sum * self._sum / max(1.0, self._count)
        below = max(0.0, self._squares - of_mean)
        above = max(0.0, self._products - of_mean)
        correlation = min(
            _HIGHEST_CORRELATION, (above + _ASSUMED_CORRELATION * _ASSUMED_ERRORS) / (below + _ASSUMED_ERRORS)
        )
        return (1.0 - correlation) / (1.0 + correlation)

    def update(self, disagreement: float) -> None:
        """Takes the next sample, in [0, 1]."""
        kept = 1.0 - 1.0 / _MEMORY
        self._count = kept * self._count + 1.0
        self._sum = kept * self._sum + disagreement
        self._squares = kept * self._squares + disagreement * disagreement
        self._products = kept * self._products + disagreement * self._last
        self._last = disagreement

    def as_list(self) -> list[float]:
        """Its state as plain values for JSON."""
        return [self._count, self._sum, self._squares, self._products, self._last]

    def restore(self, values: Sequence[float]) -> None:
        """Goes on from the state that `as_list` gave.

        Raises:
            ValueError: these are no five values.
        """
        self._count, self._sum, self._squares, self._products, self._last = values
