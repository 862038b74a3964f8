"""The device's side of the live audit: which unsent inputs are sent all the same, and what their answers tell."""

import random
import threading
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from ..filters.gates.audit import Audit, AuditReport
from ..filters.gates.base import Substitute
from ..outputs import Array, OutputSpec

_REMEMBERED = 64


@dataclass(frozen=True)
class _Audited:
    """An input that was sent for an audit, as it would have been answered.

    Attributes:
        kept: whether some model looks at it anyway.
        unsent: how the others would have been answered for.
        reference: the kept input that this refers to.
    """

    kept: bool
    unsent: Mapping[str, Substitute]
    reference: int | None


class Auditor:
    """Audits one stream's gate; `take` is called by the capture loop, `answered` by the uplink's thread.

    Args:
        share: how many of the unsent inputs are audited, while the filter is believed.
        target: the mean loss that the filter promised to stay below.
        outputs: the output specs of the models that the filter was learnt from.
        seed: of the lots.
    """

    def __init__(
        self,
        share: float,
        target: float,
        outputs: Mapping[str, OutputSpec],
        *,
        seed: int = 0,
    ) -> None:
        self.share = share
        self.outputs = dict(outputs)
        self._audit = Audit(target)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._audited: dict[int, _Audited] = {}
        self._answers: dict[int, dict[str, Array]] = {}

    @property
    def broken(self) -> bool:
        """Whether the filter was shown not to keep its promise: until it is again, everything is sent."""
        return self._audit.broken

    def take(self, sequence: int, unsent: Mapping[str, Substitute], *, kept: bool, reference: int | None) -> float:
        """Takes note of a decision.

        Args:
            sequence: of which input.
            unsent: the models that are not to look at it, and how they are answered for.
            kept: whether others are.
            reference: the kept input whose answers are taken where `unsent` has no value.

        Returns:
            Above 0 if all models are to look at it all the same: with what probability.
        """
        unsent = {name: each for name, each in unsent.items() if name in self.outputs}
        with self._lock:
            self._audit.saw(unsent=bool(unsent))
            probability = 1.0 if self._audit.broken else self.share
            if not unsent or self._random.random() >= probability:
                return 0.0
            if reference is None and any(each.value is None for each in unsent.values()):
                return 0.0
            self._audited[sequence] = _Audited(kept, unsent, reference)
            _forget(self._audited)
            return probability

    def answered(self, sequence: int, values: Mapping[str, Array], exact: Container[str]) -> bool:
        """Takes an input's answer; true if by it the alarm goes on or off.

        Args:
            sequence: of which input.
            values: what each model was said to say.
            exact: the models that ran on it.
        """
        with self._lock:
            audited = self._audited.pop(sequence, None)
            if audited is None or audited.kept:
                self._answers[sequence] = dict(values)
                _forget(self._answers)
            if audited is None:
                return False
            served = {} if audited.reference is None else self._answers.get(audited.reference, {})
            losses = {}
            for model, unsent in audited.unsent.items():
                value = served.get(model) if unsent.value is None else unsent.value
                if model in exact and value is not None:
                    losses[model] = 1.0 - self.outputs[model].agreement(value, values[model])
            # Models that look at it in any case lose nothing.
            sent = len(self.outputs.keys() - audited.unsent.keys())
            return bool(losses) and self._audit.add(sum(losses.values()) / (len(losses) + sent))

    def report(self) -> AuditReport:
        """How the filter does."""
        with self._lock:
            return self._audit.report()


def _forget(items: dict[int, Any]) -> None:
    """Keeps the newest: an audit whose reference was answered long ago, or never, tells nothing."""
    while len(items) > _REMEMBERED:
        del items[next(iter(items))]
