"""A learned filter at work: runs its file on one input after another, each in well under a millisecond."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from ...outputs import Array, OutputSpec
from ..budget import BudgetControl
from ..modalities import Modality
from ..modalities.stream import LOW_LEVEL, Channels
from ..modalities.video import Video, Window
from ..rules.code import runs
from ..rules.loss import rule_loss
from ..spec import FilterSpec, Level, load_filter, load_tasks
from .base import Decision, Learn, Substitute
from .held_feed import AnswerNumbers, HeldFeed
from .stem_feed import StemFeed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FilterStats:
    """What a filter did so far: inputs seen, inputs kept, and inputs kept because it failed on them."""

    seen: int
    kept: int
    failed: int


class FilterRuntime:
    """A learned gate (`infilink train filter`). The first frame of a camera is always kept.

    It fails open: an input on which the filter itself fails, or scores NaN, is kept.

    Args:
        path: the filter's `.onnx` file.
        accuracy: the accuracy to keep; None: the one that it was trained for.
        task: of a file that decides for several models: the model.
        rule_files: of a rule that is Python code: the files that may run, as a person has named them.
        camera: whose inputs these are, by name, if the filter was learnt from several cameras; empty: it is not said.

    Attributes:
        rule: what is redundant, by its file.
        feed: prepares its inputs and runs its graph.
        channels: what it sees of the stream, if its inputs are frames and it has no stem; None otherwise.

    Raises:
        InvalidInput: the file is no filter, or no threshold of it is proven to keep that accuracy.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        accuracy: float | None = None,
        task: str = "",
        rule_files: Sequence[Path] = (),
        camera: str = "",
    ) -> None:
        self.path = Path(path)
        self.name = f"{self.path.stem}#{task}" if task else self.path.stem
        known, session = load_filter(self.path, task=task)
        self.spec = known.of_camera(camera)
        if camera and known.cameras:
            self._say(camera, known)
        self.rule = self.spec.rule_with(rule_files)
        self._column = 0 if not task else load_tasks(self.path)[0].models.index(task)
        self.accuracy: float | None = None
        self._take_promise()
        if accuracy is not None:
            level = self.spec.level(accuracy)
            self.threshold, self.certified = level.threshold, True
            if self.spec.events is None:
                self.accuracy, self._error = accuracy, level.error
        self.feed = feed_of(session, self.spec)
        self.channels = self.feed.channels if isinstance(self.feed, Feed) else None
        self._stream = self.spec.modality is None
        self._budget = None if self.spec.budget is None else BudgetControl(self.spec.budget)
        self._first = True
        # The score of the last kept input, and when that was captured.
        self._kept_score = math.nan
        self._kept_s = -math.inf
        self._seen = self._kept = self._failed = 0
        # What it decides by as it was opened, once it decides by something else.
        self._own: tuple[float, bool, float] | None = None

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Whether to keep the next input, captured at `captured_s` seconds.

        Args:
            value: a frame (uint8 BGR), or what the filter's modality takes.
            captured_s: on the source's clock.
        """
        found = self._score(value, captured_s)
        score = found
        if self.spec.keeps == "flip":
            score = float(self.spec.flipped(captured_s - self._kept_s, found, self._kept_score))
        longest_s = self.spec.longest_s
        overdue = longest_s is not None and captured_s - self._kept_s >= longest_s
        first = self._first and self._stream
        threshold = self.threshold if self._budget is None else self._budget.threshold(self.threshold)
        # Written so that NaN keeps.
        keep = first or overdue or not score <= threshold
        if self._budget is not None:
            self._budget.note(sent=keep)
        self._seen += 1
        self._failed += math.isnan(found)
        self._kept += keep
        learn: Learn | None = None
        if keep:
            self._kept_score, self._kept_s = found, captured_s
            learn = self.feed.kept()
            self._first = False
        features = None if math.isnan(found) else self.feed.features
        scored = score if math.isfinite(score) else None
        return Decision(keep, scored, self.threshold, learn=learn, features=features, failed=math.isnan(found))

    @property
    def remembers(self) -> bool:
        """Whether what it decides on an input depends on those before, so that it can't be tried on some of them."""
        spec = self.spec
        return self.feed.remembers or spec.held or spec.longest_s is not None or spec.budget is not None

    def use_level(self, level: Level | None, certified: bool) -> None:
        """Decides by another threshold of its table from now on, with that one's error; None: by its own again.

        A budget is halved for as long.
        """
        if self._own is None:
            self._own = (self.threshold, self.certified, self._error)
        own_threshold, own_certified, own_error = self._own
        self.threshold = own_threshold if level is None else level.threshold
        self.certified = own_certified if level is None else certified
        self._error = own_error if level is None else level.error
        budget = self.spec.budget
        if budget is not None:
            share = budget.share if level is None else budget.share / 2.0
            self._budget = BudgetControl(budget.model_copy(update={"share": share}))

    def reset(self) -> None:
        """Starts a new stream."""
        self.feed.reset()
        if self._budget is not None:
            self._budget.reset()
        self._first = True
        self._kept_score, self._kept_s = math.nan, -math.inf

    def rebase(self) -> None:
        """As a new stream does."""
        self.reset()

    def close(self) -> None:
        """Nothing outlives it."""

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the filter's certificate says; for a model that it was not learned from, the last answer on trust."""
        if model not in self.spec.models:
            return Substitute()
        value = None if self.spec.held else self.spec.answer(model, output)
        return Substitute("reused" if value is None else "skipped", value, 1.0 - self._error, self.certified)

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """By the filter's rule; None if that is Python code and nobody named the file."""
        known = {model: value for model, value in exact.items() if model in self.spec.models}
        if not known or not runs(self.rule):
            return None
        values = {model: each.value for model, each in answers.items() if model in known}
        return rule_loss(self.rule, values, known, outputs)

    def stats(self) -> FilterStats:
        """What it did since it was opened."""
        return FilterStats(self._seen, self._kept, self._failed)

    def _say(self, camera: str, known: FilterSpec) -> None:
        """What is not proven at the camera that this serves."""
        if camera not in known.cameras:
            names = ", ".join(sorted(known.cameras))
            logger.warning(
                "%s: camera %r is none of those that it was learnt from (%s): it decides by what they have in common, "
                "of which nothing is proven here; record it and train again",
                self.path,
                camera,
                names,
            )
        elif not self.spec.certificate.certified:
            more = self.spec.certificate.more_runs
            logger.warning(
                "%s: not certified for camera %r%s",
                self.path,
                camera,
                f": some {more} more runs of it needed" if more else "",
            )

    def _take_promise(self) -> None:
        """What its file promises: an accuracy; or events, and then how far the answers in between agreed."""
        events, found = self.spec.events, self.spec.certificate
        self.accuracy = self.spec.accuracy if events is None else None
        self._error = found.error if events is None else 1.0 - events.agreement
        self.threshold, self.certified = self.spec.threshold, found.certified

    def _score(self, value: Array, captured_s: float) -> float:
        try:
            return float(self.feed.scores(value, captured_s)[self._column])
        except Exception:  # whatever it is: an input too many costs less than one that is lost
            if not self._failed:
                logger.exception("%s failed on an input and keeps it; later failures are only counted", self.path)
            return math.nan


