"""Links for the models that are here: none to or from one that was replaced."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.plans.fitting import joined, misfits, without_models
from infilink.links.graph import LinkGraph
from infilink.links.index import Index
from infilink.links.table import NEVER, Measured, Table

CELL = Measured(0.8, 0.8)
NAMES = ("bright", "corner", "light")


def a_graph(links, tmp_path) -> LinkGraph:
    """The tiny models' links, as if every two models told of the third."""
    index = Index.read(links)
    rows = {(): CELL, **{(name,): CELL for name in NAMES}, ("bright", "corner"): CELL, ("corner", "light"): CELL}
    linked = {sources: (cell,) * (NEVER + 1) for sources, cell in rows.items()}
    tables = {name: Table(table.constant, table.held, linked) for name, table in index.tables.items()}
    replace(index, tables=tables).write(tmp_path)
    return LinkGraph.load(tmp_path)


def test_only_those_whose_file_is_another_do_not_fit(links):
    graph = LinkGraph.load(links)
    assert not misfits(graph, graph.digests)
    assert set(misfits(graph, {**graph.digests, "light": "0" * 16})) == {"light"}
    assert not misfits(graph, {name: digest for name, digest in graph.digests.items() if name != "light"})


def test_nothing_is_linked_to_or_from_a_model_that_is_left_out(links, tmp_path):
    whole = a_graph(links, tmp_path)

    @given(st.sets(st.sampled_from(NAMES)))
    def holds(names):
        graph = without_models(whole, names)
        assert set(graph.models) == set(graph.tables) == set(graph.digests) == set(NAMES) - names
        for table in graph.tables.values():
            assert not {source for sources in table.linked for source in sources} & names
            assert () in table.linked
        for name in graph.models:
            best = graph.answering.best_link(name, frozenset(NAMES), None)
            assert best is None or not set(best.sources) & names
        answer = graph.predict("bright", {}) if "bright" in graph.models else None
        assert answer is None or np.isfinite(answer.value).all()

    holds()


def test_links_of_several_folders_are_planned_with_as_one(links):
    whole = LinkGraph.load(links)
    parts = [without_models(whole, {"light"}), without_models(whole, {"bright", "corner"})]
    found = joined(parts)
    assert set(found.models) == set(found.tables) == set(found.costs) == set(found.digests) == set(NAMES)
    assert joined(parts[:1]) is parts[0]
