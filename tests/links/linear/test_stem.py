"""The stem as a source: learnt, chosen, served, planned with, shown; and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from infilink.cli import build_app
from infilink.errors import InvalidInput
from infilink.links.evaluation.evaluate import evaluate_links
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import make_plan
from infilink.links.report.show import Matrix, show_links
from infilink.links.serving import Serving
from infilink.links.table import NEVER, STEM
from infilink.links.training.train import LinksTraining, train_links
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace

from ...filters.stems import write_stem
from .conftest import picture, write_lamp


@pytest.fixture(scope="module")
def graph(lamp_training: LinksTraining) -> LinkGraph:
    return LinkGraph.load(lamp_training.folder)


def seen(graph: LinkGraph, level: int) -> np.ndarray:
    assert graph.stem is not None
    return graph.stem.see(picture(level)).features


def test_models_that_never_ran_are_linked_from_the_stem_alone(lamp_training: LinksTraining, graph: LinkGraph) -> None:
    assert graph.stem is not None and graph.stem.digest == Stem(lamp_training.folder / "stem.onnx").digest
    for level in range(5):
        answer = graph.predict("level", {}, features=seen(graph, level))
        assert (answer.origin, answer.sources, round(float(answer.value[0]))) == ("linked", (STEM,), level)
        lit = graph.predict("lit", {}, features=seen(graph, level))
        assert int(lit.value.argmax()) == (level >= 2)
    assert graph.predict("level", {}).origin != "linked"
    assert graph.predict("noise", {}, features=seen(graph, 1)).sources != (STEM,)
    assert lamp_training.targets["level"].linked[NEVER] > 0.95 > lamp_training.targets["level"].constant


def test_what_it_last_said_is_set_right_by_what_the_stem_saw_then(graph: LinkGraph) -> None:
    old, new = seen(graph, 0), seen(graph, 3)
    zero = np.zeros(1, np.float32)
    changed = graph.predict("level", {}, last=zero, age_s=4.0, features=new, features_then=old)
    assert round(float(changed.value[0])) == 3
    same = graph.predict("level", {}, last=zero, age_s=4.0, features=old, features_then=old)
    assert round(float(same.value[0])) == 0


def test_a_stream_is_served_and_audited_with_it(graph: LinkGraph) -> None:
    serving = Serving(graph, Plan(None, 0, (), {"level": 5.0}))
    serving.complete(0.0, {"level": np.asarray([1.0], np.float32)}, features=seen(graph, 1))
    now = serving.complete(2.0, {}, features=seen(graph, 4))
    assert (now["level"].origin, round(float(now["level"].value[0]))) == ("linked", 4)
    assert serving.preview(2.5, {}, features=seen(graph, 4))["level"].origin == "linked"
    alone = serving.complete(3.0, {})["level"]
    assert STEM not in alone.sources and alone.confidence < 0.5 < now["level"].confidence, "nobody looked"
    before = serving.live.audited
    serving.complete(5.0, {"level": np.asarray([0.0], np.float32)}, features=seen(graph, 0))
    assert serving.live.audited > before


def test_a_plan_counts_on_it_without_any_model(graph: LinkGraph) -> None:
    plan = make_plan(graph, 40 * 2**20)
    often_s = {pair.model: pair.every_s for pair in plan.pairs}
    assert min(often_s, key=lambda name: often_s[name]) == "noise", "the only one that the stem tells nothing of"
    # With what is loaded for good the others never run, of which the stem alone tells less.
    always = 1.0 + sum(graph.tables[name].linked[STEM,][NEVER].validation for name in ("level", "lit"))
    assert plan.expected_agreement > always / 3
    assert all(STEM in plan.served[name].sources for name in ("level", "lit"))
    assert make_plan(graph.without_links(), 40 * 2**20).expected_agreement < plan.expected_agreement


def test_it_has_a_column_and_is_evaluated(lamp_training: LinksTraining, tmp_path: Path) -> None:
    shown = show_links(lamp_training.folder, age_s=2.0)
    matrix = Matrix.of(shown.targets, NEVER)
    cell = matrix.rows["level"][matrix.columns.index(STEM)]
    assert cell is not None and cell.skill is not None and cell.skill > 0.9
    verdict = next(each for each in shown.verdicts if each.target == "level")
    assert verdict.do == "link" and STEM in verdict.sources
    with Trace(write_lamp(tmp_path / "later.trace", 80, 7)) as later:
        done = evaluate_links(lamp_training.folder, later, budget_bytes=40 * 2**20)
    assert done.predicted_agreement is not None and done.predicted_agreement > 0.9 > done.free_agreement


def test_the_stem_beside_the_trace_is_taken_unless_told_otherwise(
    lamp_path: Path, stem_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (lamp_path, stem_path):
        shutil.copy2(path, tmp_path)
    for name, more, there in (("with", [], True), ("without", ["--stem", "none"], False)):
        words = ["train", "links", str(tmp_path / "lamp.trace"), "--out", str(tmp_path / name), "--json", *more]
        build_app(words)(words, standalone_mode=False)
        assert json.loads(capsys.readouterr().out)["inputs"] == 240
        assert (tmp_path / name / "stem.onnx").is_file() is there
        assert (LinkGraph.load(tmp_path / name).stem is not None) is there


def test_another_stem_is_refused(lamp_training: LinksTraining, graph: LinkGraph, tmp_path: Path) -> None:
    other = Stem(write_stem(tmp_path / "other.onnx", seed=1))
    with pytest.raises(InvalidInput, match=f"digest {other.digest}, and these links read that with"):
        graph.seen(np.zeros(other.spec.length, np.float32), other.digest)
    for wrong in (np.zeros(3, np.float32), np.full(other.spec.length, np.nan, np.float32)):
        with pytest.raises(InvalidInput, match="finite numbers"):
            graph.predict("level", {}, features=wrong)
    with pytest.raises(InvalidInput, match="these links read none"):
        graph.without_links().seen(np.zeros(other.spec.length, np.float32))
    copied = shutil.copytree(lamp_training.folder, tmp_path / "copy")
    shutil.copy2(other.path, copied / "stem.onnx")
    with pytest.raises(InvalidInput, match=r"stem.onnx: is another stem"):
        LinkGraph.load(copied)
    (copied / "stem.onnx").unlink()
    with pytest.raises(InvalidInput, match=r"stem.onnx: is missing"):
        LinkGraph.load(copied)


def test_no_model_may_have_its_name(tmp_path: Path, stem_path: Path) -> None:
    with (
        Trace(write_lamp(tmp_path / "named.trace", 80, 0, names={"noise": STEM})) as trace,
        pytest.raises(InvalidInput, match="a model named 'stem', which is what links call the stem's features"),
    ):
        train_links(trace, out=tmp_path / "links", stem=stem_path)
