"""The trust in every way to answer on one stream, from that stream's own audited samples."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ...outputs import Array, OutputSpec
from ..answer import Answer
from .certificate import ALPHA
from .monitor import Change, Monitor

_CHANGES = 64


@dataclass(frozen=True)
class Way:
    """A way to answer for a model.

    Attributes:
        target: the model.
        origin: by which means.
        sources: from which others.
        never: whether the model never ran before; else its last output is known.
    """

    target: str
    origin: str
    sources: tuple[str, ...]
    never: bool

    @property
    def text(self) -> str:
        """For people: "scene linked from vehicles"."""
        if self.origin != "linked":
            return f"{self.target} {self.origin}"
        return f"{self.target} linked from {'+'.join(self.sources) or 'its own last output'}"


@dataclass(frozen=True)
class TrustChange:
    """Trust that was revoked or regained.

    Attributes:
        way: the way to answer whose trust changed.
        change: what happened.
        audited: after how many audited samples of that way.
    """

    way: Way
    change: Change
    audited: int


class LiveTrust:
    """The live trust of one stream. Its memory is bounded by the number of ways that are audited.

    Args:
        alpha: the share of trusted answers that may disagree.
    """

    def __init__(self, *, alpha: float = ALPHA) -> None:
        self.alpha = alpha
        self.audited = 0
        self.revocations = 0
        self.regained = 0
        self._monitors: dict[Way, Monitor] = {}
        self._changes: deque[TrustChange] = deque(maxlen=_CHANGES)

    def apply(self, target: str, answer: Answer, *, never: bool, age: int) -> Answer:
        """The answer, with the trust that this stream's samples give it.

        Args:
            target: whose answer it is.
            answer: as the recording says.
            never: whether the model never ran before.
            age: the bucket of its last output's age.
        """
        if not self._monitors:
            return answer
        monitor = self._monitors.get(Way(target, answer.origin, answer.sources, never))
        return answer if monitor is None else monitor.apply(answer, age)

    def observe(
        self,
        target: str,
        output: OutputSpec,
        answer: Answer,
        exact: Array,
        *,
        never: bool,
        age: int,
        captured_s: float,
        now_s: float,
    ) -> None:
        """Compares what would have been served with the model's own output on the same input.

        Args:
            target: the model that ran.
            output: the type of its output.
            answer: what would have been served had it not run, as the recording says.
            exact: what it said.
            never: whether it never ran before.
            age: the bucket of its last output's age.
            captured_s: when that input was captured.
            now_s: Unix time.
        """
        way = Way(target, answer.origin, answer.sources, never)
        monitor = self._monitors.get(way)
        if monitor is None:
            monitor = self._monitors[way] = Monitor(self.alpha)
        agreement = output.agreement(answer.value, exact)
        distance = answer.distance(exact, agreement)
        self.audited += 1
        change = monitor.observe(
            answer, age, agreement=agreement, distance=distance, captured_s=captured_s, now_s=now_s
        )
        if change is not None:
            self.revocations += change == "revoked"
            self.regained += change == "regained"
            self._changes.append(TrustChange(way, change, monitor.audited))

    def take_changes(self) -> list[TrustChange]:
        """What changed since this was last asked; of more than 64 changes the latest."""
        changes = list(self._changes)
        self._changes.clear()
        return changes

    def as_dict(self) -> dict[str, Any]:
        """Its state as plain values for JSON."""
        return {
            "alpha": self.alpha,
            "counts": [self.audited, self.revocations, self.regained],
            "ways": [[asdict(way), monitor.as_dict()] for way, monitor in self._monitors.items()],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """A live trust with the state that `as_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is not what `as_dict` wrote.
        """
        live = cls(alpha=data["alpha"])
        live.audited, live.revocations, live.regained = data["counts"]
        for way, monitor in data["ways"]:
            if "clumping" in monitor:
                # An earlier version's, which took each sample for independent: that is no evidence.
                continue
            known = Way(way["target"], way["origin"], tuple(way["sources"]), bool(way["never"]))
            live._monitors[known] = Monitor.from_dict(live.alpha, monitor)
        return live

    def revoked(self) -> tuple[str, ...]:
        """The ways to answer whose certificate is revoked now, in words."""
        return tuple(sorted(way.text for way, monitor in self._monitors.items() if monitor.state == "revoked"))
