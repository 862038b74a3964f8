"""Files that the first version wrote open unchanged and say what they said then."""

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from infilink.cli import upgrade_command
from infilink.cloud.learned_state import LearnedState
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.rows import Answered, InputKey
from infilink.device.results import ResultsFile
from infilink.device.results_read import Results
from infilink.errors import InvalidInput
from infilink.filters.open_gate import open_gate
from infilink.filters.reuse.cache_file import load_cache
from infilink.filters.reuse.spec import load_reuse
from infilink.links.graph import LinkGraph
from infilink.links.index import INDEX, Index
from infilink.models.placement import PlacementFile
from infilink.models.spec import digest, find_models, read_spec
from infilink.protos import edge_pb2
from infilink.traces.trace import Trace

FIRST = Path(__file__).parent / "samples" / "first"
DECISIONS = json.loads((FIRST / "decisions.json").read_text())


@pytest.fixture
def first(tmp_path) -> Path:
    """The files of the first version, where they may be written to."""
    return Path(shutil.copytree(FIRST, tmp_path / "first"))


def test_traces_hold_what_was_recorded():
    with Trace(FIRST / "images.trace") as trace:
        assert len(trace) == 40 and sorted(trace.models) == ["scene", "squares"]
        assert next(iter(trace.frames())).shape == (120, 160, 3)
        assert {int(value[0]) for value in trace.outputs("squares")} == {0, 1}
    with Trace(FIRST / "signals.trace") as trace:
        assert len(trace) == 40 and trace.info.input == "array"
        assert next(iter(trace.inputs())).shape == (64, 3)


@pytest.mark.parametrize("name", DECISIONS)
def test_a_filter_decides_as_it_did(name):
    gate = open_gate(FIRST / name)
    with Trace(FIRST / "images.trace") as trace:
        decisions = [gate.decide(frame, index / 10) for index, frame in enumerate(trace.frames())]
    gate.close()
    # The scores to the rounding of other processors: on one of them a score that is as near to the threshold as that
    # lies on its other side.
    near = [each.score is not None and abs(each.score - each.threshold) < 2e-7 for each in decisions]
    assert sum(near) < len(near) / 4
    kept = zip(decisions, DECISIONS[name], near, strict=True)
    assert all(each.keep == keep for each, (keep, _), is_near in kept if not is_near)
    np.testing.assert_allclose([each.score for each in decisions], [score for _, score in DECISIONS[name]], atol=2e-3)


def test_a_cache_of_results_answers_again():
    spec, _ = load_reuse(FIRST / "reuse.onnx")
    cache = spec.open_cache()
    load_cache(FIRST / "cache.npz", cache, embedding=digest(FIRST / "reuse.onnx"))
    assert len(cache) > 0


def test_a_filter_that_had_learnt_on_at_work_decides_as_it_is():
    assert open_gate(FIRST / "online" / "filter.onnx").accuracy == 0.8


def test_links_predict_and_what_they_certified_counts_as_none(caplog):
    graph = LinkGraph.load(FIRST / "grey_links")
    assert len(caplog.records) == 1 and "as if inputs were independent" in caplog.text
    paths = find_models(FIRST / "grey_models")
    specs, digests = ({name: of(path) for name, path in paths.items()} for of in (read_spec, digest))
    graph.check(FIRST / "grey_links", specs, digests)
    answer = graph.predict("twin", {"bright": np.asarray([100.0], np.float32)})
    assert answer.origin == "linked" and answer.value == pytest.approx([90.0], abs=10.0)
    assert answer.trust == "uncalibrated" and answer.region is None
    others = LinkGraph.load(FIRST / "links")
    assert sorted(others.models) == sorted(others.tables)


def test_a_placement_places():
    assert PlacementFile.load(FIRST / "placement.json").device("door").running("device") == ("light",)


def test_a_ledger_answers_again_and_goes_on(first):
    before, after = InputKey("raw", "before", 7), InputKey("raw", "after", 0)
    next_answer = edge_pb2.CoordinatorMessage(result=edge_pb2.Result(sequence=0))

    async def story():
        ledger = Ledger.open(first / "ledger.db")
        answer = await ledger.find(before)
        assert answer == kept
        assert answer.result.sequence == 7 and {each.model for each in answer.result.outputs} == {
            "bright",
            "red",
            "twin",
        }
        await ledger.record(Answered(after, next_answer))
        await ledger.close()
        again = Ledger.open(first / "ledger.db")
        assert (await again.find(before), await again.find(after)) == (answer, next_answer)
        await again.close()

    with sqlite3.connect(first / "ledger.db") as file:
        (blob,) = file.execute("SELECT answer FROM answers WHERE session = 'before' AND sequence = 7").fetchone()
    file.close()
    kept = edge_pb2.CoordinatorMessage.FromString(blob)
    asyncio.run(story())


def test_what_was_learned_while_serving_is_known(first):
    targets = Index.read(first / "grey_links").tables
    database = Database(first / "ledger.db")
    state = LearnedState(database, digest(first / "grey_links" / INDEX), tuple(targets), devices=4)
    assert state.of("raw").trust.audited == 235
    database.close()


def test_results_are_read_and_added_to(first):
    with Results(first / "results.db") as results:
        assert len(results.sequences) == 120 and results.models == ["bright", "red", "twin"]
        assert len(results.served("bright")) == 120
    with ResultsFile(first / "results.db", anew=False) as file:
        assert file.next_sequence == 120


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("images.trace", "a trace"),
        ("tasks.onnx", "a filter"),
        ("reuse.onnx", "a reuse file"),
        ("links", "a folder of links"),
        ("adapted.onnx", "what sites learnt together"),
        ("placement.json", "a placement"),
        ("results.db", "a results file"),
        ("ledger.db", "a ledger"),
        ("grey_models/red.onnx", "a model"),
    ],
)
def test_upgrade_says_that_they_are_read_as_they_are(name, what, capsys):
    before = digest(FIRST / name) if (FIRST / name).is_file() else None
    upgrade_command(FIRST / name)
    assert f"is {what} that infilink" in capsys.readouterr().out
    assert before is None or digest(FIRST / name) == before


def test_upgrade_refuses_what_it_does_not_know_and_what_is_newer(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InvalidInput, match="is nothing that infilink knows"):
        upgrade_command(tmp_path / "a.txt")
    with pytest.raises(InvalidInput, match="there is no such file or folder"):
        upgrade_command(tmp_path / "b.txt")
    placement = json.loads((FIRST / "placement.json").read_text())
    (tmp_path / "newer.json").write_text(json.dumps({**placement, "format": 99}))
    with pytest.raises(InvalidInput, match=r"is a placement of format 99, .* a newer infilink wrote it"):
        upgrade_command(tmp_path / "newer.json")
