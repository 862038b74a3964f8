"""A filter at work that keeps learning: what it asks for, how a newer one comes into service, and what it survives."""

import logging
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.gates.base import Decision, ModelOutput
from infilink.filters.online.fit import new_network
from infilink.filters.online.folder import BEGAN, UPDATE, OnlineFolder, digest_of, updates_of
from infilink.filters.online.gate import OnlineGate
from infilink.filters.online.labels import load_labels
from infilink.filters.online.live import LiveUpdate
from infilink.filters.online.restored import restored_network
from infilink.filters.online.state import load_online
from infilink.filters.online.threshold import CLOSED
from infilink.filters.online.update import update
from infilink.filters.open_gate import open_gate
from infilink.filters.spec import FilterSpec, load_filter
from infilink.filters.training.graphs import compress, save_filter, scalar_graph
from infilink.filters.training.temporal import TemporalNetwork, network_graph
from infilink.outputs import OutputSpec

from ...certificates import certificate, event_promise

OUTPUT = OutputSpec(kind="scalar", tolerance=1.0)
CERTIFICATE = certificate(error=0.01, upper_bound=0.04)
SPEC = FilterSpec(
    kind="network",
    rule="value < 1",
    models={"squares": "d0"},
    reference="previous",
    threshold=2.0,
    accuracy=0.8,
    step_s=0.0,
    certificate=CERTIFICATE,
)
SAYS_NOTHING = (sys.executable, "-c", "")
NEVER_ENDS = (sys.executable, "-c", "import threading; threading.Event().wait()")


@pytest.fixture(scope="module")
def network() -> TemporalNetwork:
    return new_network(0)


@pytest.fixture
def path(tmp_path, network) -> Path:
    """A filter that skips everything."""
    save_filter(tmp_path / "first.onnx", network_graph(network), SPEC)
    return tmp_path / "first.onnx"


@pytest.fixture
def open_online(path, tmp_path):
    """Opens gates over one folder; all are closed at the end."""
    opened = []

    def begin(*, share=0.5, period_s=5.0, command=SAYS_NOTHING, close_timeout_s=0.0) -> OnlineGate:
        live = LiveUpdate(tmp_path / "online", share, period_s)
        opened.append(OnlineGate(path, live, close_timeout_s=close_timeout_s, command=command))
        opened[-1].substitute("squares", OUTPUT)
        return opened[-1]

    yield begin
    for gate in opened:
        gate.close()


def frame(index: int) -> tuple[np.ndarray, float]:
    """A frame, bright where it is needed: every third; and the model's answer."""
    needed = index % 3 == 0
    image = np.random.default_rng(index).integers(0, 60, (60, 80, 3), np.uint8)
    return image + np.uint8(120 * needed), float(needed)


def run(gate: OnlineGate, start: int, stop: int, *, digest="d0", told=True) -> list[Decision]:
    """Ten frames per second, every kept one answered at once."""
    decisions = []
    for index in range(start, stop):
        image, answer = frame(index)
        decisions.append(gate.decide(image, index / 10))
        if decisions[-1].learn is not None and told:
            decisions[-1].learn({"squares": ModelOutput(np.asarray([answer], np.float32), digest)})
    return decisions


def through_update(gate: OnlineGate, start: int = 0) -> int:
    """Answered frames until an update is due, its end, and the frame after it; returns the next frame's number."""
    before = gate.stats()
    for index in range(start, start + 200):
        run(gate, index, index + 1)
        process = gate._updater._process
        if process is not None:
            process.wait(60)
            run(gate, index + 1, index + 2, told=False)
            return index + 2
        if gate.stats().failed > before.failed:
            return index + 1
    raise AssertionError(f"no update in 200 frames: {gate.stats()}")


def copies(source: Path) -> tuple[str, ...]:
    """An update that only puts a prepared filter into its place."""
    code = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2] + '/filter.onnx')"
    return (sys.executable, "-c", code, str(source))


