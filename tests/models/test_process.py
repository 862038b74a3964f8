"""A model's process: it says what the model says, and its life and death are noticed."""

import importlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
from infilink.errors import DeadlineExceeded, InvalidInput, ModelFailed
from infilink.models.cost import ModelCost, measure_cost
from infilink.models.forked import start_fork_server
from infilink.models.onnx_model import OnnxModel
from infilink.models.process import ModelProcess
from infilink.models.process_child import FRAME, Inferred, Opening, Work, serve_model
from infilink.models.shared_memory import SharedArray
from infilink.outputs import Array

from .made import write_batching, write_echo

RNG = np.random.default_rng(0)
FRAMES = [RNG.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((24, 32), (48, 64), (10, 10), (48, 64))]
MAIN = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from infilink.models.process import ModelProcess

with Path(sys.argv[2]).open("a") as log:
    log.write("main\\n")
with ModelProcess(sys.argv[1]) as process:
    print(process.infer(np.full((8, 8, 3), 50, np.uint8)).value[0])
"""
WITHOUT_LINUX = """
import os, sys
import numpy as np
import psutil
from infilink.models import forked, process

def denied(self):
    raise psutil.AccessDenied(self.pid)

del os.memfd_create
psutil.Process.memory_full_info = denied
forked._PRELOAD = []
with process.ModelProcess(sys.argv[1]) as one:
    for value in (50, 60):
        print(one.infer(np.full((value, 8, 3), value, np.uint8)).value[0])
    print(one.memory_bytes() > 2**20)
"""
COLLECTING = """
import gc
from infilink.models.onnx_model import OnnxModel

class Collecting(OnnxModel):
    def infer(self, frame):
        gc.collect()
        return super().infer(frame)
"""

ECHO = """
from types import SimpleNamespace
from infilink.models.onnx_model import run_tensors
from infilink.models.session import open_session

class Echo:
    def __init__(self, path, *, threads, optimized, providers):
        self.spec, self.session = SimpleNamespace(name="echo"), open_session(path)

    def infer_tensors(self, tensors, outputs=()):
        return run_tensors(self.session, tensors, outputs, name="echo")
