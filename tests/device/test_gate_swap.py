"""A gate is replaced while its stream runs: no input is lost, nothing is opened anew, and what does not fit is told."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.device import agent as agent_module
from infilink.device.agent import Agent
from infilink.device.settings_file import SettingsFile
from infilink.filters.spec import Certificate
from infilink.models.spec import digest, read_spec
from infilink.protos import edge_pb2

from ..filters.made import FRAMES as SPEC
from ..filters.made import brightest, write_filter
from .conftest import wait_until
from .coordinator import Connection, Coordinator, result

CERTIFICATE = Certificate(
    certified=True,
    confidence=0.95,
    inputs=1000,
    runs=1000.0,
    lost=10.0,
    error=0.01,
    upper_bound=0.02,
    method="betting",
    rate=0.9,
)


def write_gate(path: Path, *, threshold: float, wrong: float = 0.0) -> str:
    """A filter that keeps what is brighter than its threshold; it stands there at once. Returns its digest."""
    part = path.with_suffix(".part.onnx")
    changes = {"models": {"bright": "d0"}, "rule": "unchanged", "certificate": CERTIFICATE, "threshold": threshold}
    write_filter(part, brightest(wrong=wrong), SPEC, **changes)
    os.replace(part, path)
    return digest(path)


class Stage:
    """An agent with one stream, whose gate and settings are changed while it runs."""

    def __init__(self, folder: Path, coordinator: Coordinator, video: Path) -> None:
        self.gate, self.path = folder / "door.onnx", folder / "device.toml"
        self.coordinator = coordinator
        self._top = f'name = "yard"\ncoordinator = "{coordinator.address}"\nqueue = "all"\npace = "max"\n'
        self._table = f'[streams.door]\nsource = "{video}"\nloop = true\naudit = 0.5\n'

    def write(self, gate: str) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(f'{self._top}{self._table}gate = "{gate}"\n')
        os.replace(part, self.path)

    def agent(self) -> Agent:
        file = SettingsFile(self.path)
        return Agent(file.load(), file=file)


@pytest.fixture
def stage(start_coordinator: Callable[..., Coordinator], tiny_models: Path, video: Path, tmp_path: Path) -> Stage:
    def answer(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
        return result(message.sequence, bright=1.0)

    spec = read_spec(tiny_models / "bright.onnx")
    coordinator = start_coordinator({"bright": spec}, answer=answer)
    coordinator.welcome.modalities.append("image")
    return Stage(tmp_path, coordinator, video)


def told(caplog: pytest.LogCaptureFixture, part: str) -> Callable[[], list[str]]:
    return lambda: [text for text in caplog.messages if part in text]


def test_a_gate_is_replaced_between_two_inputs(
    stage: Stage, run_beside: Callable, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(agent_module, "_LOOK_EVERY_S", 0.02)
    first = write_gate(stage.gate, threshold=2.0)
    stage.write("door.onnx")
    agent = stage.agent()
    run_beside(agent)
    connection: Connection = stage.coordinator.connection()
    keeper = agent._keepers["door"]
    wait_until(lambda: keeper.report().frames > 30)
    source = keeper._run._capture._source

    second = write_gate(stage.gate, threshold=0.0)
    (line,) = wait_for(told(caplog, "is replaced by"))
    assert line == f"gate {stage.gate}, {first}, is replaced by {stage.gate}, {second}"
    kept = keeper.report().kept
    # From now on each frame is kept, and none was left out on the way.
    wait_until(lambda: keeper.report().kept > kept + 30)

    # What is no filter, fails, or is of another model: the old one stays, and each is told once.
    stage.gate.with_suffix(".part").write_bytes(b"no filter")
    os.replace(stage.gate.with_suffix(".part"), stage.gate)
    (line,) = wait_for(told(caplog, "is not taken"))
    assert f"it stays as it was ({second})" in line
    part = stage.gate.with_suffix(".part.onnx")
    write_filter(part, brightest(), SPEC, models={"other": "d0"}, rule="unchanged", certificate=CERTIFICATE)
    os.replace(part, stage.gate)
    line = wait_for(lambda: told(caplog, "is not taken")()[1:])[0]
    assert "other" in line
    before = keeper.report().kept
    wait_until(lambda: keeper.report().kept > before)

    # Another gate in the settings is taken up the same way, and gone back to.
    stage.write("every:5")
    line = wait_for(lambda: told(caplog, "is replaced by")()[1:])[0]
    assert line.endswith(f", {second}, is replaced by every:5, no file")
    stage.write("difference:3")
    line = wait_for(lambda: told(caplog, "is not taken")()[2:])[0]
    assert "3.0 must be from 0 to 1" in line
    stage.write("none.onnx")
    line = wait_for(lambda: told(caplog, "is not taken")()[3:])[0]
    assert "no such gate or file" in line and line.endswith("(every:5)")

    assert agent._keepers["door"] is keeper and keeper._run._capture._source is source
    assert keeper._run._exchange.uplink.connections == 1
    agent.stop()
    sequences = []
    while not connection._inputs.empty():
        sequences.append(connection._inputs.get().sequence)
    assert sequences == sorted(set(sequences))


def wait_for(condition: Callable[[], list[str]]) -> list[str]:
    wait_until(condition)
    return condition()
