"""The device's side of the live audit: which unsent inputs are sent all the same, and what their answers tell."""

import random
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..filters.audit import Audit, AuditReport
from ..filters.gates import Unsent
from ..outputs import Array, OutputSpec
from ..protos import edge_pb2

_REMEMBERED = 64


class Auditor:
    """Audits one stream's gate; `take` is called by the capture loop, `answered` by the uplink's thread.

    Args:
        share: how many of the unsent inputs are audited, while the filter is believed.
        target: the mean loss that the filter promised to stay below.
        unsent: how the models it was learnt from are answered for on what is not sent.
        outputs: those models' output specs.
        seed: of the lots.
    """

    def __init__(
        self,
        share: float,
        target: float,
        unsent: Mapping[str, Unsent],
        outputs: Mapping[str, OutputSpec],
        *,
        seed: int = 0,
    ) -> None:
        self.share = share
        self.unsent = dict(unsent)
        self.outputs = dict(outputs)
        self._audit = Audit(target)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        # The kept input that an audited one's answer would have referred to.
        self._references: dict[int, int] = {}
        self._answers: dict[int, dict[str, Array]] = {}

    @property
    def broken(self) -> bool:
        """Whether the filter was shown not to keep its promise: until it is again, everything is sent."""
        return self._audit.broken

    def take(self, sequence: int, *, keep: bool, reference: int | None) -> float:
        """Takes note of a decision.

        Returns:
            Above 0 if the input, which the filter would not keep, is to be sent all the same: with what probability.
        """
        with self._lock:
            self._audit.saw(unsent=not keep)
            probability = 1.0 if self._audit.broken else self.share
            if keep or reference is None or self._random.random() >= probability:
                return 0.0
            self._references[sequence] = reference
            _forget(self._references)
            return probability

    def answered(self, answer: edge_pb2.Result, values: Mapping[str, Array]) -> bool:
        """Takes an input's answer; true if by it the alarm goes on or off."""
        exact = {output.model for output in answer.outputs if output.origin == edge_pb2.ORIGIN_EXECUTED}
        with self._lock:
            reference = self._references.pop(answer.sequence, None)
            if reference is None:
                self._answers[answer.sequence] = dict(values)
                _forget(self._answers)
                return False
            served = self._answers.get(reference, {})
            losses = []
            for model, unsent in self.unsent.items():
                value = served.get(model) if unsent.value is None else unsent.value
                if model in exact and value is not None:
                    losses.append(1.0 - self.outputs[model].agreement(value, values[model]))
            return bool(losses) and self._audit.add(float(np.mean(losses)))

    def report(self) -> AuditReport:
        """How the filter does."""
        with self._lock:
            return self._audit.report()


def _forget(items: dict[int, Any]) -> None:
    """Keeps the newest: an audit whose reference was answered long ago, or never, tells nothing."""
    while len(items) > _REMEMBERED:
        del items[next(iter(items))]
