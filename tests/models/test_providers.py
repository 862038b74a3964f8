"""What runs a model: by name, with options; what can't be had is said once, and the processors run it."""

import logging

import pytest
from infilink.models.providers import CPU, Execution, Provider, available
from infilink.models.session import open_session, shrink_arenas


@pytest.mark.parametrize("name", ["cuda", "CUDA", "CUDAExecutionProvider"])
def test_a_provider_goes_by_a_short_name_or_by_onnxruntimes_own(name):
    provider = Provider.parse(name)
    assert provider.name == "cuda" and provider.full_name == "CUDAExecutionProvider" and provider.is_on_card


def test_one_that_has_no_short_name_is_handed_on_as_it_is():
    provider = Provider.parse({"name": "XnnpackExecutionProvider", "intra_op_num_threads": 2})
    assert provider.for_session(0) == ("XnnpackExecutionProvider", {"intra_op_num_threads": "2"})


def test_an_arena_on_a_card_grows_by_what_is_asked_for_unless_it_is_said_otherwise():
    name, options = Provider.parse({"name": "cuda", "gpu_mem_limit": "2GiB"}).for_session(1)
    assert name == "CUDAExecutionProvider"
    assert options == {"arena_extend_strategy": "kSameAsRequested", "device_id": "1", "gpu_mem_limit": str(2**31)}
    named = Provider.parse({"name": "cuda", "arena_extend_strategy": "kNextPowerOfTwo"}).for_session(0)[1]
    assert named["arena_extend_strategy"] == "kNextPowerOfTwo"


@pytest.mark.parametrize(
    "wrong", ["gpu", {"device": 1}, 3, {"name": "cuda", "a": [1]}, {"name": "cuda", "gpu_mem_limit": "x"}]
)
def test_what_is_no_provider_is_refused(wrong):
    with pytest.raises(ValueError, match=r"provider|must be|size"):
        Provider.parse(wrong)


def test_the_processors_stand_behind_whatever_is_named():
    execution = Execution((Provider.parse("tensorrt"), Provider.parse("cuda")), device=2)
    assert [name for name, _ in execution.for_session()] == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    assert execution.place == "cuda:2" and Execution().place == "host"


def test_what_the_installed_onnxruntime_lacks_is_warned_of_once(caplog):
    wanted = (Provider.parse("cuda"), CPU)
    with caplog.at_level(logging.WARNING):
        found = available(wanted, what="yolox", there=["CPUExecutionProvider"])
    assert found == (CPU,)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == [
        "yolox: the provider 'cuda' is not in the installed onnxruntime (it has: cpu)"
    ]
    assert available(wanted, what="yolox", there=["CUDAExecutionProvider", "CPUExecutionProvider"]) == wanted


def test_a_session_that_gets_no_card_runs_on_the_processors_and_says_so(tiny_models, caplog):
    asked = Execution((Provider.parse("openvino"),)).for_session()
    with caplog.at_level(logging.WARNING):
        session = open_session(tiny_models / "bright.onnx", providers=asked)
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert "OpenVINOExecutionProvider can't be had here" in caplog.text
    assert shrink_arenas(session) is None
