"""Chooses a stem: which model's maps, at which size, in which form serve all heads best within a time limit."""

import platform
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort

from ...errors import InvalidInput
from ...outputs import Array
from ...reporting import Progress
from ..heads.threads import one_blas_thread
from ..session import first_line
from ..spec import read_spec
from .cut import cut_stem, save_stem
from .judge import Judge, Stream
from .layers import Layers, Map
from .origin import Origin
from .pooling import Part, whole
from .spec import StemSpec
from .stem import Stem, shrink

SIZES = ((160, 96), (256, 160), (320, 192), (384, 224))
"""The pictures that are tried, width and height."""
FRAME = (640, 360)
"""What a frame measures where times are taken."""
GRID = (3, 4)
"""Rows and columns of the grid that the deepest map is pooled over."""
WHOLE, CELLS = 384, 128
"""So many numbers of whole maps are kept at the most, and so many of cells: those that tell most."""

# More multiplications in a millisecond than any core does.
_MOST_SPEED = 200e6
_ROUNDS, _RUNS = 3, 12
# Marks no further apart are the same: a few hundred inputs tell no more.
_NEAR = 0.02
# The strides of the deepest map, the best first (docs/STEM.md).
_DEEPEST = (16, 8, 32)
_NO_MAP = (
    "has no map that may serve: its layers can't be followed to rows and columns (a transformer), or hold to their own "
    "size (fixed positions)"
)


class StemTooSlow(InvalidInput):
    """No stem is within the limit.

    Attributes:
        fastest_ms: what the fastest takes.
    """

    def __init__(self, message: str, *, fastest_ms: float) -> None:
        super().__init__(message)
        self.fastest_ms = fastest_ms


@dataclass(frozen=True)
class Tried:
    """One stem that was tried.

    Attributes:
        model: whose layers.
        maps: which of its tensors, the deepest last.
        size: of the picture.
        length: how many features.
        took_ms: what a frame takes, its resizing included.
        mark: how well heads on it do (`Judge`); None: it takes too long, or did not run.
        why: why it has no mark.
    """

    model: str
    maps: tuple[str, ...]
    size: tuple[int, int]
    length: int
    took_ms: float
    mark: float | None = None
    why: str = ""


@dataclass(frozen=True)
class ChosenStem:
    """A stem, and what it was chosen from.

    Attributes:
        graph: its own.
        spec: what it says of itself.
        took_ms: what one frame takes, its resizing included, as it was measured.
        measured_on: where that was.
        tried: all that were tried, the best first.
        nothing: why some models offer none, by name.
    """

    graph: onnx.ModelProto
    spec: StemSpec
    took_ms: float
    measured_on: str
    tried: tuple[Tried, ...]
    nothing: Mapping[str, str]


@dataclass(frozen=True)
class _Candidate:
    """Maps of a model at a size, and which of their pooled numbers are features."""

    layers: Layers
    model: str
    origin: Origin
    maps: tuple[Map, ...]
    size: tuple[int, int]
    columns: Array | None = None

    @property
    def parts(self) -> list[Part]:
        """How its maps are pooled."""
        last = len(self.maps) - 1
        return [*whole(len(self.maps)), Part(last, "grid", GRID)]

    @property
    def length(self) -> int:
        """How many features it gives."""
        all_of = sum(part.length(self.maps[part.of].shape[0]) for part in self.parts)
        return all_of if self.columns is None else len(self.columns)

    def kept(self, telling: Array) -> Array:
        """Which numbers are features: of the whole maps all, or those that tell most, and of the cells some."""
        first = self.length - self.parts[-1].length(self.maps[-1].shape[0])
        best = (
            np.argsort(-telling[:first], kind="stable")[:WHOLE],
            np.argsort(-telling[first:], kind="stable")[:CELLS],
        )
        return np.sort(np.concatenate([best[0], first + best[1]]))

    def tried(self, took_ms: float, *, mark: float | None = None, why: str = "") -> Tried:
        """As a row of the table."""
        names = tuple(each.name for each in self.maps)
        return Tried(self.model, names, self.size, self.length, took_ms, mark, why)

    def save(self, path: Path) -> tuple[onnx.ModelProto, StemSpec]:
        """Writes it as a stem."""
        spec = StemSpec(
            model=self.model,
            digest=self.origin.digest,
            licence=self.origin.licence,
            source=self.origin.source,
            size=self.size,
            maps=tuple(each.name for each in self.maps),
            pooled=("max", "mean", "grid"),
            grid=GRID,
            length=self.length,
            places=self.maps[-1].shape,
            multiplications=round(self.maps[-1].cost),
            versions={"onnx": onnx.__version__, "onnxruntime": ort.__version__},
        )
        graph = cut_stem(self.layers, self.maps, self.size, self.parts, self.columns)
        save_stem(path, graph, spec)
        return graph, spec


