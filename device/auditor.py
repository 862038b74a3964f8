"""The device's side of the live audit: which unsent inputs are sent all the same, and what their answers show."""

import logging
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace

from ..filters.gates.audit import Audit, AuditReport, Draw
from ..filters.gates.base import Substitute
from ..filters.gates.event_watch import EventWatch
from ..filters.gates.parts import light_of, parts_of, things_in
from ..filters.rules.code import runs
from ..filters.terms import Terms
from ..outputs import Array, OutputSpec

logger = logging.getLogger(__name__)

# More than the window can hold (1024): an input that is forgotten shows nothing.
_AWAITED = 2048
_ANSWERS = 64

Lost = Callable[[Mapping[str, Substitute], Mapping[str, Array], Mapping[str, OutputSpec]], float | None]
"""A gate's `lost`: its own loss on an input."""


@dataclass(frozen=True)
class Asked:
    """What the audit asks of an input.

    Attributes:
        probability: above 0: not every model would run on it, but all shall; it was drawn with this probability.
        exact: whether all models are to run on it: also where they might anyway, as what is there must be known.
    """

    probability: float = 0.0
    exact: bool = False


@dataclass(frozen=True)
class _Awaited:
    """An input whose answer the audit waits for.

    Attributes:
        draw: for the audit; None: it was not drawn, and is only looked at for its events.
        kept: whether some model would have run on it anyway.
        substitutes: the answers of the models that would not have run.
        reference: the kept input that these refer to.
        captured_s: when it was captured.
        light: how bright it is, from 0 to 255; None where nobody asks.
    """

    draw: Draw | None
    kept: bool
    substitutes: Mapping[str, Substitute]
    reference: int | None
    captured_s: float
    light: float | None


