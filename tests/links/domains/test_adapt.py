"""A deployed model adapted to human labels, beside what spends the same labels."""

import json
import subprocess
import sys

import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.links.domains.adapt import ORACLE, adapt, label_task, linear, nothing, scaled
from infilink.links.domains.folder import LinkFolder
from infilink.links.domains.labels import labels_of, read_labels
from infilink.links.domains.link import learn_link
from infilink.links.domains.task import LinkTask, Pairs
from infilink.links.graph import LinkGraph
from infilink.links.index import Index
from infilink.links.report.show import show_links
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


def pairs_of(trace, labels, output=None):
    folder = LinkFolder.open(trace)
    task = label_task(folder, ["scene"], output)
    return task, Pairs.of(task, folder.labelled(task, labels.rows, labels.values))


def test_what_the_model_confuses_is_put_right_and_doing_nothing_stands_beside(trace, tmp_path):
    labels = read_labels(write_labels(tmp_path / "labels.csv", trace), SCENE, trace)
    done = adapt(*pairs_of(trace, labels))
    ways = {way.name: way for way in done.entrants}
    assert list(ways) == ["nothing", "constant", "temperature and bias", "linear", "link"]
    assert done.learnt == 120 and done.chosen + done.reported < 80
    assert done.winner.reported > ways["nothing"].reported + 0.1
    assert ways["link"].reported > ways["constant"].reported + 0.1
    assert done.winner.chosen_on == max(way.chosen_on for way in done.entrants)


def test_another_type_of_label_is_learnt_too(trace):
    """Of a count there is no "doing nothing" behind a label."""
    labels = labels_of(trace, "human")
    counts = [np.asarray([float(np.argmax(value))], np.float32) for value in labels.values]
    done = adapt(*pairs_of(trace, type(labels)(labels.rows, counts), COUNT))
    assert [way.name for way in done.entrants] == ["constant", "linear", "link"]
    assert done.winner.reported > done.entrants[0].reported


def test_numbers_are_put_right_by_factor_and_offset(make_pairs, count_task):
    pairs = make_pairs(0, 300, slope=2.0, offset=3.0)
    train, report = pairs.blocks(0.7, 0.3)
    assert scaled(count_task, train).agreement(report) == linear(count_task, train).agreement(report) > 0.95
    assert nothing(count_task).agreement(report) < 0.2


def test_a_link_bends_where_a_line_can_t(count_task):
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
        adapt(*pairs_of(trace, few))
    folder = LinkFolder.open(trace)
    with pytest.raises(UnknownModel, match="human, scene"):
        label_task(folder, ["scenes"])
    with pytest.raises(InvalidInput, match="name the deployed one"):
        label_task(folder, [])


def test_kinds_that_can_t_be_used_are_refused():
    boxes = OutputSpec(kind="boxes", classes=("car",))
    with pytest.raises(InvalidInput, match="not 'boxes'"):
        LinkTask({"a": COUNT}, ORACLE, boxes, {})
    assert LinkTask({"a": boxes}, ORACLE, COUNT, {}).inputs == 1
    with pytest.raises(InvalidInput, match="not 'tokens'"):
        LinkTask({"a": OutputSpec(kind="tokens", length=9)}, ORACLE, COUNT, {})


def run(*words):
    command = [sys.executable, "-m", "infilink.cli", "links", "adapt", *map(str, words), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_writes_links_that_answer_as_the_person_would(scene_trace, trace, tmp_path):
    labels = write_labels(tmp_path / "labels.csv", trace)
    done = run(scene_trace, "--model", "scene", "--labels", labels, "--out", tmp_path / "links")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ways"][told["winner"]]["reported"] > told["ways"]["nothing"]["reported"]
    assert (told["target"], told["origin"], told["sources"]) == (ORACLE, "linked", ["scene"])
    graph = LinkGraph.load(tmp_path / "links")
    assert list(graph.virtual) == [ORACLE] and ORACLE not in graph.costs and ORACLE not in graph.digests
    assert graph.notes["domains"][ORACLE]["way"] == told["winner"]
    said, truth = trace.outputs("scene"), trace.outputs("human")
    unseen = range(361, 400, 2)
    answers = {row: graph.predict(ORACLE, {"scene": said[row]}) for row in unseen}
    right = [SCENE.agreement(answer.value, truth[row]) for row, answer in answers.items()]
    assert {answer.origin for answer in answers.values()} == {"linked"} and np.mean(right) > 0.8
    verdict = {each.target: each for each in show_links(tmp_path / "links").verdicts}[ORACLE]
    assert verdict.do == "link" and verdict.text.startswith("worth linking from scene: ") and "held" not in verdict.text


def test_a_model_that_stands_for_the_truth_is_no_model_that_runs(scene_trace, tmp_path):
    done = run(scene_trace, "--model", "scene", "--oracle", "human", "--out", tmp_path / "links")
    assert done.returncode == 0, done.stderr
    index = Index.read(tmp_path / "links")
    assert list(index.digests) == ["scene"] and index.links == ("human",) and index.models["human"].virtual


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "either --labels"),
        (["--labels", "labels.csv", "--oracle", "human"], "either --labels"),
        (["--labels", "labels.csv", "--name", "human"], "has a model 'human' already"),
    ],
)
def test_what_can_t_be_is_one_line(scene_trace, tmp_path, words, says):
    done = run(scene_trace, "--model", "scene", *words, "--out", tmp_path / "links")
    assert done.returncode == 2 and says in " ".join(done.stderr.split()) and not (tmp_path / "links").exists()
