"""One filter for several models: a shared encoder and a decision per model (the extended InFi paper)."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...outputs import Array, OutputSpec
from ..rules.code import runs
from ..rules.loss import rule_loss
from ..spec import load_tasks
from .base import Decision, Substitute
from .learned import feed_of

logger = logging.getLogger(__name__)


class TasksRuntime:
    """A gate that keeps an input if any of its models needs it, and says which of them need not run.

    It fails open: an input on which the filter itself fails is kept, for every model.

    Args:
        path: what `infilink train tasks` wrote.
        rule_files: of rules that are Python code: the files that may run, as a person has named them.

    Attributes:
        rules: per model what is redundant.

    Raises:
        InvalidInput: it is no filter.
    """

    def __init__(self, path: Path | str, *, rule_files: Sequence[Path] = ()) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.spec, session = load_tasks(self.path)
        self.rules = self.spec.rules_with(rule_files)
        self.accuracy: float | None = min(task.accuracy for task in self.spec.tasks)
        self._feed = feed_of(session, self.spec.tasks[0])
        self._thresholds = np.asarray([task.threshold for task in self.spec.tasks])
        self._failed = False

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Whether to keep the next input: its score is how far the neediest model's is above its threshold."""
        above = self._scores(value, captured_s) - self._thresholds
        # Written so that NaN keeps.
        needed = ~(above <= 0.0)
        skipped = [model for model, need in zip(self.spec.models, needed, strict=True) if not need]
        known = not np.isnan(above).any()
        score, features = (float(above.max()), self._feed.features) if known else (None, None)
        answers: dict[str, Substitute | None] = dict.fromkeys(skipped)
        return Decision(bool(needed.any()), score, 0.0, answers, features=features, failed=not known)

    def use_thresholds(self, thresholds: Sequence[float] | None) -> None:
        """Decides by other thresholds from now on, one for each task; None: by its own again."""
        own = [task.threshold for task in self.spec.tasks]
        self._thresholds = np.asarray(own if thresholds is None else thresholds)

    def reset(self) -> None:
        """Starts a new stream."""
        self._feed.reset()

    def rebase(self) -> None:
        """As a new stream does."""
        self.reset()

    def close(self) -> None:
        """Nothing outlives it."""

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the model's own certificate says; for a model that it was not learned from, the last answer on trust."""
        if model not in self.spec.models:
            return Substitute()
        task = self.spec.tasks[self.spec.models.index(model)]
        found = task.certificate
        return Substitute("skipped", task.answer(model, output), 1.0 - found.error, found.certified)

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """The share of the models whose output was needed and that did not run, each by its own rule."""
        known = [model for model in self.spec.models if model in exact]
        if not known or not all(runs(self.rules[model]) for model in known):
            return None
        lost = 0.0
        for model in known:
            answer = {model: answers[model].value} if model in answers else {}
            lost += rule_loss(self.rules[model], answer, {model: exact[model]}, outputs)
        return lost / len(known)

    def _scores(self, value: Array, captured_s: float) -> Array:
        try:
            return np.asarray(self._feed.scores(value, captured_s), np.float64)
        except Exception:  # whatever it is: an input too many costs less than one that is lost
            if not self._failed:
                logger.exception("%s failed on an input and keeps it; later failures are not logged", self.path)
            self._failed = True
            return np.full(len(self._thresholds), np.nan)


def decides_for_several(path: Path) -> bool:
    """Whether a filter's file decides for several models.

    Raises:
        InvalidInput: it is no filter.
    """
    return len(load_tasks(path)[0].tasks) > 1