def write_next(
    path: Path, first: Path, network: TemporalNetwork, *, number: int = 1, threshold: float = CLOSED
) -> Path:
    certificate = CERTIFICATE.model_copy(update={"certified": False, "rate": 0.0, "error": 0.5})
    versions = {BEGAN: digest_of(first), UPDATE: str(number)}
    changes = {"threshold": threshold, "certificate": certificate, "versions": versions}
    save_filter(path, network_graph(network), SPEC.model_copy(update=changes))
    return path


def test_it_decides_as_the_filter_and_keeps_a_share_more(path, open_online):
    gate, plain = open_online(share=0.2, period_s=1e9), open_gate(path)
    taken = run(gate, 0, 400)
    expected = [plain.decide(frame(i)[0], i / 10) for i in range(400)]
    assert [d.score for d in taken] == [d.score for d in expected]
    asked = [d.asks for d in taken]
    assert [d.keep and not d.asks for d in taken] == [d.keep for d in expected]
    assert all(d.learn is not None for d in taken if d.keep)
    stats = gate.stats()
    assert stats.asked == sum(asked) and 40 < stats.asked <= 0.2 * 400 + 20
    assert stats.labelled == stats.asked + 1  # The first frame is kept by any filter.


def test_a_newer_filter_comes_into_service_between_two_inputs(tmp_path, path, network, open_online, caplog):
    caplog.set_level(logging.INFO)
    newer = write_next(tmp_path / "next.onnx", path, network)
    gate = open_online(command=copies(newer))
    before = gate.substitute("squares", OUTPUT)
    assert sum(d.keep for d in run(gate, 0, 40)) < 30
    then = through_update(gate, 40)
    assert gate.stats().updates == 1
    after = run(gate, then, then + 30)
    assert all(d.keep and not d.asks and d.threshold == CLOSED for d in after)
    assert (before.confidence, before.trusted) == (0.99, True)
    now = gate.substitute("squares", OUTPUT)
    assert (now.confidence, now.trusted) == (0.5, False)
    assert "update 1 is in service" in caplog.text and "it keeps everything" in caplog.text
    assert not (tmp_path / "online" / "labels.npz").exists()


def test_what_a_newer_filter_skips_is_answered_by_its_own_certificate(tmp_path, path, network, open_online):
    newer = write_next(tmp_path / "next.onnx", path, network, threshold=2.0)
    gate = open_online(command=copies(newer))
    then = through_update(gate)
    skipped = [d for d in run(gate, then, then + 30) if not d.keep]
    assert skipped and all(d.answers["squares"].confidence == 0.5 for d in skipped)


