"""One run of a stream over a real clip and real gRPC: every frame has its results, whatever the network does."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.codec import decode_jpeg
from infilink.device.config import DeviceConfig
from infilink.device.results_read import Results
from infilink.device.stream_run import StreamRun
from infilink.errors import InvalidInput, Unavailable
from infilink.filters.learnt_from import LearntFrom
from infilink.filters.modalities.signal import Signal
from infilink.filters.spec import METADATA_KEY, CameraThreshold, Certificate, FilterSpec
from infilink.models.spec import read_spec
from infilink.models.stem.stem import Stem
from infilink.protos import edge_pb2
from infilink.protos.features import FeatureRange
from onnx import TensorProto, helper

from ..clips import Stream, write_clip
from ..filters.made import write_frames, write_mean
from ..filters.stems import write_stem
from .conftest import FRAMES, brightness
from .coordinator import UNAVAILABLE, Coordinator, refused, result


def brightness_of(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
    """What `bright` says of an input."""
    return result(message.sequence, bright=float(decode_jpeg(message.payload).mean()))


@pytest.fixture
def start_bright(start_coordinator, tiny_models) -> Callable[..., Coordinator]:
    """Starts coordinators that serve `bright`."""
    spec = read_spec(tiny_models / "bright.onnx")
    return lambda answer=brightness_of: start_coordinator({"bright": spec}, answer=answer)


@pytest.fixture
def make_agent(video: Path, tmp_path: Path) -> Callable[..., StreamRun]:
    def make(coordinator: Coordinator, **settings: object) -> StreamRun:
        values = {
            "name": "yard",
            "source": str(video),
            "pace": "max",
            "coordinator": coordinator.address,
            "queue": "all",
            "results": tmp_path / "r.sqlite",
        }
        return StreamRun(DeviceConfig.model_validate({**values, **settings}))

    return make


@pytest.fixture
def read(tmp_path: Path):
    """The results file, closed at the end."""
    opened = []

    def read() -> Results:
        opened.append(Results(tmp_path / "r.sqlite"))
        return opened[-1]

    yield read
    for each in opened:
        each.close()


def column(path: Path, name: str) -> list[object]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute(f"SELECT {name} FROM inputs ORDER BY sequence")]


def levels(results: Results) -> list[float]:
    return [float(value[0]) for value in results.served("bright")]


def write_filter(path: Path, *, accuracy: float, certified: bool = True) -> Path:
    """A filter that takes every frame after the first for a repetition of it, whatever it shows."""
    nodes = [
        helper.make_node("ReduceMean", ["channels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "filter",
        [helper.make_tensor_value_info("channels", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1])],
        [
            helper.make_tensor("nothing", TensorProto.FLOAT, [1], [0.0]),
            helper.make_tensor("shape", TensorProto.INT64, [2], [1, 1]),
        ],
    )
    error = (1.0 - accuracy) / 2
    certificate = Certificate(
        certified=certified,
        confidence=0.95,
        inputs=1000,
        runs=1000.0,
        lost=1000 * error,
        error=error,
        upper_bound=1.0 - accuracy,
        method="betting",
        rate=0.9,
    )
    spec = FilterSpec(
        kind="network",
        rule="unchanged",
        models={"bright": "d0"},
        reference="last kept",
        threshold=0.5,
        accuracy=accuracy,
        step_s=0.0,
        certificate=certificate,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: spec.model_dump_json()})
    onnx.save(model, str(path))
    return path


def test_a_gate_that_does_not_fit_is_refused_at_the_start(start_bright, make_agent, tmp_path):
    path = write_filter(tmp_path / "filter.onnx", accuracy=0.9)
    coordinator = start_bright()
    coordinator.welcome.digests["bright"] = "d1"
    with pytest.raises(InvalidInput, match=r"another version of bright: from digest d0, and in service is d1; train"):
        make_agent(coordinator, gate=str(path)).run()
    signal = Signal(steps=16, mean=(0.0,), scale=(1.0,))
    with pytest.raises(InvalidInput, match="modality is image here, and was signal in training"):
        make_agent(coordinator, gate=str(write_mean(tmp_path / "signal.onnx", signal))).run()
    fast = LearntFrom(source="camera", inputs=9, first_s=0.0, last_s=1.0, step_s=0.04)
    with pytest.raises(InvalidInput, match=r"gives 10 frames/s, .* was learnt at 25"):
        make_agent(coordinator, gate=str(write_frames(tmp_path / "fast.onnx", learnt_from=fast))).run()


def test_a_filter_of_a_site_has_the_threshold_of_the_camera_that_the_device_is_called_by(
    start_bright, make_agent, tmp_path, caplog
):
    learnt = LearntFrom(source="camera", inputs=9, first_s=0.0, last_s=1.0, step_s=0.1)
    made = write_filter(tmp_path / "one.onnx", accuracy=0.9)
    model = onnx.load(str(made))
    spec = FilterSpec.model_validate_json(model.metadata_props[0].value)
    yard = CameraThreshold(threshold=0.25, certificate=spec.certificate, learnt_from=learnt)
    of_site = spec.model_copy(update={"cameras": {"yard": yard}})
    helper.set_model_props(model, {METADATA_KEY: of_site.model_dump_json()})
    onnx.save(model, str(tmp_path / "site.onnx"))
    for name, threshold in (("yard", 0.25), ("new", 0.5)):
        make_agent(start_bright(), gate=str(tmp_path / "site.onnx"), name=name).run()
        assert set(column(tmp_path / "r.sqlite", "threshold")) == {threshold}
    assert [name for name in ("yard", "new") if f"camera '{name}' is none of those" in caplog.text] == ["new"]


def test_every_frame_is_sent_and_has_its_own_result(start_bright, make_agent, read):
    coordinator = start_bright()
    summary = make_agent(coordinator).run()
    assert (summary.frames, summary.kept, summary.answered) == (FRAMES, FRAMES, FRAMES)
    assert (summary.dropped, summary.refused, summary.connections) == (0, 0, 1)
    results = read()
    assert results.sequences == list(range(FRAMES)) and results.captured_s[7] == pytest.approx(0.7)
    assert levels(results) == pytest.approx([brightness(i) for i in range(FRAMES)], abs=4)
    assert set(results.origins("bright")) == {"executed"} and min(results.sent_bytes) > 0
    connection = coordinator.connection()
    connection.wait()
    report = connection.reports[-1]
    assert (report.frames, report.kept, report.dropped) == (FRAMES, FRAMES, 0)
    assert report.received_bytes == summary.received_bytes and report.memory_bytes > 2**20


def test_an_unsent_frame_has_the_result_of_the_last_kept_one(start_bright, make_agent, read):
    summary = make_agent(start_bright(), gate="every:3").run()
    assert (summary.frames, summary.kept, summary.answered) == (FRAMES, 10, 10)
    results = read()
    assert results.kept == [i % 3 == 0 for i in range(FRAMES)]
    assert results.origins("bright")[:4] == ["executed", "reused", "reused", "executed"]
    assert levels(results) == pytest.approx([brightness(i - i % 3) for i in range(FRAMES)], abs=4)
    assert [bool(size) for size in results.sent_bytes] == results.kept


@pytest.mark.parametrize("encoding", ["jpeg", "auto"])
def test_queue_latest_never_waits_for_the_network(start_coordinator, make_agent, tiny_models, tmp_path, encoding):
    # It never answers: whoever waited for it would wait for ever.
    silent = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")})
    agent = make_agent(silent, queue="latest", window=2, answer_timeout_s=0.01, encoding=encoding)
    with pytest.raises(Unavailable, match="3 inputs got no answer"):
        agent.run()
    assert agent.report().frames == FRAMES and agent.report().dropped == FRAMES - 3
    reasons = column(tmp_path / "r.sqlite", "refused")
    # The first two that were encoded, and the last one; where encoding takes long, others between are left out.
    assert reasons.count("dropped") == FRAMES - 3 and (reasons[0], reasons[-1]) == (None, None)
    assert encoding != "jpeg" or reasons[1] is None


# The window's inputs, this one included, and the frame whose turn it is; where encoding may take long, and so is done
# beside the capture, also the one that is encoded and the next one.
@pytest.mark.parametrize(("encoding", "most"), [("jpeg", 3), ("auto", 5)])
def test_queue_all_captures_no_further_ahead_than_its_window(start_bright, make_agent, encoding, most):
    ahead = []

    def answer(message):
        ahead.append(agent.report().frames - message.sequence)
        return brightness_of(message)

    agent = make_agent(start_bright(answer), queue="all", window=2, encoding=encoding)
    assert agent.run().answered == FRAMES
    assert max(ahead) <= most


def test_a_stopped_agent_captures_no_more_and_still_hears_the_answers(start_bright, make_agent, read):
    def answer(message):
        if message.sequence == 4:
            agent.stop()
        return brightness_of(message)

    agent = make_agent(start_bright(answer), loop=True, window=1)
    summary = agent.run()
    assert 5 <= summary.frames <= 7 and summary.answered == summary.kept == summary.frames
    assert read().sequences == list(range(summary.frames))


def test_a_deadline_travels_and_a_late_frame_has_the_last_result(start_bright, make_agent, read):
    deadlines = []

    def answer(message):
        deadlines.append(message.deadline_ns)
        late = message.sequence % 2
        return refused(message.sequence, edge_pb2.REFUSED_CODE_DEADLINE, "late") if late else brightness_of(message)

    agent = make_agent(start_bright(answer), deadline_s=100.0)
    # A second with each frame.
    agent.clock_ns = lambda: agent.report().frames * 10**9
    summary = agent.run()
    assert deadlines == [i * 10**9 + 101 * 10**9 for i in range(FRAMES)]
    assert (summary.answered, summary.refused) == (15, 15)
    results = read()
    assert results.origins("bright")[:4] == ["executed", "held", "executed", "held"]
    assert levels(results)[1] == levels(results)[0]


def test_a_connection_that_breaks_costs_no_frame(start_bright, make_agent, read):
    coordinator = start_bright(None)
    hangs_up = threading.Thread(target=answer_over_two_connections, args=(coordinator,))
    hangs_up.start()
    summary = make_agent(coordinator, window=4).run()
    hangs_up.join()
    assert (summary.connections, summary.answered) == (2, FRAMES)
    results = read()
    assert results.sequences == list(range(FRAMES)) and set(results.origins("bright")) == {"executed"}
    assert levels(results) == pytest.approx([brightness(i) for i in range(FRAMES)], abs=4)


def answer_over_two_connections(coordinator: Coordinator) -> None:
    """Answers one input of three that it has taken, hangs up, and answers all others on the next connection."""
    first = coordinator.connection()
    taken = [first.input() for _ in range(3)]
    first.reply(brightness_of(taken[0]))
    first.end(UNAVAILABLE, "gone")
    second = coordinator.connection()
    for _ in range(FRAMES - 1):
        second.reply(brightness_of(second.input()))


def test_a_filter_that_breaks_its_promise_is_found_out_by_the_audit(start_bright, make_agent, read, tmp_path, caplog):
    def answer(message):
        if any("loses more than the 0.100 it promised" in record.message for record in caplog.records):
            agent.stop()
        return brightness_of(message)

    path = write_filter(tmp_path / "filter.onnx", accuracy=0.9)
    coordinator = start_bright(answer)
    agent = make_agent(coordinator, gate=str(path), audit=1.0, loop=True)
    summary = agent.run()
    frames = summary.frames
    assert (summary.kept, summary.audited, summary.alarms) == (frames, frames - 1, 1)
    assert summary.certified and summary.audit_error > 0.5
    assert 800 <= frames <= 2000, "some blocks of 200"
    assert sum("loses more than the 0.100 it promised" in record.message for record in caplog.records) == 1
    assert column(tmp_path / "r.sqlite", "audit_probability") == [0.0] + [1.0] * (frames - 1)
    connection = coordinator.connection()
    connection.wait()
    report = connection.reports[-1]
    assert report.audit_broken and report.audited == frames - 1 and not report.uncertified
    assert report.audit_error == pytest.approx(summary.audit_error)
    assert set(read().origins("bright")) == {"executed"}, "an audited frame has its own result"


def test_without_an_audit_the_filter_is_believed(start_bright, make_agent, read, tmp_path):
    path = write_filter(tmp_path / "filter.onnx", accuracy=0.9)
    summary = make_agent(start_bright(), gate=str(path), audit=0.0).run()
    assert (summary.kept, summary.answered, summary.audited, summary.audit_error) == (1, 1, 0, None)
    results = read()
    assert results.origins("bright") == ["executed"] + ["reused"] * (FRAMES - 1)
    assert results.trust("bright")[1] == "certified"
    assert levels(results) == pytest.approx([brightness(0)] * FRAMES, abs=4)


def test_where_no_frame_may_travel_nothing_is_audited_and_that_is_said(
    start_bright, make_agent, read, tmp_path, caplog
):
    stem = Stem(write_stem(tmp_path / "stem.onnx"))
    span = FeatureRange.of(np.zeros(stem.spec.length), np.ones(stem.spec.length))
    coordinator = start_bright(lambda message: result(message.sequence, edge_pb2.ORIGIN_LINKED, bright=7.0))
    coordinator.welcome.features.CopyFrom(span.as_message())
    gate = write_filter(tmp_path / "f.onnx", accuracy=0.9)
    summary = make_agent(coordinator, gate=str(gate), audit=1.0, send="features", stem=stem.path).run()
    assert summary.audit_error is None and summary.audited == 0
    assert summary.travelled.features == summary.kept == 1 and levels(read()) == [7.0] * FRAMES
    assert "no model looks at a frame, so nothing is audited" in caplog.text


def test_a_filter_that_nothing_certifies_is_marked_so_everywhere(start_bright, make_agent, read, tmp_path, caplog):
    coordinator = start_bright()
    path = write_filter(tmp_path / "filter.onnx", accuracy=0.9, certified=False)
    summary = make_agent(coordinator, gate=str(path), audit=0.0).run()
    assert summary.certified is False
    said = [record.message for record in caplog.records if "NOT certified to lose at most 0.100" in record.message]
    assert len(said) == 1 and "1000 independent runs" in said[0]
    assert set(read().trust("bright")[1:]) == {"uncalibrated"}
    connection = coordinator.connection()
    connection.wait()
    assert connection.reports[-1].uncertified


def test_a_live_source_s_results_go_on_where_they_ended(start_bright, make_agent, read, tmp_path):
    content = write_clip(tmp_path / "s.ts", frames=FRAMES, bf="0").read_bytes()
    agents = []

    def answer(message):
        agents[-1].stop()
        return brightness_of(message)

    coordinator, frames = start_bright(answer), 0
    with Stream(content) as stream:
        for _ in range(2):
            agents.append(make_agent(coordinator, source=stream.address, window=1))
            frames += agents[-1].run().frames
    assert read().sequences == list(range(frames)) and frames >= 2


def test_an_agent_that_cannot_begin_leaves_nothing_running(start_bright, make_agent, tmp_path):
    coordinator, before = start_bright(), set(threading.enumerate())
    coordinator.welcome = None
    wrong = [
        (make_agent(coordinator, connect_timeout_s=0.01), Unavailable),
        (make_agent(coordinator, source=str(tmp_path / "none.mp4")), InvalidInput),
        (make_agent(coordinator, gate="sometimes"), InvalidInput),
        (make_agent(coordinator, local=tmp_path), InvalidInput),
        (make_agent(coordinator, results=tmp_path), InvalidInput),
    ]
    for agent, kind in wrong:
        with pytest.raises(kind):
            agent.run()
    begun = {thread.name for thread in set(threading.enumerate()) - before}
    assert not begun & {"uplink", "results", "handoff"}
