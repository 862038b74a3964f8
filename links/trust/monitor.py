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
UNIT_RUNS = 2.0
"""A unit of audited samples lasts so many runs of inputs: in units of one, neighbours would still go wrong together."""
ASSUMED_RUN_S = 60.0
"""How long answers are taken to be right or wrong together where training did not measure it."""
_LEAST_LIVE = 19
_CALIBRATE_EVERY = 10
# Of one run so many distances are kept at most, so that the window holds enough runs.
_PER_RUN = 4

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
        self._trusted = Unit()
        self._doubted = Unit()
        self._oldest = -1
        self._level = AdaptiveLevel(alpha)
        self._distances: deque[tuple[float, float]] = deque(maxlen=WINDOW)
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

    def observe(
        self, answer: Answer, age: int, *, agreement: float, distance: float, captured_s: float, now_s: float
    ) -> Change | None:
        """Takes one audited sample; returns what it changed, if anything.

        Args:
            answer: what would have been served, as the recording says.
            age: the bucket of its last output's age.
            agreement: with the exact output.
            distance: from the exact output.
            captured_s: when the input was captured.
            now_s: Unix time.
        """
        self.audited += 1
        run_s = ASSUMED_RUN_S if answer.calibration is None else answer.calibration.run_s
        self._move_region(answer, distance, captured_s, run_s, now_s)
        if self._trust(answer, age) == "certified":
            ended = self._trusted.add(1.0 - agreement, captured_s, lasts_s=UNIT_RUNS * run_s)
            if ended is None or self._drift.update(ended) < 1.0 / DELTA:
                return None
            self._restart("revoked")
            self._oldest = -1
            return "revoked"
        if not _eligible(answer):
            return None
        self._oldest = max(self._oldest, age)
        ended = self._doubted.add(1.0 - agreement, captured_s, lasts_s=UNIT_RUNS * run_s)
        if ended is None or self._gain.update(ended) < 1.0 / RISK:
            return None
        self._restart("live")
        self._calibrated_s = now_s
        return "regained"

    def _restart(self, state: State) -> None:
        self.state = state
        self._drift.reset()
        self._gain.reset()
        self._trusted, self._doubted = Unit(), Unit()

    def as_dict(self) -> dict[str, Any]:
        """Its state as plain values for JSON."""
        return {
            "state": self.state,
            "audited": self.audited,
            "drift": self._drift.as_list(),
            "gain": self._gain.as_list(),
            "units": [self._trusted.as_list(), self._doubted.as_list()],
            "oldest": self._oldest,
            "level": self._level.level,
            "distances": [list(each) for each in self._distances],
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
        for unit, values in zip((monitor._trusted, monitor._doubted), data["units"], strict=True):
            unit.restore(values)
        monitor._oldest = int(data["oldest"])
        monitor._level.level = float(data["level"])
        monitor._distances.extend((float(at_s), float(distance)) for at_s, distance in data["distances"])
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

    def _move_region(self, answer: Answer, distance: float, captured_s: float, run_s: float, now_s: float) -> None:
        calibration = self._calibration or answer.calibration
        if calibration is not None and calibration.calibrated(self.alpha):
            self._level.update(outside=distance > calibration.radius(self._level.level) + 1e-9)
        if not self._distances or not 0.0 <= captured_s - self._distances[-1][0] < run_s / _PER_RUN:
            self._distances.append((captured_s, distance))
        known = 0 if answer.calibration is None else answer.calibration.count
        due = self._calibration is None or self.audited % _CALIBRATE_EVERY == 0
        if due and (runs := self._runs(run_s)) >= max(_LEAST_LIVE, min(known, WINDOW // _PER_RUN)):
            far = np.asarray([distance for _, distance in self._distances])
            self._calibration = Calibration.of(far, runs=runs, run_s=run_s)
            self._calibrated_s = now_s

    def _runs(self, run_s: float) -> int:
        """How many runs of inputs the kept distances are of."""
        runs, ends_s = 0, 0.0
        for at_s, _ in self._distances:
            if not runs or not ends_s - run_s <= at_s < ends_s:
                runs, ends_s = runs + 1, at_s + run_s
        return runs


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


class Unit:
    """The audited samples of one stretch of time, which count as one: they are right or wrong together.

    How long a stretch is must not depend on what the samples say; it is how long a run of inputs lasted in training.
    Then what the test is given is the mean of each stretch, whatever audits, turns and bursts fell into it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._began_s = 0.0
        self._ends_s = 0.0

    def add(self, disagreement: float, at_s: float, *, lasts_s: float) -> float | None:
        """Takes the next sample; returns the mean of the stretch that ended before it, None if none did.

        Args:
            disagreement: in [0, 1].
            at_s: when its input was captured; a clock that was set back ends the stretch.
            lasts_s: how long such answers are right or wrong together.
        """
        ended = None
        if self._count and not self._began_s <= at_s < self._ends_s:
            ended = self._sum / self._count
            self._count, self._sum = 0, 0.0
        if not self._count:
            self._began_s = self._ends_s = at_s
        self._count += 1
        self._sum += disagreement
        self._ends_s = max(self._ends_s, self._began_s + lasts_s)
        return ended

    def as_list(self) -> list[float]:
        """Its state as plain values for JSON."""
        return [self._count, self._sum, self._began_s, self._ends_s]

    def restore(self, values: Sequence[float]) -> None:
        """Goes on from the state that `as_list` gave.

        Raises:
            ValueError: these are no four values.
        """
        count, self._sum, self._began_s, self._ends_s = values
        self._count = int(count)
