"""Another file under the name of a model that runs here: tried, then the stream is started anew for it."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.codec import decode_jpeg
from infilink.device import agent as agent_module
from infilink.device.agent import Agent
from infilink.device.config import DeviceConfig
from infilink.models.spec import digest, read_spec
from infilink.protos import edge_pb2
from onnx import numpy_helper

from .conftest import wait_until
from .coordinator import Coordinator, result


def replace(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_suffix(".part")
    write(part)
    os.replace(part, path)


def other(path: Path) -> Callable[[Path], object]:
    """The same model with another name inside, so with another digest."""
    model = onnx.load(str(path))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "unused"))
    return lambda part: part.write_bytes(model.SerializeToString())


def test_a_model_that_runs_here_is_replaced(
    start_coordinator: Callable[..., Coordinator],
    tiny_models: Path,
    video: Path,
    tmp_path: Path,
    run_beside: Callable,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(agent_module, "_LOOK_EVERY_S", 0.02)
    local = tmp_path / "local"
    local.mkdir()
    for name in ("bright.onnx", "bright.toml"):
        if (tiny_models / name).is_file():
            shutil.copy(tiny_models / name, local / name)
    path = local / "bright.onnx"

    def answer(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
        return result(message.sequence, bright=float(decode_jpeg(message.payload).mean()) if message.payload else 1.0)

    coordinator = start_coordinator({"bright": read_spec(path)}, answer=answer)
    values = {"name": "yard", "source": str(video), "loop": True, "queue": "all", "pace": "max", "local": local}
    agent = Agent(DeviceConfig.model_validate({**values, "coordinator": coordinator.address}))
    run_beside(agent)
    first = digest(path)
    assert coordinator.connection().hello.local == {"bright": first}
    keeper = agent._keepers[""]
    wait_until(lambda: keeper.report().frames > 3)

    replace(path, lambda part: part.write_bytes(b"no model"))
    wait_until(lambda: any("runs on with" in text for text in caplog.messages))
    before = keeper.report().frames
    wait_until(lambda: keeper.report().frames > before)
    assert agent._keepers[""] is keeper

    shutil.copy(tiny_models / "bright.onnx", tmp_path / "again.onnx")
    replace(path, other(tmp_path / "again.onnx"))
    second = digest(path)
    assert coordinator.connection().hello.local == {"bright": second}
    assert any(f"{first} is replaced by {second}" in text for text in caplog.messages)
    wait_until(lambda: agent._keepers[""].report().frames > 3)