def choose_stem(
    models: Mapping[str, Path],
    streams: Sequence[Stream],
    *,
    latency_ms: float,
    slowdown: float = 1.0,
    device: str = "",
    progress: Progress | None = None,
) -> ChosenStem:
    """Tries what the models offer, and takes what serves best within the limit.

    Args:
        models: the files that may give a stem, by name.
        streams: the recordings that it is chosen by.
        latency_ms: what a frame may take on one core, its resizing included.
        slowdown: how much slower the device is than this machine.
        device: its name.
        progress: told how far it is.

    Raises:
        InvalidInput: no model offers a map.
        StemTooSlow: none is within the limit.
    """
    told = progress or (lambda _share, _text: None)
    frame = np.asarray(cv2.resize(next(iter(streams[0].frames())), FRAME))
    with tempfile.TemporaryDirectory(prefix="infilink-") as folder, _one_thread():
        path = Path(folder) / "stem.onnx"
        found, tried, nothing = list[tuple[_Candidate, float]](), list[Tried](), dict[str, str]()
        for i, (name, model) in enumerate(models.items()):
            told(0.2 * i / len(models), f"measuring {name}")
            try:
                offered = _offered(Layers(model, read_spec(model).picture), name, latency_ms / slowdown)
            except InvalidInput as error:
                nothing[name] = str(error).removeprefix(f"{model}: ")
                continue
            rows, fits = list[Tried](), list[tuple[_Candidate, float]]()
            for each in offered:
                took_ms, why = _measure(each, path, frame)
                took_ms *= slowdown
                if not why and took_ms <= latency_ms:
                    fits.append((each, took_ms))
                else:
                    rows.append(each.tried(took_ms, why=why or "takes too long"))
            tried += rows
            best = min((_DEEPEST.index(each.maps[-1].stride) for each, _ in fits), default=0)
            found += [(each, took_ms) for each, took_ms in fits if each.maps[-1].stride == _DEEPEST[best]]
            if not fits:
                nothing[name] = _why_nothing(rows)
        if not found:
            raise _refusal(tried, nothing, latency_ms)
        marked = _judged(found, streams, path, told)
        chosen, took_ms, _ = _best(marked)
        graph, spec = chosen.save(path)
    rows = [each.tried(each_ms, mark=mark) for each, each_ms, mark in marked]
    rows.sort(key=lambda row: -(row.mark or 0.0))
    return ChosenStem(graph, spec, took_ms, device or f"one core of {platform.machine()}", (*rows, *tried), nothing)


