"""The device's side of the live audit: which unsent inputs are sent all the same, and what their answers show."""

import logging
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from ..filters.gates.audit import Audit, AuditReport, Draw
from ..filters.gates.base import Substitute
from ..filters.gates.parts import light_of, parts_of
from ..filters.terms import Terms
from ..outputs import Array, OutputSpec

logger = logging.getLogger(__name__)

# More than the window can hold (1024): an input that is forgotten shows nothing.
_AUDITED = 2048
_ANSWERS = 64

Lost = Callable[[Mapping[str, Substitute], Mapping[str, Array], Mapping[str, OutputSpec]], float | None]
"""A gate's `lost`: its own loss on an input."""


@dataclass(frozen=True)
class _Drawn:
    """An input that was drawn and is to be answered.

    Attributes:
        draw: for the audit.
        kept: whether some model would have run on it anyway.
        substitutes: the answers of the models that would not have run.
        reference: the kept input that these refer to.
        captured_s: when it was captured.
        light: how bright it is, from 0 to 255; None where nobody asks.
    """

    draw: Draw
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
            1.0 - terms.accuracy,
            share=share,
            run_inputs=terms.run_inputs,
            rate=terms.rate,
            parts=terms.parts,
            seed=seed,
        )
        self._by_light = bool({"dark", "bright"} & terms.parts.keys())
        self._lock = threading.Lock()
        self._drawn: dict[int, _Drawn] = {}
        self._answers: dict[int, dict[str, Array]] = {}
        self._rate_far = ""
        self._parts_broken: set[str] = set()

    def take(
        self,
        sequence: int,
        substitutes: Mapping[str, Substitute],
        *,
        kept: bool,
        reference: int | None,
        captured_s: float = 0.0,
        image: Array | None = None,
    ) -> float:
        """Takes note of a decision, and draws whether it is audited.

        Args:
            sequence: the input's.
            substitutes: the models that need not run on it, each with its substitute.
            kept: whether other models are to run on it.
            reference: the kept input whose outputs stand in where a substitute has no value of its own.
            captured_s: when it was captured.
            image: the input itself.

        Returns:
            Above 0 if every model is to run on it all the same: the probability with which it was drawn.
        """
        learnt = {name: each for name, each in substitutes.items() if name in self.outputs}
        with self._lock:
            draw = self._audit.take(unsent=bool(learnt))
            if draw is None:
                return 0.0
            if not learnt and not self.terms.parts:
                self._settle(draw, 0.0, unsent=False)
                return 0.0
            light = light_of(image) if self._by_light and image is not None else None
            self._drawn[sequence] = _Drawn(draw, kept, learnt, reference, captured_s, light)
            if len(self._drawn) > _AUDITED:
                self._settle(self._drawn.pop(next(iter(self._drawn))).draw, None)
            return 1.0 / draw.inputs if learnt else 0.0

    def answered(self, sequence: int, values: Mapping[str, Array], exact: Container[str]) -> None:
        """Takes an input's answer.

        Args:
            sequence: the input's.
            values: the output that each model has there.
            exact: the models that ran on it.
        """
        with self._lock:
            drawn = self._drawn.pop(sequence, None)
            if drawn is None or drawn.kept:
                self._answers[sequence] = dict(values)
                if len(self._answers) > _ANSWERS:
                    del self._answers[next(iter(self._answers))]
            if drawn is not None:
                self._judge(drawn, {name: values[name] for name in self.outputs if name in values}, exact)

    def unanswered(self, sequence: int) -> None:
        """Takes note that an input was dropped or refused: nobody will know what was lost on it."""
        with self._lock:
            drawn = self._drawn.pop(sequence, None)
            if drawn is not None:
                self._settle(drawn.draw, None)

    def report(self) -> AuditReport:
        """What the gate loses, as far as the audits show."""
        with self._lock:
            return self._audit.report()

    def _judge(self, drawn: _Drawn, values: dict[str, Array], exact: Container[str]) -> None:
        referred = {} if drawn.reference is None else self._answers.get(drawn.reference, {})
        answers = {}
        for model, each in drawn.substitutes.items():
            value = referred.get(model) if each.value is None else each.value
            if model not in exact or value is None:
                self._settle(drawn.draw, None)
                return
            answers[model] = Substitute(each.origin, value, each.confidence, each.trusted)
        loss = self.lost(answers, values, self.outputs)
        parts: frozenset[str] = frozenset()
        if self.terms.parts and all(model in exact for model in values):
            promised, rule = self.terms.parts, self.terms.rule
            parts = parts_of(promised, rule, values, self.outputs, captured_s=drawn.captured_s, light=drawn.light)
        self._settle(drawn.draw, loss, unsent=bool(drawn.substitutes), parts=parts)

    def _settle(
        self, draw: Draw, loss: float | None, *, unsent: bool = True, parts: frozenset[str] = frozenset()
    ) -> None:
        changed = self._audit.settle(draw, loss, unsent=unsent, parts=parts)
        if changed:
            self._tell_alarm()
        if self._audit.rate_far != self._rate_far:
            self._rate_far = self._audit.rate_far
            self._tell_rate()
        if parts:
            self._tell_parts()

    def _tell_alarm(self) -> None:
        target = self._audit.target
        if self._audit.broken:
            logger.warning(
                "%s loses more than the %.3f it promised: everything is sent until it does not (train it again)",
                self.name,
                target,
            )
        else:
            logger.warning("%s keeps its promise again", self.name)

    def _tell_rate(self) -> None:
        assert self.terms.rate is not None, "a rate that is not known is not watched"
        low, high = self.terms.rate
        if self._rate_far:
            logger.warning(
                "%s drops far %s than in calibration, where it was %.0f to %.0f %% of the inputs: this may be another "
                "scene than it learnt from; more of what it drops is audited",
                self.name,
                "more" if self._rate_far == "above" else "less",
                100 * low,
                100 * high,
            )
        else:
            logger.warning("%s drops as much as in calibration again", self.name)

    def _tell_parts(self) -> None:
        for part in self._audit.broken_parts:
            if part not in self._parts_broken:
                self._parts_broken.add(part)
                least = self.terms.parts[part]
                logger.warning("%s does not keep the %.3f it promised of: %s (train it again)", self.name, least, part)
