"""A learned filter at work: one frame in, one decision out, in well under a millisecond."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from ..outputs import Array, OutputSpec
from .channels import Channels
from .gates import Decision, Unsent
from .low_level import LOW_LEVEL
from .modalities.video import Video, Window
from .spec import load_filter, load_tasks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FilterStats:
    """What a filter did so far: inputs seen, inputs kept, and inputs kept because it failed on them."""

    seen: int
    kept: int
    failed: int


class FilterRuntime:
    """A gate that was learnt (`infilink train filter`). The first frame of a stream is always kept.

    It fails open: a frame on which the filter itself fails, or scores NaN, is kept.

    Args:
        path: the filter's `.onnx` file.
        accuracy: what it is to keep; None: what it was trained for.
        task: of a file that decides for several models: which one.

    Raises:
        InvalidInput: it is none, or is not proven to keep that accuracy at any threshold.
    """

    def __init__(self, path: Path | str, *, accuracy: float | None = None, task: str = "") -> None:
        self.path = Path(path)
        self.name = f"{self.path.stem}#{task}" if task else self.path.stem
        self.spec, self._session = load_filter(self.path, task=task)
        self._column = 0 if not task else load_tasks(self.path)[0].models.index(task)
        found = self.spec.certificate
        self.accuracy: float | None = self.spec.accuracy
        self.threshold, self._error, self.certified = self.spec.threshold, found.error, found.certified
        if accuracy is not None:
            level = self.spec.level(accuracy)
            self.accuracy, self.threshold, self._error, self.certified = accuracy, level.threshold, level.error, True
        wanted = [each.name for each in self._session.get_inputs()]
        low_level = [name for name in wanted if name in LOW_LEVEL]
        self._channels = Channels(pairwise=self.spec.pairwise, step_s=self.spec.step_s, low_level=low_level)
        self._modality = self.spec.modality
        self._window = Window(self._modality) if isinstance(self._modality, Video) else None
        seen = {
            "channels": self._channels.tensor,
            "scalars": self._channels.scalars,
            **self._channels.differences,
        }
        self._inputs = {name: seen[name] for name in wanted if name in seen}
        self._first = True
        self._seen = self._kept = self._failed = 0

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Whether to keep the next input, captured at `captured_s` seconds.

        Args:
            frame: uint8 BGR; or what the filter's modality takes.
            captured_s: on the source's clock.
        """
        score = self._score(frame, captured_s)
        longest_s = self.spec.longest_s
        overdue = longest_s is not None and self._channels.age_s >= longest_s
        # Written so that NaN keeps.
        first = self._first and self._modality is None
        keep = first or overdue or not score <= self.threshold
        self._seen += 1
        self._failed += math.isnan(score)
        self._kept += keep
        if self._modality is None:
            self._channels.carry(score)
            if keep:
                self._channels.kept()
                self._first = False
        return Decision(keep, score, self.threshold)

    def reset(self) -> None:
        """Starts a new stream."""
        self._channels.reset()
        self._first = True
        if self._window is not None:
            self._window.reset()

    def close(self) -> None:
        """Nothing outlives it."""

    def unsent(self, model: str, output: OutputSpec) -> Unsent:
        """As the filter's certificate says; a model that it was not learnt from is reused on trust."""
        if model not in self.spec.models:
            return Unsent()
        value = None if self.spec.pairwise else self.spec.answer(model, output)
        return Unsent("reused" if value is None else "skipped", value, 1.0 - self._error, self.certified)

    def stats(self) -> FilterStats:
        """What it did since it was opened."""
        return FilterStats(self._seen, self._kept, self._failed)

    def _score(self, frame: Array, captured_s: float) -> float:
        try:
            if self._modality is not None:
                stream = self._window is not None and frame.ndim == 3
                prepared = self._window.see(frame) if self._window and stream else self._modality.prepare(frame)
                return float(self._session.run(None, {"input": prepared[None]})[0][0, self._column])
            self._channels.see(frame, captured_s)
            return float(self._session.run(None, self._inputs)[0][0, 0])
        except Exception:  # whatever it is: a frame too many costs less than one that is lost
            if not self._failed:
                logger.exception("%s failed on a frame and keeps it; later failures are only counted", self.path)
            return math.nan
