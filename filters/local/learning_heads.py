"""Light answers that go on learning at work, from every exact output that comes by."""

import logging
import threading
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...models.heads.calibration import logistic
from ...models.heads.guard import Guard
from ...models.heads.linear import Linear
from ...models.spec import digest
from ...outputs import Array
from ..gates.base import Decision, ModelOutput, Substitute
from .gate import LocalGate
from .sample import FairSample
from .spec import HeadSpec
from .state import Learning, StateFile

logger = logging.getLogger(__name__)

_LEAST = 1e-6


class LearningHeads(Learning, LocalGate):
    """Answers as `LocalGate` does, by what it has learnt at work, as long as the audit does not show that to be worse.

    What was certified are the heads in the file. From the first output that it learns from, its answers are not trusted
    any more; whoever audits it may trust them again.

    Args:
        path: what `infilink train heads` wrote.
        state: where what it learns is kept: .npz.

    Raises:
        InvalidInput: the file holds no heads, or `state` is damaged or another file's.
    """

    def __init__(self, path: Path | str, state: Path) -> None:
        super().__init__(path)
        self._state = StateFile(state, digest(self.path))
        self._kept, self._learning = self._linear, deepcopy(self._linear)
        self._guards = {model: Guard() for model in self.heads}
        self._samples = {model: FairSample() for model in self.heads}
        self._lock = threading.Lock()
        self._unfit = False
        self._restore()

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Which models need not run on the next frame (uint8 BGR), with the answers of their heads."""
        decision = super().decide(frame, captured_s)
        if decision.features is None:
            return decision
        for model in decision.answers:
            self._samples[model].pass_by()
        learn = partial(self._learn, decision.features, frozenset(decision.answers), captured_s)
        return replace(decision, learn=learn)

    def _answers(self, numbers: Array, features: Array) -> dict[str, tuple[float, Substitute | None]]:
        with self._lock:
            z = self._learning.standard(features)
            doubt = np.asarray([z[0] @ self._learning.covariance @ z[0]])
            versions = (z @ self._kept.weights, z @ self._learning.weights)
            return {
                spec.model: self._answer(spec, versions[self._guards[spec.model].learning_serves], doubt)
                for spec in self.spec.heads
            }

    def _confidence(self, spec: HeadSpec, own: Array, doubt: Array) -> float:
        stated = super()._confidence(spec, own, doubt)
        shift = self._guards[spec.model].shift
        if not shift:
            return stated
        stated = min(max(stated, _LEAST), 1.0 - _LEAST)
        return float(logistic(np.asarray([np.log(stated / (1.0 - stated)) + shift]))[0])

    def _is_unlike(self, doubt: float) -> bool:
        # What is forgotten at work raises all doubt, and what is new is learnt: the file's bound says nothing of it.
        return False

    def _threshold(self, certified: float) -> float:
        # Where the file's heads had hardly any doubt the certified one is so little that any doubt at work is above.
        return max(certified, 1.0 - self.spec.accuracy) if self.changed else certified

    def _trusts(self, spec: HeadSpec) -> bool:
        return super()._trusts(spec) and not self.changed

    def _learn(
        self, features: Array, answered: frozenset[str], captured_s: float, outputs: Mapping[str, ModelOutput]
    ) -> None:
        """Learns from what models said of an input; called from the thread that the answers come from."""
        exact = {spec.model: outputs[spec.model] for spec in self.spec.heads if spec.model in outputs}
        values = {}
        for spec in self.spec.heads:
            if spec.model not in exact or (spec.digest and exact[spec.model].digest not in ("", spec.digest)):
                continue
            try:
                values[spec.model] = spec.output.check(exact[spec.model].value)
            except InvalidInput as error:
                if not self._unfit:
                    logger.warning("%s: an output can't be learnt from (told once): %s", self.name, error)
                self._unfit = True
        if not values:
            return
        with self._lock:
            self._judge(features[None], values, answered)
            self._update(features, values)
            self._inputs += 1
            state = self._as_arrays() if self._state.due(captured_s) else None
        if state is not None:
            self._state.save(*state)

    def _judge(self, features: Array, values: Mapping[str, Array], answered: frozenset[str]) -> None:
        """Compares what was learnt with what it came from, before either has learnt from the input."""
        z = self._learning.standard(features)
        doubt = np.asarray([z[0] @ self._learning.covariance @ z[0]])
        for model, value in values.items():
            sample = self._samples[model]
            if model in answered:
                sample.drawn()
            elif not sample.takes():
                continue
            head = self.heads[model]
            versions = [z @ each.weights[:, head.columns] for each in (self._kept, self._learning)]
            kept, learning = (float(head.readout.agreements(numbers, [value])[0]) for numbers in versions)
            serving = versions[self._guards[model].learning_serves]
            stated = float(head.readout.confidence(serving, doubt)[0])
            verdict = self._guards[model].saw(kept, learning, stated)
            self._better += verdict == "better"
            self._worse += verdict == "worse"
            if verdict == "better":
                self._kept.weights[:, head.columns] = self._learning.weights[:, head.columns]
            elif verdict == "worse":
                self._learning.weights[:, head.columns] = self._kept.weights[:, head.columns]

    def _update(self, features: Array, values: Mapping[str, Array]) -> None:
        heads = [self.heads[model] for model in values]
        targets = np.concatenate(
            [head.readout.targets([value])[0] for head, value in zip(heads, values.values(), strict=True)]
        )
        columns = np.concatenate([np.arange(head.columns.start, head.columns.stop) for head in heads])
        share = len(columns) / max(1, self._learning.weights.shape[1])
        if share == 1.0:
            self._learning.update(features, targets)
        elif share:
            self._learning.update(features, targets, columns=columns, share=share)

    def _as_arrays(self) -> tuple[dict[str, Array], dict[str, int]]:
        arrays = {name: each.copy() for name, each in self._learning.as_arrays("learning").items()}
        arrays["kept.weights"] = self._kept.weights.copy()
        arrays |= {f"guard{number}": guard.agreed for number, guard in enumerate(self._guards.values())}
        return arrays, {"inputs": self._learnt_before + self._inputs}

    def _restore(self) -> None:
        found = self._state.load()
        if found is None:
            return
        arrays, plain = found
        learning = Linear.from_arrays(arrays, "learning")
        kept = np.asarray(arrays.get("kept.weights", np.zeros(0)), np.float64)
        if learning.weights.shape != self._kept.weights.shape or kept.shape != self._kept.weights.shape:
            raise InvalidInput(f"{self._state.path}: is damaged: delete it")
        self._learning, self._kept.weights = learning, kept
        for number, model in enumerate(self._guards):
            self._guards[model] = Guard(np.asarray(arrays[f"guard{number}"], np.float64).reshape(-1, 3))
        self._learnt_before = int(plain["inputs"])
