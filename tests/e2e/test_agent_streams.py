"""One agent with several streams before a real coordinator: each lives by itself, whatever is edited or dies."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from infilink.device.results_read import Results

from .conftest import TIMEOUT_S, Agent, Daemon, brightness, grey, wait_until, write_model, write_video
from .test_streams import write_shake

STEPS = 240


@pytest.fixture
def site(tmp_path: Path, start_daemon: Callable[..., Daemon]) -> Daemon:
    """A coordinator with a model that looks at pictures and one that looks at signals."""
    folder = tmp_path / "models"
    folder.mkdir()
    write_model(folder / "bright.onnx")
    write_shake(folder / "shake.onnx")
    return start_daemon(models=str(folder))


@pytest.fixture
def signal(tmp_path: Path) -> Path:
    """A recording of two channels, 32 steps a second, whose windows can be told apart."""
    path = tmp_path / "wrist.csv"
    rows = [f"{step / 32:.5f},{step // 8},{-2 * (step // 8)}" for step in range(STEPS)]
    path.write_text("\n".join(["time_s,x,y", *rows]) + "\n")
    return path


class Edited:
    """An agent's file, which is edited while it runs."""

    def __init__(self, folder: Path, daemon: Daemon, video: Path) -> None:
        self.path = folder / "device.toml"
        self.top = (
            f'name = "arm"\nsource = {json.dumps(str(video))}\ncoordinator = "{daemon.address}"\npace = "max"\n'
            f'queue = "all"\nquality = 100\nconnect_timeout_s = {TIMEOUT_S}\nanswer_timeout_s = {TIMEOUT_S}\n'
        )

    def write(self, **streams: str) -> None:
        self.path.write_text(self.top + "".join(f"[streams.{name}]\n{text}\n" for name, text in streams.items()))


@pytest.fixture
def edited(tmp_path: Path, site: Daemon, video: Path) -> Edited:
    return Edited(tmp_path, site, video)


@pytest.fixture
def start(edited: Edited) -> Iterator[Callable[[], Agent]]:
    """Starts agents with the file as it is then; all are gone at the end."""
    started: list[Agent] = []

    def begin() -> Agent:
        started.append(Agent(edited.path))
        return started[-1]

    yield begin
    for agent in started:
        agent.close()


def inputs_of(daemon: Daemon, stream: str) -> int:
    """How many inputs of a stream were answered, over all its runs."""
    return sum(device.inputs for device in daemon.status().devices if device.name == f"arm/{stream}")


def connected(daemon: Daemon) -> set[str]:
    return {device.name.partition("/")[2] for device in daemon.status().devices if device.connected}


