"""Links that held when they were learnt and no longer do: the coordinator finds out and runs other models."""

import threading

import grpc
import numpy as np
import onnx
import pytest
from infilink.codec import encode_jpeg
from infilink.models.cost import ModelCost
from infilink.protos import edge_pb2, edge_pb2_grpc
from onnx import TensorProto, helper

from .conftest import TIMEOUT_S, wait_until, write_model
from .links import memory_bytes, write_links
from .test_wire import an_input, hello

SCALES = {"bright": 1.0, "twin": 0.9, "red": 1.0}
# Red is followed best by the two others together; none of them is worth a turn beside one resident.
AGREEMENTS = {
    "bright": {("twin",): 0.9, ("red",): 0.8},
    "twin": {("bright",): 0.9, ("red",): 0.8},
    "red": {("bright",): 0.85, ("twin",): 0.85, ("bright", "twin"): 0.93},
}


def write_red(path):
    """A model that says how red a frame is."""
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
def grey(tmp_path_factory):
    """Models and links of a grey scene, where any of them tells what all others say, and a budget for any two."""
    folder = tmp_path_factory.mktemp("grey")
    models = folder / "models"
    models.mkdir()
    write_model(models / "bright.onnx")
    write_model(models / "twin.onnx", scale=SCALES["twin"])
    write_red(models / "red.onnx")
    each = memory_bytes(models / "bright.onnx")
    costs = dict.fromkeys(SCALES, ModelCost(each, infer_s=0.001, load_s=0.05))

    def settings(name="links", **how):
        """Those of a coordinator, with links of that name."""
        if not (folder / name).is_dir():
            write_links(folder / name, models, SCALES, costs, agreements=AGREEMENTS, note=name, **how)
        return {"models": str(models), "links": str(folder / name), "answers": "links", "budget": f"{2 * each}B"}

    return settings


def coloured(sequence):
    """Frames whose red has nothing to do with how bright they are."""
    random = np.random.default_rng(sequence)
    blue, green, red = random.integers(10, 240, 3)
    return encode_jpeg(np.full((120, 160, 3), (blue, green, red), np.uint8))


def origins(results, model):
    """How a model was answered for on each input."""
    return [output.origin for result in list(results) for output in result.outputs if output.model == model]


def test_a_plan_whose_links_broke_is_changed_while_inputs_are_answered(start_daemon, grey):
    daemon = start_daemon(**grey(), reselect_s=1.0, profile=0.5)
    first = daemon.status()
    assert sorted(first.resident) == ["bright", "twin"] and not first.refresh_s and first.switches == 0
    answered, stop = [], threading.Event()

    def inputs():
        yield hello(session="colours")
        sequence = 0
        while not stop.is_set():
            yield an_input(sequence, coloured(sequence), captured_ns=sequence * 40_000_000)
            sequence += 1

    def talk():
        with grpc.insecure_channel(daemon.address) as channel:
            for answer in edge_pb2_grpc.EdgeStub(channel).Connect(inputs(), timeout=TIMEOUT_S):
                if not answer.HasField("welcome"):
                    answered.append(answer.result)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        wait_until(lambda: origins(answered, "red").count(edge_pb2.ORIGIN_EXECUTED) > 20, "another plan's answers")
    finally:
        stop.set()
        thread.join(TIMEOUT_S)
    # It steps aside now and then, for a model that is not resident to be compared with what is said for it.
    status = wait_until(lambda: "red" in (status := daemon.status()).resident and status, "red is a resident")
    assert status.switches >= 1 and "re-selection: resident" in daemon.said()
    assert status.profiled > 0
    assert status.budget_violations == 0, [line for line in daemon.said().split("\n") if "above" in line]
    assert status.peak_bytes <= status.budget_bytes
    assert [result.sequence for result in answered] == list(range(len(answered)))
    assert origins(answered, "red")[0] == edge_pb2.ORIGIN_LINKED
    assert origins(answered, "twin")[0] == edge_pb2.ORIGIN_EXECUTED
    # There is no room for more than two.
    assert edge_pb2.ORIGIN_LINKED in origins(answered, "bright") + origins(answered, "twin")


def test_where_nothing_changed_the_plan_stays(start_daemon, grey):
    daemon = start_daemon(**grey(), reselect_s=0.5)
    wait_until(lambda: daemon.said().count("still the best") >= 2, "two looks at the plan")
    assert daemon.status().switches == 0


def test_what_a_device_showed_of_its_links_outlives_the_coordinator(start_daemon, grey):
    # Inputs come seldom, and outputs stay as they are until then: models have their turns.
    settings = {**grey("slow links", held=0.97), "input_every_s": 1.0}

    def talk(daemon, session, count):
        messages = [hello(session=session)]
        for sequence in range(count):
            messages.append(an_input(sequence, coloured(sequence), captured_ns=sequence * 2_000_000_000, audit=True))
        with grpc.insecure_channel(daemon.address) as channel:
            list(edge_pb2_grpc.EdgeStub(channel).Connect(iter(messages), timeout=TIMEOUT_S))
        (device,) = daemon.status().devices
        return device

    first = start_daemon(**settings)
    rotating = list(first.status().refresh_s)
    assert rotating
    before = talk(first, "before", 60)
    # All but the first input, before which there is nothing to compare with.
    assert before.audited >= 59 * len(rotating)
    assert first.stop() == 0
    second = start_daemon(**settings)
    after = talk(second, "after", 0)
    assert (after.audited, after.revoked) == (before.audited, before.revoked)
    assert second.stop() == 0
    changed = start_daemon(**{**settings, **grey("slow links, trained again", held=0.97)})
    assert talk(changed, "changed", 0).audited == 0, "of other links nothing is known"
