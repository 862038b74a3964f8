"""Links that held when they were learnt and no longer do: the coordinator finds out and runs other models."""

import json
import shutil
import threading

import grpc
import numpy as np
import onnx
import pytest
from infilink.codec import encode_jpeg
from infilink.device.record import record
from infilink.links.training.train import train_links
from infilink.models.spec import find_models
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.traces.trace import Trace
from onnx import TensorProto, helper

from .conftest import grey, wait_until, write_model, write_video
from .test_wire import an_input, hello, picture

# Two of the three.
BUDGET = "70%"


def write_red(path):
    """A model that says how red a frame is, as slow as two others."""
    nodes = [
        helper.make_node("Slice", ["image", "zero", "one", "axis"], ["red"]),
        helper.make_node("ReduceMean", ["red"], ["scaled"], axes=[1, 2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("scaled", TensorProto.FLOAT, [1])],
        [
            helper.make_tensor(name, TensorProto.INT64, [1], [value])
            for name, value in (("zero", 0), ("one", 1), ("axis", 1))
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    path.with_suffix(".toml").write_text(
        'name = "red"\n[input]\nsize = [32, 32]\nstd = [1.0]\n[output]\nkind = "scalar"\ntolerance = 50.0\n'
    )


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Models and links of a grey scene, where any of them tells what all others say."""
    folder = tmp_path_factory.mktemp("grey")
    (folder / "models").mkdir()
    write_model(folder / "models" / "bright.onnx")
    write_model(folder / "models" / "twin.onnx", scale=0.9)
    write_red(folder / "models" / "red.onnx")
    random = np.random.default_rng(0)
    write_video(folder / "grey.avi", (grey(random.integers(10, 240)) for _ in range(240)))
    record(str(folder / "grey.avi"), find_models(folder / "models"), folder / "grey.trace")
    with Trace(folder / "grey.trace") as trace:
        train_links(trace, out=folder / "links")
    return folder


def coloured(sequence):
    """Frames whose red has nothing to do with how bright they are."""
    random = np.random.default_rng(sequence)
    blue, green, red = random.integers(10, 240, 3)
    return encode_jpeg(np.full((120, 160, 3), (blue, green, red), np.uint8))


def test_a_plan_whose_links_broke_is_changed_while_inputs_are_answered(start_daemon, learnt):
    daemon = start_daemon(
        models=str(learnt / "models"),
        links=str(learnt / "links"),
        answers="links",
        budget=BUDGET,
        reselect_s=1.0,
        profile=0.5,
    )
    first = daemon.status()
    assert first.switches == 0
    answered, stop = [], threading.Event()

    def inputs():
        yield hello(session="colours")
        sequence = 0
        while not stop.is_set():
            message = an_input(sequence, b"", captured_ns=sequence * 40_000_000)
            message.input.payload = coloured(sequence)
            yield message
            sequence += 1

    def talk():
        with grpc.insecure_channel(daemon.address) as channel:
            for answer in edge_pb2_grpc.EdgeStub(channel).Connect(inputs(), timeout=120):
                if not answer.HasField("welcome"):
                    answered.append(answer)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        wait_until(lambda: "red" in daemon.status().resident, "red is resident")
        before = len(answered)
        wait_until(lambda: len(answered) > before + 20, "answers after the switch")
    finally:
        stop.set()
        thread.join(60)
    status = daemon.status()
    assert status.budget_violations == 0, [line for line in daemon.log.read_text().split("\n") if "above" in line]
    assert status.profiled > 10 and status.peak_bytes <= status.budget_bytes
    assert [answer.result.sequence for answer in answered] == list(range(len(answered)))
    last = {output.model: output for output in answered[-1].result.outputs}
    assert last["red"].origin == edge_pb2.ORIGIN_EXECUTED
    if "red" not in first.resident:
        assert status.switches >= 1 and "re-selection: resident" in daemon.log.read_text()


def test_where_nothing_changed_the_plan_stays(start_daemon, learnt):
    daemon = start_daemon(
        models=str(learnt / "models"), links=str(learnt / "links"), answers="links", budget=BUDGET, reselect_s=0.5
    )
    wait_until(lambda: daemon.log.read_text().count("still the best") >= 2, "two looks at the plan")
    assert daemon.status().switches == 0


def test_answers_that_are_not_trusted_are_made_by_the_model_where_time_allows(start_daemon):
    daemon = start_daemon(answers="hold", budget=BUDGET, escalate=0.5)

    def inputs():
        yield hello(session="escalated")
        for sequence in range(150):
            yield an_input(sequence, picture(sequence), captured_ns=sequence * 4_000_000)

    with grpc.insecure_channel(daemon.address) as channel:
        answers = list(edge_pb2_grpc.EdgeStub(channel).Connect(inputs(), timeout=120))[1:]
    status = daemon.status()
    executed = sum(
        output.origin == edge_pb2.ORIGIN_EXECUTED and output.model in status.refresh_s
        for answer in answers
        for output in answer.result.outputs
    )
    assert len(answers) == 150 and executed >= status.escalated > 2
    assert status.budget_violations == 0 and status.peak_bytes <= status.budget_bytes


def test_what_a_device_showed_of_its_links_outlives_the_coordinator(start_daemon, learnt):
    folders = {"models": str(learnt / "models"), "links": str(learnt / "links")}
    # Inputs come seldom enough for turns.
    settings = {**folders, "answers": "links", "budget": BUDGET, "input_every_s": 1.0}

    def talk(daemon, session, count):
        messages = [hello(session=session)]
        for sequence in range(count):
            messages.append(an_input(sequence, coloured(sequence), captured_ns=sequence * 2_000_000_000, audit=True))
        with grpc.insecure_channel(daemon.address) as channel:
            list(edge_pb2_grpc.EdgeStub(channel).Connect(iter(messages), timeout=60))
        (device,) = daemon.status().devices
        return device

    first = start_daemon(**settings)
    before = talk(first, "before", 60)
    assert before.audited > 30
    assert first.stop() == 0
    second = start_daemon(**settings)
    after = talk(second, "after", 0)
    assert (after.audited, after.revoked) == (before.audited, before.revoked)
    assert second.stop() == 0
    changed = start_daemon(**{**settings, "links": str(copied(learnt))})
    assert talk(changed, "changed", 0).audited == 0, "of other links nothing is known"


def copied(learnt):
    """The same links as if they were trained again."""
    folder = learnt / "links again"
    shutil.copytree(learnt / "links", folder)
    index = json.loads((folder / "links.json").read_text())
    index["notes"]["calibrated_s"] = 1.0
    (folder / "links.json").write_text(json.dumps(index))
    return folder
