"""What links are expected to lose when a model has not run for a while, as its schedule wants to know it."""

from ..graph import LinkGraph
from ..table import AGE_EDGES_S, at_hand


def expected_losses(graph: LinkGraph) -> dict[str, tuple[float, ...]]:
    """By model, the loss of the best answer whose model ran so long ago, where nothing but the stem looks.

    For each of the ages that `AGE_EDGES_S` tells apart.
    """
    sources = at_hand(()) if graph.stem is not None else frozenset[str]()
    return {
        name: tuple(1.0 - table.choose(sources, age).measured.validation for age in range(len(AGE_EDGES_S) + 1))
        for name, table in graph.tables.items()
    }
