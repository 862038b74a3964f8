"""Verdicts on traces whose truth is known: filterable, trivial, random, too small."""

import json
from pathlib import Path

import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.filters.cli import assess_command
from infilink.filters.evaluation.assess import assess
from infilink.filters.rules.parser import parse_rule
from infilink.models.cost import ModelCost
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from ..conftest import FPS, SPECS, draw
from ..modalities import test_modalities

NONE = parse_rule("count() == 0")


def trace_of(path: Path, counts: list[int], frames: list[np.ndarray], *, infer_s: float = 0.02) -> Trace:
    specs = {"squares": SPECS["squares"]}
    costs = {"squares": ModelCost(memory_bytes=1 << 20, infer_s=infer_s, load_s=0.2)}
    with TraceWriter(path, TraceInfo("drawn", FPS, specs, {"squares": "d"}, costs)) as writer:
        for i, (count, frame) in enumerate(zip(counts, frames, strict=True)):
            writer.append(i, i / FPS, encode_jpeg(frame), {"squares": np.asarray([count], np.float32)})
    return Trace(path)


def test_what_can_be_seen_and_comes_and_goes_is_filterable(tmp_path: Path) -> None:
    frames, places = draw(240, seed=5)
    with trace_of(tmp_path / "t", [int(place > 0) for place in places], frames) as trace:
        found = assess(trace, rule=NONE, fractions=(0.5, 1.0))
    assert found.verdict == "FILTERABLE", found.why
    assert [probe.inputs for probe in found.probes] == sorted(probe.inputs for probe in found.probes)
    assert found.probes[-1].skill > 0.5
    low, high = found.redundant_interval
    assert low < found.redundant < high
    assert found.random_rate < found.optimal_rate and found.break_even_rate < 0.5
    assert found.expected_rate == pytest.approx(0.71 * found.optimal_rate)


def test_what_is_always_redundant_is_trivial(tmp_path: Path) -> None:
    frames, _ = draw(100, seed=1)
    with trace_of(tmp_path / "t", [0] * 97 + [1] * 3, frames) as trace:
        found = assess(trace, rule=NONE)
    assert found.verdict == "TRIVIAL" and found.constant_accuracy == pytest.approx(0.97)
    assert "0.970" in found.why and not found.probes


def test_what_no_frame_shows_is_not_worth_it_or_needs_more(tmp_path: Path) -> None:
    frames, _ = draw(200, seed=2)
    counts = np.random.default_rng(0).integers(0, 2, 200).tolist()
    with trace_of(tmp_path / "t", counts, frames) as trace:
        found = assess(trace, rule=NONE, fractions=(0.5, 1.0))
    assert found.verdict == "NOT WORTH IT", found.why
    assert "can't be seen" in found.why and found.probes[-1].skill < 0.2


def test_a_model_cheaper_than_the_filter_is_not_worth_it(tmp_path: Path) -> None:
    frames, places = draw(120, seed=3)
    with trace_of(tmp_path / "t", [int(p > 0) for p in places], frames, infer_s=1e-6) as trace:
        found = assess(trace, rule=NONE)
    assert found.verdict == "NOT WORTH IT" and "deciding pays from" in found.why


def test_a_few_inputs_are_too_few(tmp_path: Path) -> None:
    frames, places = draw(40, seed=4)
    with trace_of(tmp_path / "t", [int(place > 0) for place in places], frames) as trace:
        found = assess(trace, rule=NONE)
    assert found.verdict == "MORE DATA" and "at least 60" in found.why


def test_an_output_that_never_changes_is_trivial_to_reuse(tmp_path: Path) -> None:
    frames, _ = draw(80, seed=6)
    with trace_of(tmp_path / "t", [2] * 80, frames) as trace:
        found = assess(trace, rule=parse_rule("unchanged"))
    assert found.verdict == "TRIVIAL" and found.prior is None


def test_a_senseless_accuracy_is_refused(tmp_path: Path) -> None:
    frames, places = draw(80, seed=6)
    with trace_of(tmp_path / "t", places, frames) as trace, pytest.raises(InvalidInput, match="accuracy"):
        assess(trace, rule=NONE, accuracy=1.0)


def test_the_command_prints_json_and_writes_a_page(
    tmp_path: Path, trace_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assess_command(trace_path, rule="count() == 0", model=["squares"], out=page, as_json=True)
    found = json.loads(capsys.readouterr().out)
    text = page.read_text()
    assert found["verdict"] in text and "<svg" in text
    assert "src=" not in text and 'href="http' not in text


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [("seen", "FILTERABLE"), ("random", "NOT WORTH IT"), ("always", "TRIVIAL"), ("few", "MORE DATA")],
)
def test_inputs_that_are_no_pictures_are_assessed_too(labels: str, verdict: str, tmp_path: Path) -> None:
    inputs = 40 if labels == "few" else 300
    with test_modalities.write(tmp_path / "t", "signal", inputs=inputs, seed=1) as trace:
        said = trace.outputs("h")
        if labels == "random":
            said = [said[i] for i in np.random.default_rng(0).permutation(len(said))]
        elif labels == "always":
            said = [said[i] if i < 3 else np.asarray([1, 0], np.float32) for i in range(len(said))]
        trace.outputs = lambda model: said  # type: ignore[method-assign]
        trace.part = lambda start, stop: trace  # type: ignore[method-assign]
        found = assess(trace, rule=test_modalities.RULE, modality="signal", fractions=(0.5, 1.0))
    assert found.verdict == verdict, found.why
    assert found.theory == "class subset: filterable" and found.prior == 0.78


def test_arrays_need_a_modality_and_a_rule_on_one_input(tmp_path: Path) -> None:
    with test_modalities.write(tmp_path / "t", "signal", inputs=80, seed=1) as trace:
        with pytest.raises(InvalidInput, match="there are text, image"):
            assess(trace, rule=test_modalities.RULE)
        with pytest.raises(InvalidInput, match="compares with an earlier picture"):
            assess(trace, rule=parse_rule("unchanged"), modality="signal")
