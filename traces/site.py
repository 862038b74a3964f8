"""The cameras of a site, each with its trace: what one stem, one filter and one set of links are learnt from."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import InvalidInput
from ..models.cost import ModelCost
from ..models.spec import ModelSpec
from .trace import Trace, TraceInfo

SUFFIX = ".trace"
CAMERA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a camera may be called: as a device is, whose `name` finds what was learnt of it."""


class Site(Mapping[str, Trace]):
    """Traces by the names of their cameras, all of the very same models.

    Args:
        traces: by camera.

    Raises:
        InvalidInput: there is none; they are of other models, or of arrays and pictures.
    """

    def __init__(self, traces: Mapping[str, Trace]) -> None:
        if not traces:
            raise InvalidInput("a site needs a trace: give one, a folder of them, or --camera NAME=TRACE")
        self._traces = dict(traces)
        first, *others = self._traces.values()
        for other in others:
            _check_alike(first, other)

    @classmethod
    def of(cls, source: "Trace | Mapping[str, Trace]") -> "Site":
        """A site, from a trace alone or from traces by camera."""
        if isinstance(source, Site):
            return source
        return cls({camera_of(source.path): source} if isinstance(source, Trace) else source)

    @classmethod
    def open(cls, traces: Sequence[Path], cameras: Sequence[str] = ()) -> Self:
        """Opens traces, or folders of them, and those that are named NAME=TRACE.

        Raises:
            InvalidInput: as `camera_paths` and `Site` say, or a trace can't be read.
        """
        opened: dict[str, Trace] = {}
        try:
            for name, path in camera_paths(traces, cameras).items():
                opened[name] = Trace(path)
            return cls(opened)
        except BaseException:
            for trace in opened.values():
                trace.close()
            raise

    def __getitem__(self, camera: str) -> Trace:
        """The trace of a camera."""
        return self._traces[camera]

    def __iter__(self) -> Iterator[str]:
        """The cameras' names, in the order in which they were given."""
        return iter(self._traces)

    def __len__(self) -> int:
        """How many cameras."""
        return len(self._traces)

    @property
    def first(self) -> Trace:
        """The first camera's trace: what it says of its models holds for all."""
        return next(iter(self._traces.values()))

    @property
    def info(self) -> TraceInfo:
        """What the first trace says of itself."""
        return self.first.info

    @property
    def models(self) -> dict[str, ModelSpec]:
        """Each model's spec, by name."""
        return self.info.models

    @property
    def costs(self) -> dict[str, ModelCost]:
        """What each model costs: the most memory that any recording measured, and the mean times."""
        found = {}
        for name in self.models:
            each = [trace.info.costs[name] for trace in self.values()]
            found[name] = ModelCost(
                max(cost.memory_bytes for cost in each),
                sum(cost.infer_s for cost in each) / len(each),
                sum(cost.load_s for cost in each) / len(each),
            )
        return found

    @property
    def inputs(self) -> int:
        """How many inputs all traces hold."""
        return sum(len(trace) for trace in self.values())

    @property
    def unproven(self) -> str:
        """Why nothing can be certified from it; empty: it can."""
        return next((trace.unproven for trace in self.values() if trace.unproven), "")

    def close(self) -> None:
        """Closes all traces; closing twice is fine."""
        for trace in self.values():
            trace.close()

    def __enter__(self) -> Self:
        """The site itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Closes all traces."""
        self.close()


def camera_of(trace: Path) -> str:
    """What a trace's camera is called where nobody says: as the file."""
    return trace.name.removesuffix(SUFFIX)


def camera_paths(traces: Sequence[Path], cameras: Sequence[str] = ()) -> dict[str, Path]:
    """Each camera's trace.

    Args:
        traces: files, whose cameras are called as they are, or folders with some.
        cameras: NAME=TRACE.

    Raises:
        InvalidInput: none is given, a folder holds none, a camera comes twice, or a name can't be one.
    """
    named: list[tuple[str, Path]] = []
    for path in traces:
        found = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not found:
            raise InvalidInput(f"{path}: holds no {SUFFIX} (record some: `infilink record`)")
        named += [(camera_of(each), each) for each in found]
    for text in cameras:
        name, equals, path_text = text.partition("=")
        if not (equals and name and path_text):
            raise InvalidInput(f"--camera must be NAME=TRACE, as lobby=lobby{SUFFIX}, not {text!r}")
        named.append((name, Path(path_text)))
    if not named:
        raise InvalidInput("give a trace, a folder of traces, or --camera NAME=TRACE (repeat)")
    known: dict[str, Path] = {}
    for name, path in named:
        if name in known:
            raise InvalidInput(
                f"camera {name!r} has two traces, {known[name]} and {path}: name them apart (--camera NAME=TRACE)"
            )
        if len(named) > 1 and not CAMERA_NAME.fullmatch(name):
            raise InvalidInput(
                f"{path}: {name!r} can't be a camera's name: letters, digits, '.', '_' and '-', up to 100, the first a "
                "letter or a digit; name it as its device (--camera NAME=TRACE)"
            )
        known[name] = path
    return known


def _check_alike(first: Trace, other: Trace) -> None:
    """Makes sure that two traces may be learnt from together.

    Raises:
        InvalidInput: they may not.
    """
    again = "the traces of a site must be of the same models: record one of them again"
    one, two = first.info, other.info
    if one.input != two.input:
        raise InvalidInput(
            f"{other.path}: its inputs are {two.told_input}, those of {first.path} {one.told_input}: cameras of a site "
            "must look at the same kind of input; learn from each kind by itself"
        )
    if one.form is not None and two.form is not None and (found := two.form.differs(one.form)):
        raise InvalidInput(
            f"{other.path}: its inputs are not of the form of those of {first.path}: {found.replace('here', 'there')}; "
            "record them alike"
        )
    if one.models.keys() != two.models.keys():
        lacks = sorted(one.models.keys() ^ two.models.keys())
        holder = first.path if lacks[0] in one.models else other.path
        raise InvalidInput(f"{other.path}: model {lacks[0]!r} is in {holder} alone; {again}")
    for name, spec in one.models.items():
        if one.digests.get(name) != two.digests.get(name):
            raise InvalidInput(
                f"{other.path}: model {name!r} has digest {two.digests.get(name)} here and {one.digests.get(name)} in "
                f"{first.path}; {again}"
            )
        if spec.output != two.models[name].output:
            raise InvalidInput(f"{other.path}: model {name!r} says other outputs here than in {first.path}; {again}")
