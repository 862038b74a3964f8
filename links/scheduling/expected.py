"""What links are expected to lose when a model has not run for a while, as its schedule wants to know it."""

from ..graph import LinkGraph
from ..table import AGE_EDGES_S, BUCKETS, STEM


def expected_losses(graph: LinkGraph) -> dict[str, tuple[float, ...]]:
    """By model, the loss of the best answer whose model ran so long ago, where nothing but the stem looks.

    For each of the ages that `AGE_EDGES_S` tells apart. Which answer that is is chosen for each input, so that here no
    way has to be better than another by any margin.
    """
    looks = {(), (STEM,)} if graph.stem is not None else {()}
    losses = {}
    for name, table in graph.tables.items():
        linked = [row for sources, row in table.linked.items() if sources in looks]
        losses[name] = tuple(
            1.0 - max(cell.validation for cell in (table.constant, held, *(row[age] for row in linked)))
            for age, held in enumerate(table.held[: len(AGE_EDGES_S) + 1])
        )
    return losses


def linked_losses(graph: LinkGraph) -> dict[str, dict[str, tuple[float, ...]]]:
    """By a model that runs on an input and one that does not, what is lost by linking the latter from the former.

    For each bucket of the age of its last output, "never" included; pairs without such a link are left out.
    """
    losses: dict[str, dict[str, tuple[float, ...]]] = {}
    looks = {STEM} if graph.stem is not None else set()
    for name, table in graph.tables.items():
        for sources, row in table.linked.items():
            models = set(sources) - looks
            if len(models) == 1 and name not in graph.virtual:
                known = losses.setdefault(models.pop(), {})
                before = known.get(name, (1.0,) * BUCKETS)
                known[name] = tuple(min(loss, 1.0 - cell.validation) for loss, cell in zip(before, row, strict=True))
    return losses
