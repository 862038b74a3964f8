"""A recorded site: several clips as cameras, learnt on the first part of each and served from a later one on.

The later part of each camera is served from several beginnings (turns) and again from its start where it ends; there
all that was known of the stream is forgotten, as when a device comes back.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from infilink.links.graph import LinkGraph
from infilink.links.training.train import train_links
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.events import presence
from infilink.traces.site import camera_of
from infilink.traces.trace import Trace

STEP_S = 0.2
LEARNT = 0.6
SERVED_FROM = 0.62
TURNS = 3
NOTHING = -1
"""In the place of a row: the constant that was learnt, as the model never ran."""
_PICTURE = (64, 48)
_PACKAGE = Path(__import__("infilink").__file__).parent
_LEARNS = ("links", "models/heads", "models/encoding", "models/stem")
_SERVES = ("scheduling", "planning", "evaluation", "report", "placement", "domains", "serving.py", "graph.py", "cli.py")


@dataclass(frozen=True)
class Camera:
    """One camera's served part.

    Attributes:
        name: the clip's.
        specs: every model's.
        outputs: each model's, on every served input.
        pictures: grey, 64x48: float32 (inputs, 48, 64).
        features: what the stem makes of each input; None: there is no stem.
        graph: the links that were learnt for it.
        known: whether they were learnt from this camera, too.
    """

    name: str
    specs: dict[str, ModelSpec]
    outputs: dict[str, list[Array]]
    pictures: Array
    features: Array | None
    graph: LinkGraph
    known: bool = True
    _met: dict[tuple[str, int, int], float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def compact(self) -> dict[str, Array | None]:
        """What agreement looks at in each output, the constant at the end; None for kinds that are compared singly."""
        return {
            name: spec.output.compact([*self.outputs[name], self.graph.constants[name]])
            for name, spec in self.specs.items()
        }

    @cached_property
    def apart(self) -> Array:
        """Mean absolute differences of all pairs of pictures: float (inputs, inputs)."""
        flat = self.pictures.reshape(len(self), -1)
        return np.stack([np.abs(flat - each).mean(axis=1) for each in flat])

    @cached_property
    def there(self) -> dict[str, dict[str, Array]]:
        """By model, of every class that is ever there: on which inputs, the constant at the end: bool (inputs + 1,)."""
        found = {}
        for name, spec in self.specs.items():
            seen = presence([*self.outputs[name], self.graph.constants[name]], spec.output)
            found[name] = {what: on for what, on in seen.items() if on.any()}
        return found

    def agreements(self, model: str, said: Array, true: Array) -> Array:
        """How far the outputs of some rows (`NOTHING`: the constant) agree with those of others: float (n,)."""
        compact, output = self.compact[model], self.specs[model].output
        if compact is not None:
            return output.agreements(compact[said], compact[true])
        values = [*self.outputs[model], self.graph.constants[model]]
        found = np.empty(len(said))
        for at, (a, b) in enumerate(zip(said.tolist(), true.tolist(), strict=True)):
            key = (model, a, b)
            if key not in self._met:
                self._met[key] = 1.0 if a == b else output.agreement(values[a], values[b])
            found[at] = self._met[key]
        return found


@dataclass(frozen=True)
class Turn:
    """What is served: every camera's rows, tick by tick.

    Attributes:
        rows: which of a camera's inputs is served: int (cameras, ticks).
        begins: where a stream begins, and where it begins anew: bool (cameras, ticks).
    """

    rows: Array
    begins: Array

    @classmethod
    def of(cls, lengths: Sequence[int], turn: int, ticks: int) -> "Turn":
        """Each camera begins that many of the `TURNS` parts later."""
        rows = np.stack([(turn * n // TURNS + np.arange(ticks)) % n for n in lengths])
        begins = np.diff(rows, axis=1, prepend=rows[:, :1] + 1) < 0
        return cls(rows, begins)

    def times_s(self, camera: int) -> Array:
        """When a camera's inputs are captured: one after the other in each step, as cameras know nothing of others."""
        return np.arange(self.rows.shape[1]) * STEP_S + camera * STEP_S / len(self.rows)

    def sessions(self, camera: int) -> list[Array]:
        """The ticks of a camera from each beginning to the next."""
        return np.split(np.arange(self.rows.shape[1]), np.flatnonzero(self.begins[camera])[1:])


