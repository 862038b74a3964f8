"""Several models in one process: each answers for itself, and what ends the process ends them all."""

import os
import signal
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from infilink.errors import InvalidInput, ModelFailed
from infilink.models.shared_process import SharedModelProcess, SharedProcess
from infilink.models.supervisor import Supervisor

FRAME = np.full((32, 32, 3), 100, np.uint8)


@pytest.fixture
def shared():
    with closing(SharedProcess("the card")) as shared:
        yield shared


def supervisor(shared, tiny_models, name):
    return Supervisor(name, tiny_models / f"{name}.onnx", kind=partial(SharedModelProcess, shared=shared), repeat=True)


def test_models_answer_beside_each_other_and_are_given_up_one_by_one(shared, tiny_models):
    bright, light = (supervisor(shared, tiny_models, name) for name in ("bright", "light"))
    bright.load()
    pid = shared.pid
    light.load()
    assert bright.pid == light.pid == shared.pid == pid and shared.models == 2
    assert bright.infer(FRAME)[0] == pytest.approx(100.0)
    assert light.infer(FRAME).shape == (2,)
    assert bright.memory_bytes() == 0 < shared.memory_bytes()
    light.unload()
    light.unload()
    assert shared.models == 1 and shared.pid == pid and bright.infer(FRAME)[0] == pytest.approx(100.0)
    light.load()
    assert light.infer(FRAME).shape == (2,) and shared.pid == pid
    bright.unload()
    light.unload()
    assert shared.models == 0 and shared.pid == pid


def test_one_that_can_not_be_loaded_leaves_the_others_alone(shared, tiny_models, tmp_path):
    bright = supervisor(shared, tiny_models, "bright")
    bright.load()
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidInput, match="not an ONNX model"):
        supervisor(shared, tmp_path, "bad").load()
    assert shared.models == 1 and bright.infer(FRAME)[0] == pytest.approx(100.0)


def test_when_the_process_dies_each_model_is_started_again_in_the_next_one(shared, tiny_models):
    bright, light = (supervisor(shared, tiny_models, name) for name in ("bright", "light"))
    bright.load()
    light.load()
    before = shared.pid
    os.kill(before, signal.SIGKILL)
    assert bright.infer(FRAME)[0] == pytest.approx(100.0)
    assert light.infer(FRAME).shape == (2,)
    assert bright.pid == light.pid == shared.pid != before and shared.models == 2


def test_after_it_was_closed_nothing_is_left(shared, tiny_models):
    bright = supervisor(shared, tiny_models, "bright")
    bright.load()
    shared.close()
    shared.close()
    assert shared.pid is None and shared.memory_bytes() == 0
    bright.repeat = False
    with pytest.raises(ModelFailed, match="process has ended"):
        bright.infer(FRAME)