class Auditor:
    """Audits one stream's gate; `take` is called by the capture loop, `answered` by the uplink's thread.

    What it finds it says in the log, once.

    Args:
        name: the gate's, for the log.
        share: the share of the inputs that is drawn while the gate keeps its promise; above 0, at most 1.
        terms: what the gate promises.
        lost: what it lost on an input, by the loss that its promise is about.
        outputs: the output specs of the models that it was learnt from.
        seed: of the random draws.
    """

    def __init__(
        self,
        name: str,
        share: float,
        terms: Terms,
        lost: Lost,
        outputs: Mapping[str, OutputSpec],
        *,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.terms = terms
        self.lost = lost
        self.outputs = dict(outputs)
        self._audit = Audit(
            None if terms.accuracy is None else 1.0 - terms.accuracy,
            share=share,
            run_inputs=terms.run_inputs,
            rate=terms.rate,
            parts=terms.parts,
            seed=seed,
        )
        self._events: EventWatch | None = None
        if terms.events is not None and terms.rule is not None and runs(terms.rule):
            self._events = EventWatch(terms.events.recall, terms.events.within_s)
        self._by_light = bool({"dark", "bright"} & terms.parts.keys())
        self._lock = threading.Lock()
        self._awaited: dict[int, _Awaited] = {}
        self._answers: dict[int, dict[str, Array]] = {}
        self._rate_far = ""
        self._shown_at, self._shown = 0, False
        self._told: set[str] = set()

    def take(
        self,
        sequence: int,
        substitutes: Mapping[str, Substitute],
        *,
        kept: bool,
        reference: int | None,
        captured_s: float = 0.0,
        image: Array | None = None,
    ) -> Asked:
        """Takes note of a decision, and draws whether it is audited.

        Args:
            sequence: the input's.
            substitutes: the models that need not run on it, each with its substitute.
            kept: whether other models are to run on it.
            reference: the kept input whose outputs stand in where a substitute has no value of its own.
            captured_s: when it was captured.
            image: the input itself.
        """
        learnt = {name: each for name, each in substitutes.items() if name in self.outputs}
        with self._lock:
            draw = self._audit.take(unsent=bool(learnt))
            if draw is not None and not learnt and not self.terms.parts and self._events is None:
                self._settle(draw, 0.0)
                return Asked()
            if draw is None and (learnt or self._events is None):
                return Asked()
            light = light_of(image) if draw is not None and self._by_light and image is not None else None
            self._awaited[sequence] = _Awaited(draw, kept, learnt, reference, captured_s, light)
            if len(self._awaited) > _AWAITED:
                self._miss(next(iter(self._awaited)))
            return Asked(1.0 / draw.inputs if draw is not None and learnt else 0.0, exact=draw is not None)

    def answered(self, sequence: int, values: Mapping[str, Array], exact: Container[str]) -> None:
        """Takes an input's answer.

        Args:
            sequence: the input's.
            values: the output that each model has there.
            exact: the models that ran on it.
        """
        with self._lock:
            awaited = self._awaited.pop(sequence, None)
            if awaited is None or awaited.kept:
                # The promise is about what the models say themselves, not about what stands in for them in the cloud.
                self._answers[sequence] = {name: value for name, value in values.items() if name in exact}
                if len(self._answers) > _ANSWERS:
                    del self._answers[next(iter(self._answers))]
            if awaited is not None:
                self._judge(awaited, {name: values[name] for name in self.outputs if name in values}, exact)

    def unanswered(self, sequence: int) -> None:
        """Takes note that an input was dropped or refused: nobody will know what was lost on it."""
        with self._lock:
            self._miss(sequence)

    @property
    def broken(self) -> bool:
        """Whether the gate is shown to lose more than it promised."""
        return self._audit.broken

    @property
    def shown(self) -> bool:
        """Whether the audits so far show that the gate keeps its promise."""
        if self.terms.accuracy is None or self._audit.broken:
            return False
        with self._lock:
            if self._audit.blocks != self._shown_at:
                self._shown_at = self._audit.blocks
                self._shown = self._audit.report().upper_bound <= 1.0 - self.terms.accuracy
            return self._shown

    def report(self) -> AuditReport:
        """What the gate loses, as far as the audits show."""
        with self._lock:
            events = self._events.report() if self._events is not None else None
            return replace(self._audit.report(), events=events)

    def forget(self) -> None:
        """What waits for its answer shows nothing: it may be of a camera that sees something else already."""
        with self._lock:
            for sequence in list(self._awaited):
                self._miss(sequence)

    def begin_anew(self) -> None:
        """What was found so far says nothing of what comes: the camera sees something else."""
        with self._lock:
            self._answers.clear()
            self._audit.begin_anew()
            self._shown_at, self._shown = 0, False

    def _miss(self, sequence: int) -> None:
        awaited = self._awaited.pop(sequence, None)
        if awaited is None:
            return
        if self._events is not None and not awaited.substitutes:
            self._events.pass_by(awaited.captured_s)
        if awaited.draw is not None:
            self._settle(awaited.draw, None)

    def _judge(self, awaited: _Awaited, values: dict[str, Array], exact: Container[str]) -> None:
        """Judges an input by its answer."""
        draw, ran = awaited.draw, bool(values) and all(model in exact for model in values)
        sent = not awaited.substitutes
        if self._events is not None and self.terms.rule is not None and (ran or sent):
            if ran:
                things = things_in(self.terms.rule, values, self.outputs)
                self._events.add(awaited.captured_s, things, sent=sent, drawn=draw is not None)
            else:
                self._events.pass_by(awaited.captured_s)
            if self._events.broken:
                self._tell_broken(self.terms.text)
        if draw is None:
            return
        loss = self._loss(awaited, values, exact)
        parts: frozenset[str] = frozenset()
        if self.terms.parts and ran:
            promised, rule, captured_s = self.terms.parts, self.terms.rule, awaited.captured_s
            parts = parts_of(promised, rule, values, self.outputs, captured_s=captured_s, light=awaited.light)
        self._settle(draw, loss, parts=parts)

    def _loss(self, awaited: _Awaited, values: Mapping[str, Array], exact: Container[str]) -> float | None:
        """What was lost on an input; None: its answer does not tell."""
        referred = {} if awaited.reference is None else self._answers.get(awaited.reference, {})
        answers = {}
        for model, each in awaited.substitutes.items():
            value = referred.get(model) if each.value is None else each.value
            if model not in exact or value is None:
                return None
            answers[model] = replace(each, value=value)
        return self.lost(answers, values, self.outputs) if answers else 0.0

    def _settle(self, draw: Draw, loss: float | None, *, parts: frozenset[str] = frozenset()) -> None:
        """Takes what was lost on a drawn input, and says what that shows."""
        if self._audit.settle(draw, loss, parts=parts):
            self._tell_alarm()
        if self._audit.rate_far != self._rate_far:
            self._rate_far = self._audit.rate_far
            self._tell_rate()
        for part in self._audit.broken_parts if parts else ():
            self._tell_broken(f"to keep {self.terms.parts[part]:g} of: {part}")

    def _tell_alarm(self) -> None:
        if self._audit.broken:
            logger.warning(
                "%s loses more than the %.3f it promised: everything is sent until it does not (train it again)",
                self.name,
                self._audit.target,
            )
        else:
            logger.warning("%s keeps its promise again", self.name)

    def _tell_rate(self) -> None:
        if not self._rate_far:
            logger.warning("%s drops as much as in calibration again", self.name)
            return
        assert self.terms.rate is not None, "a rate that is not known is not watched"
        logger.warning(
            "%s drops far %s than in calibration, where it was %.0f to %.0f %% of the inputs: this may be another "
            "scene than it learnt from; more of what it drops is audited",
            self.name,
            "more" if self._rate_far == "above" else "less",
            *(100 * share for share in self.terms.rate),
        )

    def _tell_broken(self, promise: str) -> None:
        if promise not in self._told:
            self._told.add(promise)
            logger.warning("%s does not keep its promise %s (train it again)", self.name, promise)
