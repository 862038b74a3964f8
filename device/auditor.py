"""The device's side of the live audit: which unsent inputs are sent all the same, and what their answers show."""

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
    """An input that was sent for an audit, and the answers it would have had otherwise.

    Attributes:
        kept: whether some model would have run on it anyway.
        substitutes: the answers of the models that would not have run.
        reference: the kept input that these refer to.
    """

    kept: bool
    substitutes: Mapping[str, Substitute]
    reference: int | None


class Auditor:
    """Audits one stream's gate; `take` is called by the capture loop, `answered` by the uplink's thread.

    Args:
        share: the share of the unsent inputs that is audited, while the filter keeps its promise.
        target: the mean loss that the filter promised to stay below.
        outputs: the output specs of the models that the filter was learnt from.
        seed: of the random draw that picks them.
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

    def take(self, sequence: int, substitutes: Mapping[str, Substitute], *, kept: bool, reference: int | None) -> float:
        """Takes note of a decision, and draws whether it is audited.

        Args:
            sequence: the input's.
            substitutes: the models that need not run on it, each with its substitute.
            kept: whether other models are to run on it.
            reference: the kept input whose outputs stand in where a substitute has no value of its own.

        Returns:
            Above 0 if every model is to run on it all the same: the probability with which it was picked.
        """
        learnt = {name: each for name, each in substitutes.items() if name in self.outputs}
        with self._lock:
            self._audit.saw(unsent=bool(learnt))
            probability = 1.0 if self._audit.broken else self.share
            if not learnt or self._random.random() >= probability:
                return 0.0
            if reference is None and any(each.value is None for each in learnt.values()):
                return 0.0
            self._audited[sequence] = _Audited(kept, learnt, reference)
            _forget_oldest(self._audited)
            return probability

    def answered(self, sequence: int, values: Mapping[str, Array], exact: Container[str]) -> bool:
        """Takes an input's answer; whether the alarm changes with it.

        Args:
            sequence: the input's.
            values: the output that each model has there.
            exact: the models that ran on it.
        """
        with self._lock:
            audited = self._audited.pop(sequence, None)
            if audited is None or audited.kept:
                self._answers[sequence] = dict(values)
                _forget_oldest(self._answers)
            if audited is None:
                return False
            referred = {} if audited.reference is None else self._answers.get(audited.reference, {})
            losses = {}
            for model, substitute in audited.substitutes.items():
                value = referred.get(model) if substitute.value is None else substitute.value
                if model in exact and value is not None:
                    losses[model] = 1.0 - self.outputs[model].agreement(value, values[model])
            # Models that run on it in any case lose nothing.
            lossless = len(self.outputs.keys() - audited.substitutes.keys())
            return bool(losses) and self._audit.add(sum(losses.values()) / (len(losses) + lossless))

    def report(self) -> AuditReport:
        """What the filter loses, as far as the audits show."""
        with self._lock:
            return self._audit.report()


def _forget_oldest(items: dict[int, Any]) -> None:
    """Keeps the newest: an audit whose reference was answered long ago, or never, shows nothing."""
    while len(items) > _REMEMBERED:
        del items[next(iter(items))]