class Feed:
    """Prepares the inputs of one stream for a filter's graph and runs it, at work and in measurements alike.

    Frames of a stream are seen through `Channels`, in the same few buffers each time.

    Args:
        session: of the graph.
        modality: how an input is prepared; None: it is a frame of a stream.
        pairwise: whether frames are compared with the last kept one.
        step_s: the least time to the previous frame, in seconds of capture.

    Attributes:
        channels: what is seen of the stream; None for inputs that a modality prepares.
        features: none: it has no stem.
    """

    features: Array | None = None

    def __init__(
        self, session: ort.InferenceSession, modality: Modality | None, *, pairwise: bool, step_s: float
    ) -> None:
        self.channels: Channels | None = None
        self._session = session
        self._modality = modality
        self._window = Window(modality) if isinstance(modality, Video) else None
        self._inputs: dict[str, Array] = {}
        if modality is None:
            wanted = [each.name for each in session.get_inputs()]
            low_level = [name for name in wanted if name in LOW_LEVEL]
            self.channels = Channels(pairwise=pairwise, step_s=step_s, low_level=low_level)
            seen = {"channels": self.channels.tensor, "scalars": self.channels.scalars, **self.channels.differences}
            self._inputs = {name: seen[name] for name in wanted}

    def run(self, value: Array, captured_s: float) -> list[Any]:
        """The graph's outputs for the next input, captured at `captured_s` seconds."""
        if self.channels is not None:
            self.channels.see(value, captured_s)
            return list(self._session.run(None, self._inputs))
        return list(self._session.run(None, {"input": self._prepared(value)[None]}))

    def scores(self, value: Array, captured_s: float) -> Array:
        """The scores (tasks,) of the next input, captured at `captured_s` seconds."""
        found = self.run(value, captured_s)
        if self.channels is not None:
            # The last output is carried to the next input; where there is one output, that is the score.
            self.channels.carry(float(found[-1][0, 0]))
        return np.asarray(found[0][0])

    @property
    def remembers(self) -> bool:
        """Whether a score depends on earlier inputs."""
        return self.channels is not None or self._window is not None

    def kept(self) -> Learn | None:
        """Notes that the input last seen is kept; it learns nothing from the models' outputs for it."""
        if self.channels is not None:
            self.channels.kept()
        return None

    def reset(self) -> None:
        """Starts a new stream."""
        if self.channels is not None:
            self.channels.reset()
        if self._window is not None:
            self._window.reset()

    def _prepared(self, value: Array) -> Array:
        assert self._modality is not None
        # A whole clip is prepared as such; single frames make a window of the newest ones.
        if self._window is not None and value.ndim == 3:
            return self._window.see(value)
        return np.asarray(self._modality.prepare(value))


def feed_of(session: ort.InferenceSession, spec: FilterSpec) -> Feed | StemFeed | HeldFeed:
    """What feeds a filter's graph."""
    if spec.stem is not None and spec.compared:
        numbers = AnswerNumbers(spec.outputs, spec.compared)
        return HeldFeed(session, spec.stem.spec, numbers, step_s=spec.step_s)
    if spec.stem is not None:
        return StemFeed(session, spec.stem.spec)
    return Feed(session, spec.modality, pairwise=spec.pairwise, step_s=spec.step_s)
