"""Verdicts on traces whose truth is known: filterable, trivial, nothing to see, too small."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.evaluation.assess import Assessment, _after_probing, assess
from infilink.filters.evaluation.cli import assess_command
from infilink.filters.evaluation.pages import write_assessment_page
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.costs import PREPARED_S
from infilink.filters.training.free_gates import LAST_KEPT
from infilink.traces.trace import Trace

from .. import arrays
from ..conftest import draw, write_trace

NONE = parse_rule("count() == 0")
FRACTIONS = (0.5, 1.0)
DECISION_S = 0.001


def judged(path: Path, *, rule=NONE, **options) -> Assessment:
    """The verdict on what the model that counts squares said; what a decision takes is given, not counted."""
    options = {"fractions": FRACTIONS, "filter_s": DECISION_S, **options}
    with Trace(path) as trace:
        return assess(trace, models=("squares",), rule=rule, **options)


def said_at_random(inputs: int) -> Sequence[int]:
    return np.random.default_rng(0).integers(0, 2, inputs).tolist()


@pytest.fixture(scope="module")
def filterable(tmp_path_factory: pytest.TempPathFactory) -> Assessment:
    path = write_trace(tmp_path_factory.mktemp("seen") / "t", inputs=400, seed=5)
    return judged(path, candidates=("background", "age"))


def test_what_can_be_seen_and_comes_and_goes_is_filterable(filterable: Assessment) -> None:
    seen = np.asarray(draw(400, 5)[1]) > 0
    # The last 120 inputs are later than those that are learnt from.
    needed, needed_judged = np.mean(seen), np.mean(seen[280:])
    assert filterable.verdict == "FILTERABLE", filterable.why
    assert [probe.inputs for probe in filterable.probes] == [130, 260]
    # A square is in sight or it is not: what is redundant is dropped, and little else.
    probe = filterable.probes[-1]
    assert probe.accuracy > 0.8 and probe.rate == pytest.approx(1 - needed_judged, abs=0.1)
    assert filterable.probe_random == pytest.approx(0.1 / needed_judged)
    assert probe.rate > max(filterable.probe_random, filterable.random_rate)
    assert probe.skill is not None and 0.5 < probe.skill <= 1.0 + 1e-9
    assert {each.name for each in filterable.free} == {"every K-th", "random", LAST_KEPT}
    # What repeats the last sent answer says nothing of a square that rests.
    assert max(each.rate for each in filterable.free) < probe.rate - 0.05
    low, high = filterable.redundant_interval
    assert low < filterable.redundant < high and filterable.redundant == pytest.approx(1 - needed)
    assert filterable.random_rate == pytest.approx(0.1 / needed)
    assert filterable.optimal_rate == pytest.approx(1.1 - needed)
    assert filterable.expected_rate == pytest.approx(0.71 * filterable.optimal_rate)


def test_what_a_decision_takes_is_weighed_against_the_models(filterable: Assessment) -> None:
    assert (filterable.filter_s, filterable.models_s) == (DECISION_S, 0.02)
    assert filterable.break_even_rate == pytest.approx(DECISION_S / 0.02)


def test_the_page_shows_the_verdict_and_the_learning_curve(filterable: Assessment, tmp_path: Path) -> None:
    write_assessment_page(filterable, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "FILTERABLE" in page and "probe trained on 260 inputs" in page and page.count("<svg") == 1
    assert LAST_KEPT in page and "e-9" not in page and "e+0" not in page
    assert "src=" not in page and 'href="http' not in page


def test_what_is_always_redundant_is_trivial(tmp_path: Path) -> None:
    found = judged(write_trace(tmp_path / "t", inputs=100, said=[0] * 97 + [1] * 3))
    assert found.verdict == "TRIVIAL" and found.constant_accuracy == pytest.approx(0.97)
    assert "0.970" in found.why and not found.probes


def test_what_no_frame_shows_is_not_worth_it(tmp_path: Path) -> None:
    # One frame over and over: whatever a filter learns, it scores them all alike, and can drop all or none.
    found = judged(write_trace(tmp_path / "t", inputs=100, said=said_at_random(100), still=True), candidates=("image",))
    assert found.verdict == "NOT WORTH IT", found.why
    assert "can't be seen" in found.why and found.probes[-1].skill <= 0.0


def test_a_model_cheaper_than_the_filter_is_not_worth_it(tmp_path: Path) -> None:
    found = judged(write_trace(tmp_path / "t", inputs=120, infer_s=DECISION_S / 2))
    assert found.verdict == "NOT WORTH IT" and "deciding pays from" in found.why


def test_a_filter_that_works_and_costs_more_than_it_saves_is_told_from_one_that_sees_nothing(tmp_path: Path) -> None:
    found = judged(write_trace(tmp_path / "t", inputs=120))
    assert found.verdict == "FILTERABLE", found.why
    verdict, why = _after_probing(replace(found, break_even_rate=0.99))
    assert verdict == "NOT WORTH IT" and "it works, but deciding pays from 0.99 on" in why


def test_an_accuracy_that_random_dropping_gives_asks_for_hardly_anything(filterable: Assessment) -> None:
    rate = filterable.probes[-1].rate
    probes = tuple(replace(each, rate=rate, skill=0.0) for each in filterable.probes)
    verdict, why = _after_probing(replace(filterable, probe_random=0.88, probe_optimal=0.99, free=(), probes=probes))
    assert verdict == "NOT WORTH IT" and "ask for more (`--accuracy`)" in why


def test_a_decision_is_counted_if_nothing_is_said_of_it(tmp_path: Path) -> None:
    with Trace(write_trace(tmp_path / "t", inputs=40)) as trace:
        assert assess(trace, models=("squares",), rule=NONE).filter_s == PREPARED_S["stream"]


def test_a_few_inputs_are_too_few(tmp_path: Path) -> None:
    found = judged(write_trace(tmp_path / "t", inputs=40, seed=4))
    assert found.verdict == "MORE DATA" and "at least 50" in found.why


def test_an_output_that_never_changes_is_trivial_to_reuse(tmp_path: Path) -> None:
    found = judged(write_trace(tmp_path / "t", inputs=80, said=[2] * 80), rule=parse_rule("unchanged"))
    assert found.verdict == "TRIVIAL" and found.prior is None


def test_a_senseless_accuracy_is_refused(short_trace_path: Path) -> None:
    with pytest.raises(InvalidInput, match="accuracy"):
        judged(short_trace_path, accuracy=1.0)


def test_the_command_prints_json_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, trace = tmp_path / "page.html", write_trace(tmp_path / "t", inputs=40)
    assess_command(trace, rule="count() == 0", model=["squares"], out=page, as_json=True)
    assert json.loads(capsys.readouterr().out)["verdict"] == "MORE DATA"
    assert "MORE DATA" in page.read_text()


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [("seen", "FILTERABLE"), ("hidden", "NOT WORTH IT"), ("few", "MORE DATA")],
)
def test_inputs_that_are_no_pictures_are_assessed_too(labels: str, verdict: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    said = [int(label) for label in random.integers(0, 2, 40 if labels == "few" else 200)]
    same = arrays.make("signal", 0, random)
    drawn = [(same if labels == "hidden" else arrays.make("signal", label, random), label) for label in said]
    with arrays.write_labelled(tmp_path / "t", drawn) as trace:
        found = assess(trace, rule=arrays.RULE, modality="signal", fractions=FRACTIONS, filter_s=1e-4)
    assert found.verdict == verdict, found.why
    assert found.theory == "class subset: filterable" and found.prior == 0.78


def test_arrays_need_a_modality_and_a_rule_on_one_input(tmp_path: Path) -> None:
    with arrays.write(tmp_path / "t", "signal", inputs=80, seed=1) as trace:
        with pytest.raises(InvalidInput, match="does not say what its inputs are: say it with --modality"):
            assess(trace, rule=arrays.RULE)
        with pytest.raises(InvalidInput, match="compares with an earlier picture"):
            assess(trace, rule=parse_rule("unchanged"), modality="signal")