def test_an_update_that_fails_or_is_killed_leaves_the_filter_in_service(open_online, tmp_path, caplog):
    fails = (sys.executable, "-c", "import sys; sys.exit('the disk is full')")
    killed = (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    nothing = (str(tmp_path / "no-such-program"),)
    for command, why in ((fails, "the disk is full"), (killed, "killed by signal 9"), (nothing, "No such file")):
        caplog.clear()
        gate = open_online(command=command)
        through_update(gate)
        assert gate.stats().failed == 1 and gate.stats().updates == 0 and gate.filter.threshold == 2.0
        assert "an update failed, the filter in service stays" in caplog.text and why in caplog.text
        gate.close()


def test_an_update_that_brings_no_filter_is_one_that_failed(open_online):
    gate = open_online(command=SAYS_NOTHING)
    through_update(gate)
    assert gate.stats().failed == 1 and gate.stats().updates == 0


def test_an_update_that_runs_when_the_device_stops_is_begun_again(open_online, tmp_path, path, network):
    gate = open_online(command=NEVER_ENDS)
    run(gate, 0, 150)
    gate.close()
    gate.close()
    assert (tmp_path / "online" / "labels.npz").is_file()
    newer = write_next(tmp_path / "next.onnx", path, network)
    again = open_online(period_s=1e9, command=copies(newer))
    through_update(again)
    assert again.stats().updates == 1
    again.close()
    assert updates_of(open_online().filter.spec) == 1


def test_an_update_that_runs_at_the_end_is_waited_for(open_online, tmp_path, path, network):
    newer = write_next(tmp_path / "next.onnx", path, network)
    gate = open_online(period_s=10.0, command=copies(newer), close_timeout_s=30.0)
    run(gate, 0, 150)
    gate.close()
    assert gate.stats().updates == 1 and updates_of(open_online().filter.spec) == 1


def test_what_was_labelled_before_a_restart_counts(open_online, tmp_path):
    gate = open_online(period_s=1e9)
    run(gate, 0, 100)
    labelled = gate.stats().labelled
    gate.close()
    again = open_online(period_s=10.0, command=NEVER_ENDS)
    run(again, 0, 150)
    assert again.stats().labelled > 0 and (tmp_path / "online" / "labels.npz").is_file()
    labels, facts = load_labels(tmp_path / "online" / "labels.npz")
    assert facts["update"] == 1 and labelled <= len(labels) <= labelled + 5


def test_an_answer_counts_for_its_own_period_or_not_at_all(open_online):
    gate = open_online(command=NEVER_ENDS)
    late = [d.learn for d in run(gate, 0, 20, told=False) if d.learn is not None]
    run(gate, 20, 200)
    labelled = gate.stats().labelled
    for learn in late:
        learn({"squares": ModelOutput(np.ones(1, np.float32), "d0")})
        learn({"another": ModelOutput(np.ones(1, np.float32), "d0")})
    assert gate.stats().labelled == labelled


def test_it_learns_from_the_models_that_answered_last(open_online, tmp_path):
    gate = open_online(command=NEVER_ENDS)
    run(gate, 0, 150, digest="d1")
    _, facts = load_labels(tmp_path / "online" / "labels.npz")
    assert facts["models"] == {"squares": "d1"}


def test_an_answer_that_can_not_be_judged_is_told_once_and_not_learnt_from(tmp_path, network, caplog):
    (tmp_path / "rules.py").write_text("def fails(output):\n    raise RuntimeError('no such thing')\n")
    rule = f"call({tmp_path / 'rules.py'}:fails)"
    save_filter(tmp_path / "called.onnx", network_graph(network), SPEC.model_copy(update={"rule": rule}))
    live, files = LiveUpdate(tmp_path / "online", 0.5), [tmp_path / "rules.py"]
    with pytest.raises(InvalidInput, match=r"runs only where you name the file yourself: rule_file = '.*rules\.py'"):
        OnlineGate(tmp_path / "called.onnx", live)
    gate = OnlineGate(tmp_path / "called.onnx", live, rule_files=files)
    gate.substitute("squares", OUTPUT)
    run(gate, 0, 50)
    gate.close()
    assert gate.stats().asked > 0 == gate.stats().labelled
    assert caplog.text.count("an answer can't be judged") == 1 and "no such thing" in caplog.text


def test_a_model_that_the_rule_does_not_fit_is_refused(open_online):
    with pytest.raises(InvalidInput, match="judges outputs of kind count, scalar"):
        open_online().substitute("squares", OutputSpec(kind="label", classes=("a", "b")))


def test_a_folder_of_another_filter_is_refused(open_online, tmp_path, path, network):
    (tmp_path / "online").mkdir()
    other = write_next(tmp_path / "online" / "filter.onnx", path, network)
    assert open_online().filter.spec.threshold == CLOSED
    save_filter(path, network_graph(network), SPEC.model_copy(update={"seed": 1}))
    with pytest.raises(InvalidInput, match="began as another filter than"):
        open_online()
    other.write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"filter\.onnx"):
        open_online()


def test_filters_that_can_not_be_trained_further_are_refused(tmp_path, path):
    live = LiveUpdate(tmp_path / "online")
    age = tmp_path / "age.onnx"
    save_filter(age, scalar_graph("age"), SPEC.model_copy(update={"kind": "age"}))
    with pytest.raises(InvalidInput, match="takes a filter of kind network"):
        open_gate(age, update=live)
    save_filter(age, scalar_graph("age"), SPEC.model_copy(update={"rule": "unchanged", "reference": "last kept"}))
    with pytest.raises(InvalidInput, match="with the rule 'unchanged'"):
        open_gate(age, update=live)
    found = event_promise()
    save_filter(age, scalar_graph("age"), SPEC.model_copy(update={"events": found}))
    with pytest.raises(InvalidInput, match="and promises events"):
        open_gate(age, update=live)
    for text in ("all", f"{path}@0.9", str(tmp_path / "absent.onnx")):
        with pytest.raises(InvalidInput, match="`update` goes with the path"):
            open_gate(text, update=live)
    assert isinstance(open_gate(path, update=live), OnlineGate)


