"""A deployed model adapted to human labels, beside what spends the same labels."""

import json
import subprocess
import sys

import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.links.domains.adapt import ORACLE, adapt, linear, nothing, oracle_task, scaled
from infilink.links.domains.artifact import ServedLink, save_link
from infilink.links.domains.labels import labels_of, read_labels
from infilink.links.domains.link import learn_link
from infilink.links.domains.task import LinkTask, Pairs
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

COUNT = OutputSpec(kind="count")
SCENE = OutputSpec(kind="label", classes=("empty", "some", "busy"))


@pytest.fixture
def trace(scene_trace):
    with Trace(scene_trace) as opened:
        yield opened


def write_labels(path, trace, every=2, key="sequence"):
    truth = trace.outputs("human")
    at = trace.sequences if key == "sequence" else trace.captured_s
    lines = [f"{at[row]},{SCENE.classes[int(np.argmax(truth[row]))]}" for row in range(0, len(trace), every)]
    path.write_text("\n".join([f"{key},label", *lines]) + "\n")
    return path


def test_what_the_model_confuses_is_put_right_and_doing_nothing_stands_beside(trace, tmp_path):
    labels = read_labels(write_labels(tmp_path / "labels.csv", trace), SCENE, trace)
    done = adapt(trace, ["scene"], labels)
    ways = {way.name: way for way in done.contestants}
    assert list(ways) == ["nothing", "constant", "temperature and bias", "linear", "link"]
    assert done.learnt == 120 and done.chosen + done.reported < 80
    assert done.winner.reported > ways["nothing"].reported + 0.1
    assert ways["link"].reported > ways["constant"].reported + 0.1
    assert done.winner.chosen_on == max(way.chosen_on for way in done.contestants)


def test_what_is_written_says_the_same_as_what_was_learnt(trace, tmp_path):
    labels = labels_of(trace, "human")
    done = adapt(trace, ["scene"], labels)
    for way in done.contestants:
        save_link(way.link, tmp_path / "adapted.onnx")
        served = ServedLink(tmp_path / "adapted.onnx")
        assert served.task == way.link.task
        inputs = Pairs.of(way.link.task, {"scene": trace.outputs("scene")}, labels.values).inputs
        np.testing.assert_allclose(served.predict_numbers(inputs), way.link.predict(inputs), rtol=1e-4, atol=1e-4)
    output = served.predict({"scene": trace.outputs("scene")[0]})
    assert output.shape == (3,) and output.sum() == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(InvalidInput, match="'scene' is missing"):
        served.predict({})


def test_another_type_of_label_is_learnt_too(trace):
    """Of a count there is no "doing nothing" behind a label."""
    labels = labels_of(trace, "human")
    counts = [np.asarray([float(np.argmax(value))], np.float32) for value in labels.values]
    done = adapt(trace, ["scene"], type(labels)(labels.rows, counts), COUNT)
    assert [way.name for way in done.contestants] == ["constant", "linear", "link"]
    assert done.winner.reported > done.contestants[0].reported


def test_numbers_are_put_right_by_factor_and_offset(make_pairs, count_task):
    pairs = make_pairs(0, 300, slope=2.0, offset=3.0)
    train, report = pairs.blocks(0.7, 0.3)
    assert scaled(count_task, train).agreement(report) == linear(count_task, train).agreement(report) > 0.95
    assert nothing(count_task).agreement(report) < 0.2


def test_a_link_bends_where_a_line_can_t(make_pairs, count_task):
    rng = np.random.default_rng(0)
    vehicles = rng.integers(0, 12, (600, 1)).astype(float)
    pairs = Pairs(vehicles, np.rint(np.abs(vehicles - 6.0)))
    train, validation, report = pairs.blocks(0.6, 0.2, 0.2)
    link = learn_link(count_task, train, validation, seed=0)
    assert link.agreement(report) > linear(count_task, train).agreement(report) + 0.3


def test_labels_by_time_may_be_missing_and_a_little_off(trace, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("time,label\n0.1,busy\n1.0,\n1.4,empty\n")
    labels = read_labels(path, SCENE, trace)
    assert labels.rows.tolist() == [0, 3]
    assert [int(np.argmax(value)) for value in labels.values] == [2, 0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when,label\n1,busy\n", "must name sequence or captured_s or time, and label"),
        ("sequence,label\n9999,busy\n", "no input of sequence 9999; the nearest is 399"),
        ("time,label\n900,busy\n", "no input of time 900"),
        ("sequence,label\n1,crowded\n", "line 2: label"),
        ("sequence,label\none,busy\n", "'one' is no number"),
        ("sequence,label\n1,busy\n1,empty\n", "line 3: this input has a label already"),
        ("sequence,label\n1,\n", "holds no label"),
    ],
)
def test_a_wrong_label_is_named(trace, tmp_path, text, says):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        read_labels(path, SCENE, trace)


def test_too_few_labels_and_unknown_models_are_refused(trace, tmp_path):
    few = read_labels(write_labels(tmp_path / "labels.csv", trace, every=40), SCENE, trace)
    with pytest.raises(InvalidInput, match="at least 20"):
        adapt(trace, ["scene"], few)
    with pytest.raises(UnknownModel, match="human, scene"):
        adapt(trace, ["scenes"], labels_of(trace, "human"))
    with pytest.raises(InvalidInput, match="name the deployed one"):
        oracle_task(trace, [])


def test_kinds_that_can_t_be_used_are_refused():
    boxes = OutputSpec(kind="boxes", classes=("car",))
    with pytest.raises(InvalidInput, match="not 'boxes'"):
        LinkTask({"a": COUNT}, ORACLE, boxes, {})
    assert LinkTask({"a": boxes}, ORACLE, COUNT, {}).inputs == 1
    with pytest.raises(InvalidInput, match="not 'tokens'"):
        LinkTask({"a": OutputSpec(kind="tokens", length=9)}, ORACLE, COUNT, {})


def test_the_command_prints_a_table_and_writes_the_best(scene_trace, trace, tmp_path):
    labels = write_labels(tmp_path / "labels.csv", trace)
    command = [sys.executable, "-m", "infilink.cli", "links", "adapt", str(scene_trace), "--model", "scene"]
    out = ["--out", str(tmp_path / "adapted.onnx")]
    done = subprocess.run(
        [*command, "--labels", str(labels), *out, "--json"], capture_output=True, text=True, timeout=60, check=True
    )
    told = json.loads(done.stdout)
    assert told["ways"][told["winner"]]["reported"] > told["ways"]["nothing"]["reported"]
    assert ServedLink(tmp_path / "adapted.onnx").task.target == ORACLE
    wrong = subprocess.run([*command, *out], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 2 and "either --labels" in wrong.stderr
