"""What a gate promises, as far as its live audit and whoever reads its answers need to know."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .event_promise import EventPromise
from .exits.gate import ExitGate
from .gates.base import Gate
from .gates.learned import FilterRuntime
from .gates.tasks import TasksRuntime
from .local.gate import LocalGate
from .local.learning_filter import LearningFilter
from .reuse.gate import ReuseGate
from .rules.parser import Rule
from .spec import Certificate

_REFUSED = "none: "
"""How a certificate's method begins where a proof would have been of no use."""


@dataclass(frozen=True)
class Terms:
    """What a gate promises.

    Attributes:
        accuracy: one minus the mean loss over all inputs; None: nothing of that kind.
        certified: whether that is proven.
        reason: why not, in words.
        run_inputs: how many inputs the independent runs of calibration have on average; None: not known.
        rate: the share of the inputs that is not kept by calibration, at least and at most; None: not known.
        parts: per part of the inputs that something is promised of, the least accuracy there.
        events: what is promised of events; None: nothing.
        rule: what is redundant, where that is one rule; the parts are parts of what it needs.
    """

    accuracy: float | None
    certified: bool
    reason: str = ""
    run_inputs: float | None = None
    rate: tuple[float, float] | None = None
    parts: dict[str, float] = field(default_factory=dict)
    events: EventPromise | None = None
    rule: Rule | None = None

    @property
    def text(self) -> str:
        """The promise in words."""
        if self.events is not None:
            within = "" if self.events.within_s is None else f" within {self.events.within_s:g} s"
            return f"to find at least {self.events.recall:g} of the events{within}"
        return f"to lose at most {1.0 - (self.accuracy or 0.0):.3f}"


def terms_of(gate: Gate) -> Terms | None:
    """What a gate promises; None: nothing."""
    if isinstance(gate, FilterRuntime) and gate.spec.events is not None:
        return _of_events(gate, gate.spec.events)
    if gate.accuracy is None:
        return None
    if isinstance(gate, LearningFilter):
        # Its threshold moves, and the rate with it.
        return _of_filter(gate, gate.accuracy, rate=None)
    if isinstance(gate, FilterRuntime):
        found = gate.spec.certificate
        rate = found.rate_interval if gate.threshold == gate.spec.threshold else None
        return _of_filter(gate, gate.accuracy, rate=rate)
    if isinstance(gate, TasksRuntime):
        return _of_several(gate.accuracy, [task.certificate for task in gate.spec.tasks])
    if isinstance(gate, ReuseGate):
        found = gate.runtime.spec.certificate
        return Terms(gate.accuracy, found.certified, _reason(found), _run_inputs(found), found.rate_interval)
    if isinstance(gate, ExitGate):
        found = gate.spec.certificate
        return Terms(gate.accuracy, found.certified, _reason(found), _run_inputs(found), found.rate_interval)
    if isinstance(gate, LocalGate):
        return _of_several(gate.accuracy, [head.certificate for head in gate.spec.answering.values()])
    return Terms(gate.accuracy, certified=False, reason="nothing is known of it")


def _of_several(accuracy: float, each: Sequence[Certificate]) -> Terms:
    """Of a file that decides for several models."""
    doubtful = [certificate for certificate in each if not certificate.certified]
    reason = _reason(doubtful[0]) if doubtful else ""
    known = [_run_inputs(certificate) or 0.0 for certificate in each]
    return Terms(accuracy, not doubtful, reason, run_inputs=max(known) or None)


def _of_events(gate: FilterRuntime, found: EventPromise) -> Terms:
    more = f"; {found.more_events} more events, all of them found, would do" if found.more_events else ""
    reason = f"of {found.events} events {found.found} were found, so at least {found.lower_bound:.2f} are{more}"
    return Terms(None, gate.certified, "" if gate.certified else reason, events=found, rule=gate.rule)


def _of_filter(gate: FilterRuntime, accuracy: float, *, rate: tuple[float, float] | None) -> Terms:
    found = gate.spec.certificate
    parts = {floor.name: floor.least for floor in gate.spec.floors}
    reason = "" if gate.certified else _reason(found)
    return Terms(accuracy, gate.certified, reason, _run_inputs(found), rate, parts, rule=gate.rule)


def _reason(found: Certificate) -> str:
    if found.certified:
        return ""
    if not found.runs or found.method.startswith(_REFUSED):
        return found.method.removeprefix(_REFUSED)
    more = f"; {found.more_runs} more runs would probably do" if found.more_runs else ""
    return f"{found.runs:.0f} independent runs show a loss of {found.error:.3f}, at most {found.upper_bound:.3f}{more}"


def _run_inputs(found: Certificate) -> float | None:
    return found.inputs / found.runs if found.runs >= 1 else None