def test_without_torch_it_says_what_to_install(path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InvalidInput, match=r'torch is not installed: pip install "infilink\[train\]"'):
        open_gate(path, update=LiveUpdate(tmp_path / "online"))


def test_settings_that_make_no_sense_are_named(tmp_path):
    for wrong in ({"share": 0.0}, {"share": 1.0}, {"period_s": 0.0}):
        with pytest.raises(InvalidInput, match=f"update_{next(iter(wrong))} must be above 0"):
            LiveUpdate(tmp_path, **wrong)


@pytest.mark.parametrize("int8", [False, True])
def test_a_file_s_network_is_restored_as_it_was(tmp_path, network, int8):
    graph = network_graph(network)
    save_filter(tmp_path / "f.onnx", compress(graph) if int8 else graph, SPEC)
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (24, 112, 112, 3), np.uint8)
    scalars = random.normal(0, 1, (24, 17)).astype(np.float32)
    restored = restored_network(tmp_path / "f.onnx", images)
    _, session = load_filter(tmp_path / "f.onnx")
    channels = np.ascontiguousarray(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    expected = session.run(None, {"channels": channels, "scalars": scalars})[0][:, 0]
    assert restored.scores(images, scalars) == pytest.approx(expected, abs=1e-4)
    save_filter(tmp_path / "f.onnx", scalar_graph("age"), SPEC)
    with pytest.raises(InvalidInput, match="another kind of network"):
        restored_network(tmp_path / "f.onnx", images)


def test_what_was_labelled_scores_in_training_as_it_did_at_work(open_online, path, tmp_path):
    gate = open_online(period_s=1e9)
    decisions = run(gate, 0, 60)
    gate.close()
    held = load_labels(tmp_path / "online" / "pending.npz")[0].memory.all()
    scores = sorted(d.score for d in decisions if d.learn is not None)
    restored = restored_network(path, held.images).scores(held.images, held.scalars)
    assert sorted(restored) == pytest.approx(scores, abs=1e-3)


@pytest.fixture(scope="module")
def once_updated(tmp_path_factory, network) -> Path:
    """A folder whose labels waited for an update, after it."""
    base = tmp_path_factory.mktemp("updated")
    save_filter(base / "first.onnx", network_graph(network), SPEC)
    live = LiveUpdate(base / "online", 0.5, 10.0)
    gate = OnlineGate(base / "first.onnx", live, close_timeout_s=0.0, command=NEVER_ENDS)
    gate.substitute("squares", OUTPUT)
    run(gate, 0, 101)
    gate.close()
    update(OnlineFolder(live.folder))
    return live.folder


@pytest.fixture
def updated(once_updated, tmp_path) -> OnlineFolder:
    """A copy of it, where `open_online` looks."""
    shutil.copytree(once_updated, tmp_path / "online")
    return OnlineFolder(tmp_path / "online")


def test_an_update_learns_and_can_be_run_again(updated, open_online, path):
    folder = updated
    spec, _ = load_filter(folder.filter)
    assert updates_of(spec) == 1 and spec.versions[BEGAN] == digest_of(path) and spec.models == {"squares": "d0"}
    online = load_online(folder.state)
    assert online.updates == 1 and online.labelled == len(load_labels(folder.labels)[0])
    # Nothing that the first filter skips is redundant by more than a third: the new threshold is another.
    assert spec.threshold < 2.0
    written = folder.state.read_bytes()
    folder.filter.unlink()
    update(folder)
    assert folder.state.read_bytes() == written and updates_of(load_filter(folder.filter)[0]) == 1
    assert updates_of(open_online().filter.spec) == 1


def test_a_state_that_is_not_the_filter_s_is_refused(updated):
    labels, facts = load_labels(updated.labels)
    labels.save(updated.labels, {**facts, "update": 5})
    with pytest.raises(InvalidInput, match="has 1 updates and the filter has not"):
        update(updated)
