"""What the site's earlier parts teach: a stem, a filter and links."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ...device.record_site import record_site
from ...errors import InvalidInput
from ...filters.rules.parser import parse_rule
from ...filters.spec import FilterSpec
from ...filters.training.train import train_filter
from ...links.training.train import train_links
from ...models.cost import ModelCost
from ...models.spec import ModelSpec
from ...models.stem.stem import Stem
from ...reporting import Progress
from ...traces.trace import Trace
from ...traces.train_stem import train_stem
from .site import Camera

# A stem is looked for in those that take longest; in all of them takes its time.
STEM_MODELS = 2
ACCURACIES = (0.99, 0.97, 0.95, 0.9, 0.8, 0.7)


@dataclass(frozen=True)
class Learnt:
    """What was learnt of the earlier parts.

    Attributes:
        stem: the first layers of one of the models; None: no model offers any.
        filter_path: the devices' filter.
        filter_spec: what it says of itself.
        links: the folder of links.
        costs: what each model takes on this machine.
        specs: the models', by name.
    """

    stem: Path | None
    filter_path: Path
    filter_spec: FilterSpec
    links: Path
    costs: Mapping[str, ModelCost]
    specs: Mapping[str, ModelSpec]


def trace_path(folder: Path, camera: Camera) -> Path:
    """Where a camera's recording lies."""
    return folder / "traces" / f"{camera.name}.trace"


def record_cameras(cameras: Sequence[Camera], models: Mapping[str, Path], folder: Path, progress: Progress) -> None:
    """Records every model's output on every input that is looked at, those that are served later too.

    Raises:
        InfilinkError: a camera can't be recorded.
    """
    shutil.rmtree(folder / "traces", ignore_errors=True)
    for every in sorted({camera.every for camera in cameras}):
        alike = {each.name: each for each in cameras if each.every == every}
        sources = {name: each.path for name, each in alike.items()}
        longest_s = max(each.seconds for each in alike.values())
        site = record_site(sources, dict(models), folder / "traces", seconds=longest_s, every=every, progress=progress)
        site.raise_failures()


class Learner:
    """Learns from the earlier parts of the cameras' recordings.

    Args:
        cameras: the site's.
        models: the models' files, by name.
        folder: for all that is written.
        seed: of everything that is drawn.
    """

    def __init__(self, cameras: Sequence[Camera], models: Mapping[str, Path], folder: Path, *, seed: int) -> None:
        self.cameras = cameras
        self.models = models
        self.folder = folder
        self.seed = seed
        self._stack = ExitStack()

    def __enter__(self) -> "Learner":
        """Opens the recordings."""
        self.traces = earlier_parts(self.cameras, self.folder, self._stack)
        return self

    def __exit__(self, *_: object) -> None:
        """Closes them."""
        self._stack.close()

    @property
    def costs(self) -> Mapping[str, ModelCost]:
        """What each model was measured to take."""
        return next(iter(self.traces.values())).info.costs

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """The models', by name."""
        found = next(iter(self.traces.values())).models
        return {name: found[name] for name in sorted(found)}

    def stem(self, progress: Progress) -> Path | None:
        """The first layers of one of the models; None: none of them offers any, and what is learnt does without."""
        path = self.folder / "stem.onnx"
        path.unlink(missing_ok=True)
        heaviest = sorted(self.models, key=lambda name: -self.costs[name].infer_s)[:STEM_MODELS]
        offered = {name: self.models[name] for name in heaviest}
        try:
            train_stem(list(self.traces.values()), offered, out=path, progress=progress)
        except InvalidInput:
            return None
        return path

    def filter(self, stem: Path | None, accuracy: float | None, progress: Progress) -> tuple[Path, FilterSpec]:
        """The filter for the accuracy asked for, or else for the highest that some filter keeps on this site."""
        path = self.folder / "filter.onnx"
        accuracies = ACCURACIES if accuracy is None else (accuracy,)
        for each in accuracies:
            try:
                done = train_filter(
                    self.traces,
                    rule=parse_rule("unchanged"),
                    accuracy=each,
                    out=path,
                    stem=None if stem is None else Stem(stem),
                    uncertified=True,
                    seed=self.seed,
                    progress=progress,
                )
            except InvalidInput:
                if each == accuracies[-1]:
                    raise
            else:
                return path, done.spec
        raise AssertionError("there is at least one accuracy")


def earlier_parts(cameras: Sequence[Camera], folder: Path, stack: ExitStack) -> dict[str, Trace]:
    """What is learnt from of each camera's recording."""
    parts = {}
    for camera in cameras:
        whole = stack.enter_context(Trace(trace_path(folder, camera)))
        parts[camera.name] = stack.enter_context(whole.part(0, camera.learnt))
    return parts


def links_of(cameras: Sequence[Camera], folder: Path, stem: Path | None, *, seed: int) -> Path:
    """Learns links of all cameras together, and of each; returns their folder."""
    path = folder / "links"
    shutil.rmtree(path, ignore_errors=True)
    with ExitStack() as stack:
        train_links(earlier_parts(cameras, folder, stack), out=path, stem=stem, seed=seed)
    return path
