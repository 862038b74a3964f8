"""A tail in a process of its own: answers maps, refuses what is none, and is as mortal as a model's process."""

import numpy as np
import psutil
import pytest
from infilink.errors import InvalidInput, ModelFailed
from infilink.models.onnx_model import OnnxModel
from infilink.models.split.parts import Head, TailProcess
from infilink.models.split.split import split

from .models import frames, write_chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return write_chain(tmp_path_factory.mktemp("chain") / "chain.onnx")


@pytest.fixture(scope="module")
def parts(chain, tmp_path_factory):
    return split(chain, "map", tmp_path_factory.mktemp("parts"), frames=frames(1))


def test_it_answers_maps_of_any_size_and_refuses_others(parts, chain, tmp_path):
    head, whole = Head(parts.head), OnnxModel(chain)
    with TailProcess(parts.tail, optimized=tmp_path / "optimized.onnx") as process:
        assert process.spec.name == "chain" and process.memory_bytes() > 0 and process.load_s > 0
        for frame in (np.zeros((120, 160, 3), np.uint8), *frames(2), np.zeros((64, 64, 3), np.uint8)):
            message = np.frombuffer(head.pack(head.see(frame)), np.uint8)
            inferred = process.infer(message)
            np.testing.assert_allclose(inferred.value, whole.infer(frame), atol=1.0)
            assert inferred.infer_s > 0
        with pytest.raises(InvalidInput, match="no feature map"):
            process.infer(np.zeros(100, np.uint8))
        with pytest.raises(InvalidInput, match="one axis"):
            process.infer(frames(1)[0])
        process.infer(message)
        psutil.Process(process.pid).kill()
        with pytest.raises(ModelFailed, match="has ended"):
            process.infer(message)
    with pytest.raises(ModelFailed, match="is closed"):
        process.infer(message)
    # What onnxruntime optimized still says what it is a part of.
    with TailProcess(parts.tail, optimized=tmp_path / "optimized.onnx") as again:
        again.infer(message)


def test_what_is_no_tail_is_told(parts):
    with pytest.raises(InvalidInput, match="is the head of chain, not its tail"):
        TailProcess(parts.head).load()
