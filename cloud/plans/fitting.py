"""Links for the models that are here: those of models that were replaced are left out, as they would answer wrongly."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

from ...links.graph import LinkGraph
from ...links.table import Table

_Value = TypeVar("_Value")


def misfits(graph: LinkGraph, digests: Mapping[str, str]) -> dict[str, str]:
    """The models that links were learnt with and whose files here are others, and why they do not fit, in words."""
    return {
        name: f"the links were learnt with {learnt}, and {digests[name]} is served now"
        for name, learnt in graph.digests.items()
        if name in digests and digests[name] != learnt
    }


def without_models(graph: LinkGraph, names: Collection[str]) -> LinkGraph:
    """The same links but for those to and from some models: these are answered by their last outputs.

    Args:
        graph: the links.
        names: the models that are left out.
    """
    if not names:
        return graph

    def kept(values: Mapping[str, _Value]) -> dict[str, _Value]:
        return {name: value for name, value in values.items() if name not in names}

    def row(table: Table) -> Table:
        linked = {sources: cells for sources, cells in table.linked.items() if not set(sources) & set(names)}
        return Table(table.constant, table.held, linked)

    return LinkGraph(
        kept(graph.models),
        kept(graph.costs),
        kept(graph.digests),
        {name: row(table) for name, table in kept(graph.tables).items()},
        kept(graph.constants),
        kept(graph.links),
        kept(graph.encodings),
        graph.notes,
        graph.stem,
        {camera: partial(_camera, graph, camera, names) for camera in graph.cameras},
    )


def joined(graphs: Sequence[LinkGraph]) -> LinkGraph:
    """The links of several folders as one, to plan with: each is of models of its own."""
    first, *others = graphs
    if not others:
        return first

    def all_of(values: Callable[[LinkGraph], Mapping[str, _Value]]) -> dict[str, _Value]:
        return {name: value for graph in graphs for name, value in values(graph).items()}

    cameras = {camera: partial(_joined_camera, graphs, camera) for graph in graphs for camera in graph.cameras}
    return LinkGraph(
        all_of(lambda graph: graph.models),
        all_of(lambda graph: graph.costs),
        all_of(lambda graph: graph.digests),
        all_of(lambda graph: graph.tables),
        all_of(lambda graph: graph.constants),
        all_of(lambda graph: graph.links),
        all_of(lambda graph: graph.encodings),
        {},
        next((graph.stem for graph in graphs if graph.stem is not None), None),
        cameras,
    )


def _joined_camera(graphs: Sequence[LinkGraph], camera: str) -> LinkGraph:
    return joined([graph.camera(camera) for graph in graphs])


def _camera(graph: LinkGraph, camera: str, names: Collection[str]) -> LinkGraph:
    return without_models(graph.camera(camera), names)