def test_two_streams_of_two_kinds_are_answered_side_by_side(
    site: Daemon, edited: Edited, start: Callable[[], Agent], signal: Path, tmp_path: Path
) -> None:
    edited.write(
        door='results = "door.sqlite"\ngate = "every:2"',
        wrist=f'source = "csv:{signal}"\ncut = {{ window = 8, stride = 8 }}\nresults = "wrist.sqlite"',
    )
    figures = start().finish()["streams"]
    assert (figures["door"]["kept"], figures["door"]["answered"]) == (60, 60)
    assert figures["wrist"]["answered"] == figures["wrist"]["frames"] == STEPS // 8
    with Results(tmp_path / "wrist.sqlite") as results:
        assert results.stream == "wrist" and results.models == ["shake"]
        windows = np.arange(STEPS // 8, dtype=np.float32)
        np.testing.assert_allclose(np.stack(results.served("shake")), np.stack([windows, -2 * windows], axis=1))
    with Results(tmp_path / "door.sqlite") as results:
        assert results.stream == "door" and results.models == ["bright"]
    kinds = {device.name: device.modality for device in site.status().devices}
    assert kinds == {"arm/door": "image", "arm/wrist": "signal"}


def test_a_decoder_that_dies_costs_the_other_stream_nothing(
    site: Daemon, edited: Edited, start: Callable[[], Agent]
) -> None:
    edited.write(dies="loop = true", lives="loop = true")
    agent = start()
    wait_until(lambda: inputs_of(site, "dies") and inputs_of(site, "lives"), "both are answered")
    decoders = agent.model_processes()
    assert len(decoders) == 2
    decoders[0].kill()
    said = wait_until(lambda: [line for line in agent.said().splitlines() if "its decoder died" in line], "it is said")
    (dead,) = {name for name in ("dies", "lives") if f"stream {name}: " in said[0]}
    (alive,) = {"dies", "lives"} - {dead}
    assert "it is tried again in 1 s" in said[0] and len(said) == 1
    before, again = inputs_of(site, alive), inputs_of(site, dead)
    wait_until(lambda: inputs_of(site, alive) > before + 100, "the other goes on")
    wait_until(lambda: inputs_of(site, dead) > again + 100, "it is back")
    agent.terminate()
    figures = agent.finish()["streams"]
    assert figures[alive]["connections"] == 1 and figures[alive]["answered"] == figures[alive]["frames"]


def test_streams_come_change_and_go_as_the_file_is_edited(
    site: Daemon, edited: Edited, start: Callable[[], Agent]
) -> None:
    edited.write(stays="loop = true", goes="loop = true")
    agent = start()
    wait_until(lambda: connected(site) == {"stays", "goes"}, "both are there")
    edited.write(stays="loop = true", comes="loop = true")
    wait_until(lambda: connected(site) == {"stays", "comes"}, "one went and one came")
    edited.write(stays="loop = true", comes='loop = true\ngate = "every:0"')
    wait_until(lambda: "stream comes: gate every:0 is not taken" in agent.said(), "what can't be run is told")
    edited.write(stays="loop = true", comes="quality = 0")
    wait_until(lambda: "everything goes on as it was" in agent.said(), "a broken edit is told")
    edited.write(stays="loop = true", comes='loop = true\ngate = "every:2"')
    wait_until(lambda: "is replaced by every:2" in agent.said(), "it is right again")
    edited.write(stays="loop = true", comes='loop = true\ngate = "every:2"\nquality = 80')
    wait_until(lambda: agent.said().count("stream comes: connected") == 2, "what else is changed begins it anew")
    before = inputs_of(site, "stays")
    wait_until(lambda: inputs_of(site, "stays") > before, "the other goes on")
    agent.terminate()
    figures = agent.finish()["streams"]
    assert set(figures) == {"stays", "comes"} and figures["stays"]["connections"] == 1
    assert figures["comes"]["kept"] <= figures["comes"]["frames"] / 2 + 1


def test_masked_pixels_never_leave_the_device(tmp_path: Path, start_daemon: Callable[..., Daemon]) -> None:
    """The model sees the mask's part alone: whatever the camera shows there, it is black."""
    folder = tmp_path / "models"
    folder.mkdir()
    write_model(folder / "bright.onnx")
    daemon = start_daemon(models=str(folder))
    black = grey(0)
    black[30:90, 40:120] = 255
    video = write_video(tmp_path / "secret.avi", (black if i % 2 else grey(brightness(i)) for i in range(30)))
    secret = Edited(tmp_path, daemon, video)
    box = "[[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]"
    secret.write(masked=f'mask = [{box}]\nresults = "masked.sqlite"', plain='results = "plain.sqlite"')
    agent = Agent(secret.path)
    try:
        agent.finish()
    finally:
        agent.close()
    values = {}
    for name in ("masked", "plain"):
        with Results(tmp_path / f"{name}.sqlite") as results:
            values[name] = np.asarray([float(value[0]) for value in results.served("bright")])
    assert values["plain"][1::2].min() > 50, "the secret is bright"
    assert values["masked"][1::2].max() < 3, "a frame that is bright in the mask alone is black"
    around = 1 - 0.6 * 0.6
    np.testing.assert_allclose(values["masked"][::2], around * values["plain"][::2], rtol=0.1, atol=4)


@pytest.mark.parametrize("lines", [0, 3], ids=["before anything came", "while it waits for more"])
def test_sigterm_ends_a_stream_whose_source_gives_nothing(
    site: Daemon, edited: Edited, start: Callable[[], Agent], tmp_path: Path, lines: int
) -> None:
    pipe = tmp_path / "rows"
    os.mkfifo(pipe)
    cut = 'cut = { window = 8, stride = 8, rate_hz = 32, channels = ["x", "y"], time_column = "-" }'
    edited.write(waits=f'source = "csv:{pipe}"\n{cut}', works="loop = true")
    agent = start()
    with pipe.open("w") as rows:
        rows.write("".join(f"{i},{i}\n" for i in range(8 * lines)))
        rows.flush()
        wait_until(lambda: not lines or inputs_of(site, "waits"), "what came is answered")
        wait_until(lambda: inputs_of(site, "works"), "the other works")
        agent.terminate()
        figures = agent.finish()["streams"]
    assert figures["works"]["answered"] == figures["works"]["frames"]
    assert ("failure" in figures["waits"]) == (lines == 0)
