"""The streams that a site is planned for: what was measured for each, and how often its inputs come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import InvalidInput
from ..graph import LinkGraph
from ..table import Table

INPUTS_PER_S = 5.0
"""What is taken of a stream whose rate nobody recorded or said."""


@dataclass(frozen=True)
class Stream:
    """One stream of a site.

    Attributes:
        name: the camera's.
        tables: what was measured there for each model.
        inputs_per_s: how many of its inputs come in a second, behind its filter.
        weight: how much its answers matter.

    Raises:
        InvalidInput: the rate or the weight makes no sense.
    """

    name: str
    tables: Mapping[str, Table]
    inputs_per_s: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.inputs_per_s < float("inf"):
            raise InvalidInput(f"stream {self.name!r}: inputs_per_s must be above 0, not {self.inputs_per_s:g}")
        if not 0 <= self.weight < float("inf"):
            raise InvalidInput(f"stream {self.name!r}: its weight must be at least 0, not {self.weight:g}")


def streams_of(
    graph: LinkGraph, *, names: Sequence[str] = (), count: int | None = None, inputs_per_s: float | None = None
) -> tuple[Stream, ...]:
    """The streams of a site, with what the links measured for each.

    Args:
        graph: the links.
        names: the cameras; none: all that the links know, or one of the kind they were learnt from.
        count: so many streams of the kind that the links were learnt from, instead of names.
        inputs_per_s: of each, behind its filter; None: as recorded.

    Raises:
        InvalidInput: names and a count were given, the count is below 1, or the rate makes no sense.
    """
    if names and count is not None:
        raise InvalidInput("give the streams' names or how many there are, not both")
    if count is not None and count < 1:
        raise InvalidInput(f"count: {count} streams; give at least 1")
    step_s = float(graph.notes.get("step_s", 0.0))
    rate = inputs_per_s if inputs_per_s is not None else 1.0 / step_s if step_s > 0 else INPUTS_PER_S
    if count is not None:
        return tuple(Stream(f"stream {number + 1}", graph.tables, rate) for number in range(count))
    chosen = tuple(names) or tuple(graph.cameras) or ("stream",)
    return tuple(Stream(name, graph.camera(name).tables, rate) for name in chosen)
