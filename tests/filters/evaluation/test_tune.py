"""Every level that can be asked of a recording, and the filter that is made of one: they must be the same."""

from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.filters.evaluation.judged_part import cut_of
from infilink.filters.evaluation.side_by_side import side_by_side
from infilink.filters.evaluation.tune import Tuning, tune
from infilink.filters.evaluation.tune_file import tune_file
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.event_selection import EventTarget
from infilink.filters.training.train import train_filter
from infilink.filters.training.train_events import train_event_filter
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace

from .. import arrays
from ..conftest import write_trace
from ..made import write_frames, write_repeats
from ..stems import write_stem

ASKED = 0.8


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trace(tmp_path_factory.mktemp("tuned") / "drawn.trace", inputs=500)


@pytest.fixture(scope="module")
def stem(tmp_path_factory: pytest.TempPathFactory) -> Stem:
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


def at(found: Tuning, asked: float):
    level = next(each for each in found.levels if each.asked == asked)
    return level, found.points[level.point]


@pytest.mark.parametrize("rule", ["value < 1", "unchanged"])
@pytest.mark.parametrize("aim", ["accuracy", "events"])
def test_a_level_is_what_the_filter_does_that_is_trained_at_it(
    path: Path, stem: Stem, tmp_path: Path, aim: str, rule: str
) -> None:
    out = tmp_path / "f.onnx"
    given = {"models": ("squares",), "rule": parse_rule(rule), "stem": stem}
    with Trace(path) as trace:
        found = tune(trace, aim=aim, **given)
        level, point = at(found, ASKED)
        with trace.part(0, cut_of(trace).stop) as before:
            more = {"out": out, "uncertified": True, "resume": False, **given}
            if aim == "events":
                spec = train_event_filter(before, target=EventTarget(ASKED), **more).spec
            else:
                spec = train_filter(before, accuracy=ASKED, **more).spec
        (side,) = side_by_side([out], trace).sides
    assert (point.gate, point.threshold) == (spec.kind, spec.threshold)
    assert level.certificate == spec.certificate
    assert side.point.late_s == point.late_s and side.point.size_bytes == point.size_bytes
    assert side.point.found == point.found
    assert side.evaluation.events == point.found.events and not side.evaluation.warnings


def test_nothing_of_the_judged_part_has_a_say(path: Path, stem: Stem, tmp_path: Path) -> None:
    with Trace(path) as trace:
        cut = cut_of(trace)
        said = [int(value[0]) for value in trace.outputs("squares")]
        opposite = [*said[: cut.judged], *(1 - each for each in said[cut.judged :])]
        found = tune(trace, rule=parse_rule("value < 1"), models=("squares",), stem=stem)
    other = write_trace(tmp_path / "drawn.trace", inputs=500, said=opposite)
    with Trace(other) as trace:
        turned = tune(trace, rule=parse_rule("value < 1"), models=("squares",), stem=stem)
    assert [each.certificate for each in turned.levels] == [each.certificate for each in found.levels]
    assert [each.threshold for each in turned.points] == [each.threshold for each in found.points]
    assert [each.found.sent for each in turned.points] == [each.found.sent for each in found.points]
    assert [each.found.accuracy for each in turned.points] != [each.found.accuracy for each in found.points]


@pytest.mark.parametrize("aim", ["accuracy", "events"])
@pytest.mark.parametrize("write", [write_frames, write_repeats])
def test_a_files_own_thresholds_are_judged(path: Path, tmp_path: Path, aim: str, write) -> None:
    file = write(tmp_path / "f.onnx")
    with Trace(path) as trace:
        found = tune_file(file, trace, aim=aim)
        (side,) = side_by_side([file], trace).sides
    assert (found.learnt, found.competed) == (0, ("f",))
    sent = [point.found.sent for point in sorted(found.points, key=lambda point: point.threshold)]
    assert sent == sorted(sent, reverse=True)
    own = [point for point in found.points if point.threshold == side.spec.threshold]
    assert all(point.found == side.point.found for point in own)


def test_other_inputs_than_pictures_have_levels_too(tmp_path: Path) -> None:
    with arrays.write(tmp_path / "waves.trace", "signal", inputs=300, seed=0) as trace:
        found = tune(trace, rule=arrays.RULE, modality="signal", candidates=("knn",))
    assert found.competed == ("knn",)
    assert {each.name for each in found.points[0].baselines} == {"random", "every K-th", "constant"}


def test_what_is_too_short_and_what_differs_is_refused(path: Path, tmp_path: Path) -> None:
    with (
        Trace(path, stop=60) as short,
        pytest.raises(InvalidInput, match="60 inputs are too few to learn from and to judge on: record at least 67"),
    ):
        tune(short, rule=parse_rule("value < 1"), models=("squares",))
    first, second = write_frames(tmp_path / "a.onnx"), write_frames(tmp_path / "b.onnx", rule="value < 2")
    with Trace(path) as trace, pytest.raises(InvalidInput, match="can't stand side by side"):
        side_by_side([first, second], trace)