@dataclass(frozen=True)
class Site:
    """All cameras, and what models cost.

    Attributes:
        cameras: the site's.
        costs: means over the recordings, by model.
        stem_share: what the stem takes on an input, as a share of what all models take.
    """

    cameras: tuple[Camera, ...]
    costs: dict[str, ModelCost]
    stem_share: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The models."""
        return tuple(self.costs)

    @property
    def infer_s(self) -> Array:
        """Of each model: float (models,)."""
        return np.asarray([cost.infer_s for cost in self.costs.values()])

    @property
    def full_s(self) -> float:
        """What all models take on one input of every camera."""
        return float(self.infer_s.sum()) * len(self.cameras)

    def turn(self, turn: int, ticks: int) -> Turn:
        """What is served in a turn."""
        return Turn.of([len(camera) for camera in self.cameras], turn, ticks)

    def but(self, change: Callable[[Camera], Camera]) -> "Site":
        """The same with every camera changed."""
        return replace(self, cameras=tuple(change(camera) for camera in self.cameras))


def read_site(recordings: Sequence[Path], stem: Path | None, folder: Path) -> Site:
    """The site of some recordings, links learnt together on each one's first part; what is made is kept in `folder`."""
    graph = LinkGraph.load(learnt(recordings, stem, folder))
    cameras, costs = [], []
    for path in recordings:
        with Trace(path) as trace:
            own = graph.camera(camera_of(path))
            cameras.append(served(trace, int(SERVED_FROM * len(trace)), own, stem, folder))
            costs.append(trace.info.costs)
    return Site(tuple(cameras), mean_costs(costs))


def mean_costs(costs: Sequence[dict[str, ModelCost]]) -> dict[str, ModelCost]:
    """Every model's cost, as recordings of one machine measured it, in the mean; the most of memory."""
    return {
        name: ModelCost(
            max(each[name].memory_bytes for each in costs),
            float(np.mean([each[name].infer_s for each in costs])),
            float(np.mean([each[name].load_s for each in costs])),
        )
        for name in costs[0]
    }


def served(
    trace: Trace, start: int, graph: LinkGraph, stem: Path | None, folder: Path, *, known: bool = True
) -> Camera:
    """A camera that is served from an input on."""
    return Camera(
        trace.path.stem,
        dict(trace.models),
        {name: trace.outputs(name)[start:] for name in trace.models},
        pictures(trace, folder)[start:],
        None if stem is None else features(trace, stem, folder)[start:],
        graph,
        known,
    )


def features(trace: Trace, stem: Path, folder: Path) -> Array:
    """What the stem makes of every input: float32 (inputs, length); read again if it was made before."""
    opened = Stem(stem)
    path = folder / "features" / f"{trace.path.stem}_{len(trace)}_{opened.digest}.npy"
    if not path.exists():
        _save(path, np.stack([opened.see(frame).features for frame in trace.frames()]))
    return np.load(path)


def pictures(trace: Trace, folder: Path) -> Array:
    """Every input in grey at 64x48: float32 (inputs, 48, 64); read again if it was made before."""
    path = folder / "pictures" / f"{trace.path.stem}_{len(trace)}.npy"
    if not path.exists():
        grey = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in trace.frames())
        _save(path, np.stack([cv2.resize(each, _PICTURE, interpolation=cv2.INTER_AREA) for each in grey]))
    return np.load(path).astype(np.float32)


def learnt(recordings: Sequence[Path], stem: Path | None, folder: Path) -> Path:
    """The links of a site, learnt on each recording's first part; read again if the same code made them before."""
    made = "plain" if stem is None else Stem(stem).digest[:8]
    named = hashlib.sha256("\n".join(str(path.resolve()) for path in recordings).encode()).hexdigest()[:8]
    out = folder / "links" / f"{code_key()}_{made}_{named}"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        # Two runs may learn the same at once; the later one's is as good.
        unfinished = out.with_name(f"{out.name}.{os.getpid()}")
        traces = {camera_of(path): Trace(path) for path in recordings}
        parts = {name: trace.part(0, int(LEARNT * len(trace))) for name, trace in traces.items()}
        train_links(parts, out=unfinished, stem=stem)
        shutil.rmtree(out, ignore_errors=True)
        unfinished.rename(out)
    return out


def code_key() -> str:
    """Changes with the code that learns: what was learnt by another is not read again."""
    said = hashlib.sha256()
    for part in _LEARNS:
        for path in sorted((_PACKAGE / part).rglob("*.py")):
            if path.relative_to(_PACKAGE / part).parts[0] not in _SERVES:
                said.update(path.read_bytes())
    return said.hexdigest()[:10]


def _save(path: Path, values: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