"""


@pytest.fixture
def process(tiny_models: Path):
    one = ModelProcess(tiny_models / "bright.onnx").load()
    yield one
    one.close()


@pytest.mark.parametrize("name", ["bright", "light", "corner"])
def test_it_says_what_the_model_says_here_whatever_the_frames_size(tiny_models: Path, name: str) -> None:
    here = OnnxModel(tiny_models / f"{name}.onnx")
    with ModelProcess(tiny_models / f"{name}.onnx") as process:
        assert process.spec == here.spec
        for frame in FRAMES:
            inferred = process.infer(frame)
            assert np.array_equal(inferred.value, here.infer(frame))
            assert inferred.infer_s > 0


def test_it_runs_elsewhere_holds_memory_and_gives_it_back(process: ModelProcess) -> None:
    pid = process.pid
    assert pid != os.getpid()
    assert process.memory_bytes() > 2**20
    assert process.transient_bytes() >= 0
    assert process.load_s > 0
    process.close()
    assert not psutil.pid_exists(pid)
    assert process.memory_bytes() == 0
    process.close()


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((0, 8, 3), np.uint8), np.zeros((8, 8, 3), np.float64), np.zeros((8, 8), np.uint8)],
    ids=["no pixel", "floats", "grey"],
)
def test_what_is_no_frame_is_refused_and_the_next_frame_is_answered(process: ModelProcess, wrong: Array) -> None:
    pid = process.pid
    with pytest.raises(InvalidInput, match="a frame must be uint8 of shape"):
        process.infer(wrong)
    assert process.infer(np.full((8, 8, 3), 50, np.uint8)).value == pytest.approx([50])
    assert process.pid == pid


def test_whatever_a_frame_brings_about_is_answered_and_not_the_end(tiny_models: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    worker = context.Process(
        target=serve_model, args=(Opening(OnnxModel, tiny_models / "bright.onnx"), theirs), daemon=True
    )
    worker.start()
    theirs.close()
    assert ours.recv().spec.name == "bright"
    for request, told in (
        (Work({FRAME: SharedArray("/nowhere", 0, 4, 0, "|u1", (4,))}), "FileNotFoundError"),
        ("short", "AttributeError"),
    ):
        ours.send([request])
        (reply,) = ours.recv()
        assert isinstance(reply, ModelFailed)
        assert str(reply).startswith(f"bright: {told}: ")
    ours.close()
    worker.join(timeout=300)
    assert worker.exitcode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is shared there")
def test_a_garbage_collection_makes_nothing_private_that_was_shared(tiny_models, tmp_path, monkeypatch) -> None:
    (tmp_path / "collecting.py").write_text(COLLECTING)
    monkeypatch.syspath_prepend(str(tmp_path))

    class CollectingProcess(ModelProcess):
        opener = importlib.import_module("collecting").Collecting

    with CollectingProcess(tiny_models / "bright.onnx") as process:
        process.infer(FRAMES[0])
        collected = process.memory_bytes()
    with ModelProcess(tiny_models / "bright.onnx") as process:
        process.infer(FRAMES[0])
        assert collected < process.memory_bytes() + 2 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is shared there")
def test_the_system_may_make_no_huge_page_of_what_is_shared(process: ModelProcess) -> None:
    shared_kib = 0
    for mapping in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{process.pid}/smaps").read_text()):
        if re.search(r"^VmFlags:.* hg\b", mapping, re.MULTILINE):
            shared_kib += int(re.search(r"^Shared_Dirty: +(\d+)", mapping, re.MULTILINE)[1])
    assert shared_kib == 0


def test_tensors_of_any_type_go_in_and_come_out_as_the_graph_has_them(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "echoing.py").write_text(ECHO)
    monkeypatch.syspath_prepend(str(tmp_path))

    class EchoProcess(ModelProcess):
        opener = importlib.import_module("echoing").Echo

    kinds = [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.int64, np.bool_, np.object_]
    with closing(EchoProcess(write_echo(tmp_path / "echo.onnx", kinds))) as process:
        process.load(warm_up=False)
        for shape in ((2, 3), (0, 3), (300, 1000)):
            given = {f"in{at}": np.ones(shape, kind) for at, kind in enumerate(kinds[:-1])}
            given[f"in{len(kinds) - 1}"] = np.full(shape, "wörter", object)
            values = process.infer_tensors(given).values
            for at, (name, value) in enumerate(values.items()):
                assert name == f"out{at}" and value.dtype == kinds[at]
                np.testing.assert_array_equal(value, given[f"in{at}"])
        assert list(process.infer_tensors(given, ["out3"]).values) == ["out3"]


@pytest.mark.parametrize(
    ("tensors", "outputs", "told"),
    [
        ({}, [], "image"),
        ({"image": np.zeros((1, 3, 16, 16))}, [], r"tensor\(double\)"),
        ({"image": np.zeros((1, 3, 16), np.float32)}, [], "image"),
        ({"image": np.zeros((1, 3, 16, 9), np.float32)}, [], "image"),
        ({"other": np.zeros(3, np.float32)}, [], "other|image"),
        ({"image": np.zeros((1, 3, 16, 16), np.float32)}, ["none"], "none"),
    ],
    ids=["none", "other type", "other rank", "other size", "other name", "other output"],
)
def test_tensors_that_do_not_fit_are_refused_by_name_and_the_next_are_answered(process, tensors, outputs, told) -> None:
    pid = process.pid
    with pytest.raises(InvalidInput, match=told):
        process.infer_tensors(tensors, outputs)
    values = process.infer_tensors({"image": np.full((1, 3, 16, 16), 5, np.float32)}).values
    assert values["out"] == pytest.approx([5]) and process.pid == pid


def test_tensors_that_are_too_large_are_refused_before_memory_is_taken(process, monkeypatch) -> None:
    monkeypatch.setattr("infilink.models.process_child.MOST_TENSOR_BYTES", 3000)
    with pytest.raises(InvalidInput, match="3072 bytes; at most 3000"):
        process.infer_tensors({"image": np.zeros((1, 3, 16, 16), np.float32)})


def test_a_group_is_answered_one_by_one_and_what_is_late_or_wrong_is_not(process) -> None:
    frames = [{FRAME: np.full((8, 8, 3), level, np.uint8)} for level in (10, 20, 30)]
    works = [Work(frames[0]), Work(frames[1], deadline_s=0.0), Work({"image": np.zeros(3)}), Work(frames[2])]
    process.send(works)
    first, late, wrong, last = process.receive(60)
    assert (first.value[0], last.value[0]) == (10, 30)
    assert isinstance(late, DeadlineExceeded) and isinstance(wrong, InvalidInput)


def test_a_graph_that_takes_several_runs_once_for_a_group_and_says_of_each_what_it_says_alone(tmp_path) -> None:
    path = write_batching(tmp_path / "many.onnx")
    frames = [np.full((16, 16, 3), level, np.uint8) for level in (10, 20, 0, 250)]
    with ModelProcess(path) as process:
        assert process.batches
        process.send([Work({FRAME: frame}) for frame in frames])
        together = process.receive(60)
        assert len({reply.infer_s for reply in together}) == 1, "they share one run"
        for frame, reply in zip(frames, together, strict=True):
            np.testing.assert_allclose(reply.value, process.infer(frame).value, rtol=1e-6)
        tensors = [np.full((rows, 3, 16, 16), rows, np.float32) for rows in (1, 3, 2)]
        process.send([Work({"image": each}) for each in tensors])
        for each, reply in zip(tensors, process.receive(60), strict=True):
            np.testing.assert_allclose(reply.values["out"], np.full((len(each), 1), len(each)), rtol=1e-6)


def test_one_frame_that_spoils_a_run_over_several_does_not_take_the_others_with_it(tmp_path) -> None:
    with ModelProcess(write_batching(tmp_path / "many.onnx")) as process:
        works = [Work({FRAME: np.full((16, 16, 3), 9, np.uint8)}), Work({FRAME: np.zeros((4, 4), np.uint8)})]
        process.send(works)
        good, bad = process.receive(60)
        assert good.value[0] == pytest.approx(9) and isinstance(bad, InvalidInput)


def test_a_closed_process_says_so(process: ModelProcess) -> None:
    process.close()
    with pytest.raises(ModelFailed, match="bright: is closed"):
        process.infer(FRAMES[0])


def test_closing_it_from_another_thread_ends_the_wait(process: ModelProcess, monkeypatch) -> None:
    asks, receive = threading.Event(), process._receive
    monkeypatch.setattr(process, "_receive", lambda timeout_s: (asks.set(), receive(timeout_s))[1])
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(process.infer, FRAMES[0])
        assert asks.wait(60)
        process.close()
        with pytest.raises(ModelFailed):
            asked.result(timeout=300)


def test_whoever_measures_while_it_is_closed_gets_nothing_and_no_error(process: ModelProcess, monkeypatch) -> None:
    own, seen = process._process, []
    for name in ("join", "close"):
        real = getattr(own, name)
        monkeypatch.setattr(own, name, lambda real=real: (real(), seen.append((process.pid, process.memory_bytes()))))
    process.close()
    assert seen == [(None, 0), (None, 0)]
    process.kill()


def test_a_process_that_was_killed_is_an_error_and_not_a_wait_for_ever(process: ModelProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(ModelFailed, match="bright: its process has ended"):
            process.infer(FRAMES[0])
    process.close()


def test_a_process_that_is_killed_in_the_middle_of_an_inference_ends_the_wait(process: ModelProcess) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(process.infer, FRAMES[0])
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(ModelFailed, match="its process has ended"):
            asked.result(timeout=300)


def test_it_does_not_end_with_the_signals_that_are_meant_for_its_owner(process: ModelProcess) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, number)
    assert process.infer(np.full((8, 8, 3), 50, np.uint8)).value == pytest.approx([50])


def test_a_model_that_cannot_be_loaded_is_the_users_mistake_and_leaves_no_process(tmp_path: Path) -> None:
    process = ModelProcess(tmp_path / "none.onnx")
    with pytest.raises(InvalidInput, match=r"none.onnx: there is no such file"):
        process.load()
    assert process.memory_bytes() == 0
    process.close()


def test_a_model_that_cannot_read_its_own_output_fails_when_it_is_loaded(tmp_path: Path, make_model) -> None:
    path = make_model(tmp_path, "bright", spec=False)
    text = "[input]\nsize = [16, 16]\n[output]\nkind = 'boxes'\nclasses = ['car']\n[decoder]\nname = 'yolox'\n"
    path.with_suffix(".toml").write_text(text)
    with pytest.raises(ModelFailed, match="decoder 'yolox' can't read its outputs"):
        ModelProcess(path).load()


class MeteredProcess(ModelProcess):
    """Says of each inference what it took: time, memory after it, and memory in the middle of it."""

    def load(self, *, warm_up: bool = True) -> ModelProcess:
        super().load(warm_up=False)
        self.load_s = 5.0
        self.meters = iter([(0.4, 10, 0), (0.1, 30, 0), (0.2, 20, 15), (0.3, 30, 1)])
        return self

    def infer(self, frame: Array, *, timeout_s: float | None = None) -> Inferred:
        value = super().infer(frame, timeout_s=timeout_s).value
        infer_s, self.taken_mib, self.more_mib = next(self.meters)
        return Inferred(value, infer_s)

    def memory_bytes(self) -> int:
        return self.taken_mib << 20

    def transient_bytes(self) -> int:
        return self.more_mib << 20


def test_a_cost_is_the_most_memory_and_the_median_time_of_the_frames_given(tiny_models: Path) -> None:
    start_fork_server()
    cost = measure_cost(tiny_models / "corner.onnx", FRAMES, kind=MeteredProcess)
    assert cost == ModelCost(memory_bytes=(35 << 20) + 5 * 2**19, infer_s=0.25, load_s=5.0)
    cost = measure_cost(tiny_models / "corner.onnx", FRAMES)
    assert 2**20 < cost.memory_bytes < 2**30 and cost.infer_s > 0 and cost.load_s > 0
    with pytest.raises(InvalidInput, match="at least one input"):
        measure_cost(tiny_models / "corner.onnx", [])


def test_the_callers_program_is_not_run_again_in_the_worker(tiny_models: Path, tmp_path: Path) -> None:
    """It has no `if __name__ == "__main__"`: run again, it would start processes for ever."""
    script, log = tmp_path / "program.py", tmp_path / "log"
    script.write_text(MAIN)
    command = [sys.executable, str(script), str(tiny_models / "bright.onnx"), str(log)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "50.0\n"
    assert log.read_text() == "main\n"


def test_it_runs_without_what_only_linux_has(tiny_models: Path) -> None:
    """No preloaded fork server, no memory without a name, no unique set size of another process: as on macOS."""
    command = [sys.executable, "-c", WITHOUT_LINUX, str(tiny_models / "bright.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "50.0\n60.0\nTrue\n"
