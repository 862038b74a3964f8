"""One way of answering for a model, watched while it serves: trust is revoked and regained, regions move."""

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self, get_args

import numpy as np

from ..linked import Linked, Trust
from .adaptive import AdaptiveLevel
from .calibration import Calibration
from .certificate import RISK
from .clumping import Clumping
from .sequential import SequentialTest

DELTA = 0.05
"""How often a certificate that holds is ever revoked, at most."""
LIVE_CONFIDENCE = 0.9
"""From which confidence on a link's outputs may be certified live where the recording certified none."""
WINDOW = 200
"""How many of the latest distances are kept for regions."""
_LEAST_LIVE = 19
# After a long failure everything looks like one clump; trust must be regained some day all the same.
_LEAST_SHARE = 0.25
_CALIBRATE_EVERY = 10

Change = Literal["revoked", "regained"]
State = Literal["recorded", "revoked", "live"]


class Monitor:
    """What audited samples tell of one way to answer: outputs that were predicted though the model ran.

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

    def apply(self, answer: Linked, age: int) -> Linked:
        """The answer as it stands by what was seen live.

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

    def observe(self, answer: Linked, age: int, *, agreement: float, distance: float, now_s: float) -> Change | None:
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
        """Where it stands, as plain values for JSON."""
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
        """One that goes on from where `as_dict` said that it stood, for the same `alpha`.

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

    def _trust(self, answer: Linked, age: int) -> Trust:
        if self.state == "recorded":
            return answer.trust
        if self.state == "live" and _eligible(answer) and age <= self._oldest:
            return "certified"
        if answer.trust != "certified":
            return answer.trust
        return "revoked" if self.state == "revoked" else "uncalibrated"

    def _move_region(self, answer: Linked, distance: float, now_s: float) -> None:
        calibration = self._calibration or answer.calibration
        if calibration is not None and calibration.calibrated(self.alpha):
            self._level.update(outside=distance > calibration.radius(self._level.level) + 1e-9)
        self._distances.append(distance)
        known = 0 if answer.calibration is None else answer.calibration.count
        due = self._calibration is None or self.audited % _CALIBRATE_EVERY == 0
        if due and len(self._distances) >= max(_LEAST_LIVE, min(known, WINDOW)):
            self._calibration = Calibration.of(np.asarray(self._distances))
            self._calibrated_s = now_s


def _eligible(answer: Linked) -> bool:
    """Whether it may be certified live: what was so before, what is held, and a link's surest outputs."""
    return answer.trust == "certified" or answer.origin != "linked" or answer.confidence >= LIVE_CONFIDENCE
