"""A SKIP filter that keeps learning while it is at work: a gate around its file. NumPy and onnxruntime only."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from ..gates.base import Decision, Substitute
from ..gates.learned import FilterRuntime
from .folder import OnlineFolder, digest_of, updates_of
from .inputs import last_seen
from .labelling import Labelling
from .labels import Labels
from .live import LiveStats, LiveUpdate
from .trainable import check_installed, check_runs, trained_rule
from .updater import COMMAND, Updater

logger = logging.getLogger(__name__)

_EXAMPLES = 256


class OnlineGate:
    """Decides as its filter does, keeps a few inputs more, and goes over to a newer filter once a period.

    What the models say of the inputs that are kept is learnt in a process of its own. Until that has ended, and if it
    fails, the filter that was in service stays; a failed update is tried again at the next start, or else given up
    for that of the next period. With nothing proven a new filter keeps everything.

    Args:
        path: the filter that it begins with: of frames, of kind "network", with a rule on one output.
        live: how it is updated.
        seed: of the random draws.
        close_timeout_s: how long an update that runs at the end may take to end.
        command: what an update is run by; the folder's path is its last argument.
        rule_files: of a rule that is Python code: the files that may run, as a person has named them.

    Raises:
        InvalidInput: the filter is of another kind, its rule is code that nobody has named, the folder is another
            filter's, or there is nothing to train with.
    """

    def __init__(
        self,
        path: Path | str,
        live: LiveUpdate,
        *,
        seed: int = 0,
        close_timeout_s: float = 30.0,
        command: Sequence[str] = COMMAND,
        rule_files: Sequence[Path] = (),
    ) -> None:
        check_installed()
        self.path = Path(path)
        self.live = live
        self.close_timeout_s = close_timeout_s
        self.name = self.path.stem
        self.folder = OnlineFolder(live.folder)
        self.filter = FilterRuntime(self.path, rule_files=rule_files)
        rule = trained_rule(self.path, self.filter.spec, self.filter.rule)
        check_runs(self.path, rule)
        self.accuracy: float | None = self.filter.accuracy
        newest = self.folder.newest(self.path)
        if newest != self.path:
            self.filter.use(newest)
        updates = updates_of(self.filter.spec)
        self._began = digest_of(self.path)
        self._labelling = Labelling(
            rule,
            self.filter.spec.models,
            self.folder.unfinished(self._began) or Labels(_EXAMPLES),
            share=live.share,
            random=np.random.default_rng([seed, updates]),
        )
        self._updater = Updater(self.folder, command)
        self._resumes = self.folder.waiting(updates)
        self._answers: dict[str, Substitute | None] = {}
        self._rate = self.filter.spec.certificate.rate
        self._last_s: float | None = None
        self._updates = self._failed = 0

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Whether to keep the next frame (uint8 BGR), captured at `captured_s` seconds."""
        self._turn(captured_s)
        found = self.filter.decide(frame, captured_s)
        if not found.keep:
            found = replace(found, answers=self._answers)
        if not np.isfinite(found.score):
            return found
        probability = self._labelling.take(found.score, kept=found.keep)
        if not probability:
            return found
        assert self.filter.channels is not None, "a network sees a stream"
        seen = last_seen(self.filter.channels, captured_s)
        learn = self._labelling.learner(seen, score=found.score, kept=found.keep, probability=probability)
        return Decision(True, found.score, found.threshold, learn=learn, asks=not found.keep)

    def reset(self) -> None:
        """Starts a new stream; what was labelled stays known."""
        self.filter.reset()
        self._last_s = None

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the filter's certificate says; a model that it was not learnt from is reused on trust.

        Raises:
            InvalidInput: the rule does not fit what the model returns.
        """
        if model in self._labelling.models:
            self._labelling.rule.check(output)
            self._labelling.outputs[model] = output
        return self.filter.substitute(model, output)

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """As its filter says."""
        return self.filter.lost(answers, exact, outputs)

    def stats(self) -> LiveStats:
        """What came of it since it was opened."""
        return LiveStats(self._labelling.asked, self._labelling.labelled, self._updates, self._failed)

    def close(self) -> None:
        """Writes what was labelled since the last update, and waits for one that runs.

        One that takes longer than `close_timeout_s` is stopped, and begun again by the next start.
        """
        ended = self._updater.close(self.close_timeout_s)
        if ended is not None:
            self._take_over(ended)
        labels = self._labelling.renew(labels=Labels(_EXAMPLES))
        if len(labels):
            self._attempt(lambda: self._save(labels, self.folder.pending))

    def _turn(self, captured_s: float) -> None:
        """Brings in what an update has brought, and starts the next when it is due."""
        labels = self._labelling.labels
        labels.elapsed_s += 0.0 if self._last_s is None else max(0.0, captured_s - self._last_s)
        self._last_s = captured_s
        failure = self._updater.ended()
        if failure is not None:
            self._take_over(failure)
        if self._updater.running:
            return
        if self._resumes:
            self._resumes = False
            self._attempt(self._updater.start)
        elif labels.elapsed_s >= self.live.period_s and labels.tells(1.0 - self.filter.spec.accuracy):
            self._rate = self._labelling.skipped / labels.inputs
            self._labelling.renew(labels=Labels(_EXAMPLES))
            self._attempt(
                lambda: self._save(labels, self.folder.labels),
                lambda: self.folder.pending.unlink(missing_ok=True),
                self._updater.start,
            )

    def _take_over(self, failure: str) -> None:
        """An update has ended: if it did not fail, its filter comes into service."""
        if failure:
            self._fail(failure)
            return
        before = self.filter.threshold
        try:
            self.filter.use(self.folder.filter)
        except InvalidInput as error:
            self._fail(str(error))
            return
        self.folder.labels.unlink(missing_ok=True)
        self._labelling.changed()
        self._updates += 1
        outputs = self._labelling.outputs
        self._answers = {name: self.filter.substitute(name, output) for name, output in outputs.items()}
        self._tell(before)

    def _tell(self, before: float) -> None:
        spec = self.filter.spec
        found = spec.certificate
        logger.info(
            "%s: update %d is in service: by its labels it skips %.0f %% (before: %.0f %%), %scertified to lose at "
            "most %.3f; threshold %.3f (before: %.3f%s)",
            self.name,
            updates_of(spec),
            100 * found.rate,
            100 * self._rate,
            "" if found.certified else "not ",
            1.0 - spec.accuracy,
            spec.threshold,
            before,
            "" if found.certified else "; it keeps everything",
        )

    def _attempt(self, *steps: Callable[[], None]) -> None:
        """A disk that is full must not end the stream."""
        try:
            for step in steps:
                step()
        except OSError as error:
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self._failed += 1
        logger.warning("%s: an update failed, the filter in service stays: %s", self.name, why)

    def _save(self, labels: Labels, path: Path) -> None:
        updates = updates_of(self.filter.spec)
        facts = {
            "update": updates + 1,
            "began": self._began,
            "filter": str((self.folder.filter if updates else self.path).resolve()),
            "models": self._labelling.models,
        }
        self.folder.path.mkdir(parents=True, exist_ok=True)
        labels.save(path, facts)