def _offered(layers: Layers, model: str, latency_ms: float) -> list[_Candidate]:
    """What a model offers: for each size and stride its last map and that of the stride before.

    Of a model that is far too slow, only what is fastest: to say how slow.
    """
    found, slow, origin = list[_Candidate](), list[_Candidate](), Origin.of(layers.path)
    for size in SIZES:
        last = {each.stride: each for each in layers.maps(size) if each.ends}
        candidates = [
            _Candidate(layers, model, origin, tuple(last[s] for s in (stride // 2, stride) if s in last), size)
            for stride in _DEEPEST
            if stride in last
        ]
        found += [each for each in candidates if each.maps[-1].cost <= latency_ms * _MOST_SPEED]
        slow += candidates
    return found or sorted(slow, key=lambda each: each.maps[-1].cost)[:1]


def _judged(
    found: Sequence[tuple[_Candidate, float]], streams: Sequence[Stream], path: Path, told: Progress
) -> list[tuple[_Candidate, float, float]]:
    """The candidates with their times (ms) and their marks."""
    judge, marked = Judge(streams), list[tuple[_Candidate, float, float]]()
    for size in SIZES:
        of_size = [each for each in found if each[0].size == size]
        pictures = [[shrink(frame, size) for frame in stream.frames()] for stream in streams] if of_size else []
        for each, took_ms in of_size:
            told(0.2 + 0.8 * len(marked) / len(found), f"judging {each.model} at {size[0]}x{size[1]}")
            each.save(path)
            stem = Stem(path)
            features = [np.stack([stem.see_picture(picture).features for picture in of]) for of in pictures]
            columns = each.kept(judge.telling(features, learnt_only=True))
            mark = judge.mark([of[:, columns] for of in features])
            marked.append((replace(each, columns=each.kept(judge.telling(features))), took_ms, mark))
    return marked


def _best(marked: Sequence[tuple[_Candidate, float, float]]) -> tuple[_Candidate, float, float]:
    """Of those whose marks can't be told from the best, that of the largest picture, and the fastest of these.

    A small picture loses what is small in it, of which a few hundred inputs may hold too little to show in the mark.
    """
    most = max(mark for _, _, mark in marked)
    near = [each for each in marked if each[2] >= most - _NEAR]
    return min(near, key=lambda each: (-each[0].size[0], each[1]))


def _measure(candidate: _Candidate, path: Path, frame: Array) -> tuple[float, str]:
    """Milliseconds for a frame, of this thread alone, as other work on the machine counts little then; or why not."""
    try:
        candidate.save(path)
        stem = Stem(path)
        seen = stem.see(frame)
    except Exception as error:  # onnxruntime raises many types of its own
        width, height = candidate.size
        return 0.0, f"does not run at {width}x{height} ({first_line(error)})"
    if seen.places.shape != candidate.maps[-1].shape or not np.isfinite(seen.features).all():
        return 0.0, "gives something else than its graph says, or no finite numbers"
    rounds = []
    for _ in range(_ROUNDS):
        times_s = []
        for _ in range(_RUNS):
            started = time.thread_time()
            stem.see(frame)
            times_s.append(time.thread_time() - started)
        rounds.append(float(np.median(times_s)))
    return 1000 * min(rounds), ""


def _why_nothing(rows: Sequence[Tried]) -> str:
    """Why a model offers nothing, of all that was tried of it."""
    measured = [row.took_ms for row in rows if row.took_ms]
    if measured:
        return f"takes too long: {min(measured):.2f} ms at the least"
    return rows[0].why if rows else _NO_MAP


def _refusal(tried: Sequence[Tried], nothing: Mapping[str, str], latency_ms: float) -> InvalidInput:
    """Why there is no stem at all."""
    measured = [row for row in tried if row.took_ms]
    if measured:
        fastest = min(measured, key=lambda row: row.took_ms)
        return StemTooSlow(
            f"no stem takes {latency_ms:g} ms or less: the fastest, of {fastest.model} at {fastest.size[0]}x"
            f"{fastest.size[1]}, takes {fastest.took_ms:.2f} ms; give a longer --latency, or a smaller model",
            fastest_ms=fastest.took_ms,
        )
    told = "; ".join(f"{name}: {why}" for name, why in nothing.items())
    return InvalidInput(f"no model offers a stem ({told}); add a convolutional model of pictures to the folder")


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV and BLAS on one core."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with one_blas_thread():
            yield
    finally:
        cv2.setNumThreads(before)
