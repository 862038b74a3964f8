"""A supervisor: its model answers on, whatever becomes of the process."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from infilink.errors import InvalidInput, ModelFailed
from infilink.models.process import ModelProcess
from infilink.models.supervisor import RETRY_S, Supervisor

FRAME = np.full((24, 32, 3), 50, np.uint8)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class MeteredProcess(ModelProcess):
    """Says of every inference that it took a quarter of a second."""

    def infer(self, frame, *, timeout_s=None):
        return super().infer(frame, timeout_s=timeout_s)._replace(infer_s=0.25)


class FailingProcess(ModelProcess):
    """Runs, but its model fails on every frame."""

    def infer(self, frame, *, timeout_s=None):
        raise ModelFailed("bright: no")


@pytest.fixture
def supervise(tiny_models: Path):
    made = []

    def make(path=tiny_models / "bright.onnx", **options):
        made.append(Supervisor("bright", path, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        one.unload()


def kill(one: Supervisor) -> None:
    os.kill(one.pid, signal.SIGKILL)


def assert_answers(one: Supervisor) -> None:
    assert float(one.infer(FRAME)[0]) == 50.0


def test_it_counts_what_its_model_does_and_unloading_frees_the_memory(supervise) -> None:
    one = supervise(kind=MeteredProcess)
    assert (one.state, one.pid, one.memory_bytes()) == ("unloaded", None, 0)
    one.load(warm_up=False)
    assert_answers(one)
    assert_answers(one)
    assert (one.state, one.spec.name, one.loads, one.executions, one.infer_s) == ("loaded", "bright", 1, 2, 0.5)
    pid = one.pid
    assert one.memory_bytes() > 2**20
    one.unload()
    one.unload()
    assert not psutil.pid_exists(pid)
    assert (one.state, one.pid, one.memory_bytes(), one.executions) == ("unloaded", None, 0, 2)


def test_a_model_that_is_not_loaded_is_loaded_by_the_first_inference(supervise) -> None:
    one = supervise()
    assert_answers(one)
    assert one.loads == 1


def test_an_input_on_which_the_process_ended_is_given_to_the_next_one(supervise) -> None:
    one = supervise(repeat=True)
    one.load()
    for loads in (2, 3):
        kill(one)
        assert_answers(one)
        assert (one.state, one.loads, one.executions) == ("loaded", loads, loads - 1)


def test_without_repeat_that_input_fails_and_the_next_is_answered(supervise) -> None:
    one = supervise()
    one.load()
    kill(one)
    with pytest.raises(ModelFailed, match="bright: its process has ended"):
        one.infer(FRAME)
    assert (one.state, one.pid) == ("failed", None)
    assert_answers(one)
    assert one.loads == 2


def test_a_process_that_does_not_stay_alive_is_left_alone_for_a_while(supervise) -> None:
    clock = Clock()
    one = supervise(clock=clock)
    one.load()
    for _ in range(2):
        kill(one)
        with pytest.raises(ModelFailed, match="has ended"):
            one.infer(FRAME)
        clock.now_s += RETRY_S - 1
        if one.loads == 1:
            assert_answers(one)
    with pytest.raises(ModelFailed, match="bright: its process does not stay alive"):
        one.infer(FRAME)
    assert (one.state, one.loads) == ("failed", 2)
    clock.now_s += 1
    assert_answers(one)


def test_a_file_that_is_gone_is_named_and_looked_for_again_later(supervise, tmp_path: Path, make_model) -> None:
    clock = Clock()
    path = make_model(tmp_path, "bright")
    one = supervise(path, repeat=True, clock=clock)
    one.load()
    path.unlink()
    kill(one)
    with pytest.raises(InvalidInput, match=r"bright\.onnx: there is no such file"):
        one.infer(FRAME)
    with pytest.raises(ModelFailed, match="does not stay alive"):
        one.infer(FRAME)
    assert one.state == "failed"
    make_model(tmp_path, "bright")
    clock.now_s += RETRY_S
    assert_answers(one)


def test_an_inference_that_hangs_ends_with_its_process(supervise) -> None:
    one = supervise(infer_timeout_s=0.01)
    one.load()
    pid = one.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ModelFailed, match=r"bright: no output after 0\.01 s; its process was ended"):
        one.infer(FRAME)
    assert one.pid is None and not psutil.pid_exists(pid)
    one.infer_timeout_s = 30.0
    assert_answers(one)


def test_a_model_that_fails_on_a_frame_keeps_its_process(supervise) -> None:
    one = supervise(kind=FailingProcess, repeat=True)
    one.load(warm_up=False)
    pid = one.pid
    with pytest.raises(ModelFailed, match="bright: no"):
        one.infer(FRAME)
    assert (one.pid, one.loads, one.executions, one.state) == (pid, 1, 0, "loaded")


def test_stopping_it_ends_the_wait_of_another_thread_and_nothing_starts_again(supervise) -> None:
    one = supervise(repeat=True)
    one.load()
    os.kill(one.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(one.infer, FRAME)
        one.stop()
        with pytest.raises(ModelFailed, match="has ended"):
            asked.result(timeout=60)
    assert one.loads == 1


def test_what_is_no_model_fails_to_load(supervise, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    one = supervise(path)
    with pytest.raises(InvalidInput, match="broken"):
        one.load()
    assert (one.state, one.loads) == ("failed", 0)
