from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.serving import Serving
from infilink.links.table import NEVER
from infilink.links.training.train import LinksTraining, train_links
from infilink.traces.trace import Trace

from ..given import given

OUTPUTS = {
    "busy": {"kind": "label", "classes": ["no", "yes"]},
    "cars": {"kind": "count"},
    "season": {"kind": "count"},
}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, new_trace: Callable[..., Path]) -> LinksTraining:
    """Trained: "busy" is two cars or more; "season" changed once, before the blocks that are chosen on and reported."""
    rng, rows = np.random.default_rng(0), []
    for index in range(120):
        cars = int(rng.integers(0, 5))
        yes = 0.95 if cars >= 2 else 0.05
        rows.append(
            {
                "busy": np.asarray([1 - yes, yes], np.float32),
                "cars": np.asarray([cars], np.float32),
                "season": np.asarray([index >= 12], np.float32),
            }
        )
    folder = tmp_path_factory.mktemp("learnt")
    with Trace(new_trace(folder / "cars.trace", rows, OUTPUTS)) as trace:
        return train_links(trace, out=folder / "links", seed=0)


def test_links_are_learnt_where_there_is_something_to_learn(learnt: LinksTraining) -> None:
    busy, season = learnt.targets["busy"], learnt.targets["season"]
    assert busy.linked[NEVER] > 0.9 > busy.constant + 0.1
    assert busy.why == ""
    answer = LinkGraph.load(learnt.folder).predict("busy", {"cars": np.asarray([3.0], np.float32)})
    assert (answer.origin, answer.sources, int(answer.value.argmax())) == ("linked", ("cars",), 1)
    # Nothing can be better than what is always right.
    assert season.constant == season.held[0] == 1.0
    assert season.linked == (1.0,) * (NEVER + 1)
    assert sorted(path.name for path in learnt.folder.parent.iterdir()) == ["cars.trace", "links"]


def test_a_network_can_be_given_instead(training: LinksTraining, graph: LinkGraph) -> None:
    assert set(graph.links) == {"scene", "standing", "vehicles"}
    assert training.targets["scene"].linked == training.targets["standing"].linked == (1.0,) * (NEVER + 1)
    assert "no link is better" in training.targets["people"].why


def test_an_output_that_never_changes_gets_no_link(tmp_path: Path, new_trace: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"flag": np.asarray([0.9, 0.1], np.float32), "count": np.asarray([rng.integers(0, 3)], np.float32)}
        for _ in range(80)
    ]
    outputs = {"flag": {"kind": "label", "classes": ["no", "yes"]}, "count": {"kind": "count"}}
    with Trace(new_trace(tmp_path / "flat.trace", rows, outputs)) as trace:
        done = train_links(trace, out=tmp_path / "links", fit=given({}))
    assert done.targets["flag"].why == "its output never changes in the recording"
    graph = LinkGraph.load(tmp_path / "links")
    assert "flag" not in graph.links
    answer = graph.predict("flag", {"count": np.asarray([1.0], np.float32)})
    assert answer.origin == "constant"
    assert graph.models["flag"].output.agreement(answer.value, rows[0]["flag"]) == 1.0
    held = Serving(graph, Plan(None, 0, ()))
    held.complete(0.0, {"flag": rows[0]["flag"]})
    assert held.complete(1.0, {})["flag"].origin in ("held", "constant")


def test_recordings_that_can_not_teach_are_refused(tmp_path: Path, new_trace: Callable[..., Path]) -> None:
    count = {"kind": "count"}
    row = {"a": np.asarray([1.0], np.float32), "b": np.asarray([1.0], np.float32)}
    bad = [row] * 70 + [{**row, "b": np.asarray([np.nan], np.float32)}]
    cases = [
        ([row] * 20, {"a": count, "b": count}, "at least 60 inputs"),
        ([{"a": row["a"]}] * 80, {"a": count}, "at least 2 models"),
        (bad, {"a": count, "b": count}, r"b: .*NaN"),
    ]
    for index, (rows, outputs, complaint) in enumerate(cases):
        path = new_trace(tmp_path / f"{index}.trace", rows, outputs)
        with Trace(path) as trace, pytest.raises(InvalidInput, match=complaint):
            train_links(trace, out=tmp_path / "links")
    assert not list(tmp_path.glob("links*"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, trace_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with Trace(trace_path) as trace, pytest.raises(InvalidInput, match="holds no links"):
        train_links(trace, out=tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
