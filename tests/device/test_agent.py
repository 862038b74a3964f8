"""The agent with several streams: each runs whatever becomes of the others, and the file is edited while they run."""

import logging
import re
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.codec import decode_jpeg
from infilink.device.agent import Agent
from infilink.device.config import DeviceConfig
from infilink.device.results_read import Results
from infilink.device.settings_file import SettingsFile
from infilink.errors import InvalidInput
from infilink.models.spec import read_spec
from infilink.protos import edge_pb2

from .conftest import FRAMES, wait_until
from .coordinator import TIMEOUT_S, Coordinator, result


def brightness_of(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
    return result(message.sequence, bright=float(decode_jpeg(message.payload).mean()))


@pytest.fixture
def coordinator(start_coordinator: Callable[..., Coordinator], tiny_models: Path) -> Coordinator:
    started = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")}, answer=brightness_of)
    started.welcome.modalities.append("image")
    return started


class Edited:
    """A device.toml that is written anew while an agent runs."""

    def __init__(self, path: Path, coordinator: Coordinator, video: Path) -> None:
        self.path = path
        self.file = SettingsFile(path)
        self.top = (
            f'name = "yard"\nsource = "{video}"\npace = "max"\nqueue = "all"\ncoordinator = "{coordinator.address}"\n'
        )
        self._edits = 0

    def write(self, **streams: str) -> None:
        tables = "".join(f"[streams.{name}]\n{text}\n" for name, text in streams.items())
        self._edits += 1
        self.path.write_text(f"{self.top}{tables}# {'.' * self._edits}")

    def agent(self) -> Agent:
        return Agent(self.file.load(), file=self.file)


@pytest.fixture
def edited(tmp_path: Path, coordinator: Coordinator, video: Path) -> Edited:
    return Edited(tmp_path / "device.toml", coordinator, video)


def test_each_stream_has_its_own_gate_and_results(edited: Edited, coordinator: Coordinator, tmp_path: Path) -> None:
    edited.write(whole='results = "whole.sqlite"', third='gate = "every:3"\nresults = "third.sqlite"')
    ends = edited.agent().run()
    summaries = {name: end.summary for name, end in ends.items()}
    assert {name: (each.frames, each.kept, each.answered) for name, each in summaries.items()} == {
        "whole": (FRAMES, FRAMES, FRAMES),
        "third": (FRAMES, 10, 10),
    }
    hellos = [coordinator.connection().hello for _ in range(2)]
    assert {(hello.device, hello.stream, hello.form) for hello in hellos} == {
        ("yard", "whole", ""),
        ("yard", "third", ""),
    }
    for name, kept in (("whole", FRAMES), ("third", 10)):
        with Results(tmp_path / f"{name}.sqlite") as results:
            assert results.stream == name and sum(results.kept) == kept


def test_a_stream_that_fails_leaves_the_other_alone_and_is_said_once(
    edited: Edited, caplog: pytest.LogCaptureFixture, run_beside: Callable[[Agent], threading.Thread]
) -> None:
    edited.write(good="", bad='source = "nowhere.mp4"', broken='gate = "none.onnx"')
    agent = edited.agent()
    thread = run_beside(agent)
    wait_until(lambda: "good" in agent.reports() and agent.reports()["good"][0].frames == FRAMES)
    wait_until(lambda: {name for name, (_, up) in agent.reports().items() if not up} == {"good", "bad", "broken"})
    assert thread.is_alive(), "those that failed are tried again"
    agent.stop()
    thread.join(TIMEOUT_S)
    for name, why in (("bad", "nowhere.mp4"), ("broken", "no such gate or file")):
        said = [text for text in caplog.messages if text.startswith(f"stream {name}: ")]
        assert len(said) == 1 and why in said[0] and "tried again in 1 s" in said[0]


def test_a_stream_that_could_not_be_run_runs_once_its_table_is_right(
    edited: Edited, run_beside: Callable[[Agent], threading.Thread]
) -> None:
    edited.write(good="loop = true", bad='source = "nowhere.mp4"')
    agent = edited.agent()
    run_beside(agent)
    wait_until(lambda: "bad" in agent.reports() and agent._keepers["bad"].state == "waiting")
    good = agent._keepers["good"]
    edited.write(good="loop = true", bad="")
    # Between the one that ends and the one that follows there is none.
    none = (edge_pb2.Report(), False)
    wait_until(lambda: agent.reports().get("bad", none)[0].frames == FRAMES)
    assert agent._keepers["good"] is good and good.state == "running"


def test_streams_are_added_changed_and_removed_while_the_others_run(
    edited: Edited,
    coordinator: Coordinator,
    caplog: pytest.LogCaptureFixture,
    run_beside: Callable[[Agent], threading.Thread],
) -> None:
    caplog.set_level(logging.INFO)
    edited.write(stays="loop = true", goes="loop = true", turns="loop = true")
    agent = edited.agent()
    run_beside(agent)
    first = {coordinator.connection().hello.stream: None for _ in range(3)}
    assert set(first) == {"stays", "goes", "turns"}
    edited.write(stays="loop = true", turns="loop = true\nevery = 2", comes="loop = true")
    again = {coordinator.connection().hello.stream for _ in range(2)}
    assert again == {"turns", "comes"}
    wait_until(lambda: set(agent.reports()) == {"stays", "turns", "comes"})
    assert "stream goes: removed" in caplog.messages and "stream turns: changed" in caplog.messages
    assert not any("stream stays" in text for text in caplog.messages if "connected" not in text)
    # A broken edit is told, and everything goes on.
    edited.write(stays="window = 0", turns="loop = true\nevery = 2")
    wait_until(lambda: any("everything goes on as it was" in text for text in caplog.messages))
    assert any("streams.stays: window" in text for text in caplog.messages)
    assert set(agent.reports()) == {"stays", "turns", "comes"}
    before = agent.reports()["stays"][0].frames
    wait_until(lambda: agent.reports()["stays"][0].frames > before)


def test_a_devices_only_stream_ends_the_agent_when_it_fails(edited: Edited) -> None:
    edited.top = edited.top.replace("v.avi", "none.avi")
    edited.write()
    with pytest.raises(InvalidInput, match=r"none\.avi"):
        edited.agent().run()


def test_an_agents_figures_are_read_while_it_works(
    start_coordinator: Callable[..., Coordinator], tiny_models: Path, video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pages: list[str] = []

    def read_at_first(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
        if not pages:
            address = next(text.split()[-1] for text in caplog.messages if text.startswith("metrics at"))
            pages.append(urllib.request.urlopen(address).read().decode())
        return brightness_of(message)

    started = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")}, answer=read_at_first)
    values = {"name": "yard", "source": str(video), "pace": "max", "queue": "all", "coordinator": started.address}
    config = DeviceConfig.model_validate({**values, "metrics_listen": "127.0.0.1:0"})
    end = Agent(config).run()[""]
    assert end.summary is not None and end.summary.answered == FRAMES
    found = re.search(r"^infilink_agent_frames_total (\S+)", pages[0], re.M)
    assert found is not None and float(found[1]) >= 1.0
