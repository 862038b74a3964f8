"""Gates that decide model by model, over both real daemons: a filter for several models, and a cache of results."""

from pathlib import Path

import onnx
import pytest
from infilink.device.results_read import Results
from infilink.filters.modalities.image import Image
from infilink.filters.reuse.spec import METADATA_KEY, ReuseSpec
from infilink.filters.reuse.store import CacheSettings
from infilink.filters.spec import FilterSpec, TasksSpec
from infilink.filters.training.graphs import save_filter, save_with_spec
from infilink.models.spec import digest
from infilink.outputs import OutputSpec
from onnx import TensorProto, helper

from ..certificates import certificate
from .conftest import brightness

FRAMES = 120
BRIGHT = 120
CERTIFICATE = certificate(upper_bound=0.003)


def graph_of_mean(output: str, scale: list[float], shift: list[float]) -> onnx.ModelProto:
    """How bright a picture is, times `scale`, plus `shift`: float32 (n, len(scale))."""
    nodes = [
        helper.make_node("Cast", ["input"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Mul", ["column", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], [output]),
    ]
    weights = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("scale", TensorProto.FLOAT, [len(scale)], scale),
        helper.make_tensor("shift", TensorProto.FLOAT, [len(scale)], shift),
    ]
    seen = helper.make_tensor_value_info("input", TensorProto.UINT8, ["n", *Image().shape])
    made = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", len(scale)])
    graph = helper.make_graph(nodes, "mean", [seen], [made], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def tasks(models: Path, tmp_path: Path) -> Path:
    """`bright` needs bright frames, `double` dark ones, and neither the few in between."""

    def task(model: str) -> FilterSpec:
        return FilterSpec(
            kind="network",
            rule="value < 1",
            models={model: digest(models / f"{model}.onnx")},
            reference="previous",
            threshold=20.0,
            accuracy=0.95,
            step_s=0.0,
            modality=Image(),
            certificate=CERTIFICATE,
        )

    graph = graph_of_mean("score", [1.0, -1.0], [-float(BRIGHT), float(BRIGHT)])
    save_filter(tmp_path / "tasks.onnx", graph, TasksSpec(tasks=(task("bright"), task("double"))))
    return tmp_path / "tasks.onnx"


@pytest.fixture
def write_reuse(models: Path, tmp_path: Path):
    """A reuse file for `bright` that takes frames up to `gate` grey levels apart as the same."""

    def write(gate: float, *, of: str = "") -> Path:
        spec = ReuseSpec(
            model="bright",
            digest=of or digest(models / "bright.onnx"),
            output=OutputSpec(kind="scalar", tolerance=50.0),
            modality=Image(),
            dims=1,
            accuracy=0.9,
            gate=gate,
            theta=0.0,
            cache=CacheSettings(neighbours=1, step=0.5),
            certificate=CERTIFICATE,
            answered_agreement=0.95,
        )
        save_with_spec(tmp_path / "reuse.onnx", graph_of_mean("embedding", [1.0], [0.0]), spec, key=METADATA_KEY)
        return tmp_path / "reuse.onnx"

    return write


def test_only_the_models_that_need_a_frame_run_on_it(daemon, start_agent, tasks, tmp_path):
    before = daemon.executions()
    summary = start_agent(daemon.address, gate=str(tasks), audit=0.0).finish()
    with Results(tmp_path / "results0.sqlite") as results:
        looked = {model: [origin == "executed" for origin in results.origins(model)] for model in results.models}
        served = results.served("bright")
    for i in range(FRAMES):
        if abs(brightness(i) - BRIGHT) < 17 or abs(brightness(i) - BRIGHT) > 23:  # The video's codec moves the others.
            needed = (brightness(i) > BRIGHT + 20, brightness(i) < BRIGHT - 20)
            assert (looked["bright"][i], looked["double"][i], looked["third"][i]) == (*needed, any(needed)), i
    assert all(float(value[0]) == 0.0 for value, look in zip(served, looked["bright"], strict=True) if not look)
    assert summary["kept"] == sum(looked["third"]) < FRAMES
    assert daemon.executions() - before == {model: sum(looks) for model, looks in looked.items()}


def test_an_audit_has_all_of_them_look(daemon, start_agent, tasks, tmp_path):
    summary = start_agent(daemon.address, gate=str(tasks), audit=1.0).finish()
    assert summary["audited"] > 20 and summary["audit_error"] > 0.1
    with Results(tmp_path / "results0.sqlite") as results:
        assert set(results.origins("bright")) == {"executed"}


def test_a_cache_answers_for_its_model_and_learns_what_the_coordinator_says(daemon, start_agent, write_reuse, tmp_path):
    gate, cache = write_reuse(6.0), tmp_path / "results.cache"
    summary = start_agent(daemon.address, gate=str(gate), cache=str(cache), audit=0.0, window=1).finish()
    assert 5 < summary["kept"] < 60
    with Results(tmp_path / "results0.sqlite") as results:
        origins, served = results.origins("bright"), results.served("bright")
        assert set(origins) == {"executed", "reused"} and origins.count("executed") == summary["kept"]
        off = [abs(float(value[0]) - brightness(i)) for i, value in enumerate(served)]
        assert max(off) <= 8.0, "what is reused is that of the nearest frame, not of the last one"
    again = start_agent(daemon.address, gate=str(gate), cache=str(cache), audit=0.0, window=1).finish()
    # The first frame is sent for the models that the cache knows nothing of.
    assert again["kept"] <= 1


def test_what_was_learnt_from_another_version_of_the_model_is_refused(daemon, start_agent, write_reuse):
    agent = start_agent(daemon.address, gate=str(write_reuse(6.0, of="f" * 16)), audit=0.0, window=1)
    said = agent.refusal()
    assert f"learnt from another version of bright: from digest {'f' * 16}, and in service is" in said
    assert "train it again" in said


def test_a_cache_goes_with_a_reuse_file(daemon, start_agent, tmp_path):
    agent = start_agent(daemon.address, gate="every:2", cache=str(tmp_path / "c.cache"))
    assert "`cache` goes with a reuse file" in agent.refusal()


def test_an_audit_and_a_cache_hear_of_models_that_run_on_the_device(
    daemon, start_agent, tasks, write_reuse, models, tmp_path
):
    audited = start_agent(daemon.address, gate=str(tasks), audit=1.0, local=str(models)).finish()
    assert audited["audited"] > 20 and audited["audit_error"] > 0.1
    cached = start_agent(daemon.address, gate=str(write_reuse(6.0)), audit=0.0, window=1, local=str(models)).finish()
    assert 5 < cached["kept"] < 90
    with Results(tmp_path / "results1.sqlite") as results:
        assert set(results.origins("bright")) == {"local", "reused"}
