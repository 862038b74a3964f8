"""The same cameras over real daemons: an agent each at 5 inputs/s in real time, one coordinator; and its replay.

What an agent plays is the camera's served part without loss, so that the coordinator's models see the very pictures
that were recorded. A clip that is at its end begins again; here nothing tells the coordinator, and so not the replay.
"""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from agreed import Measured
from cameras import SERVED_FROM, STEP_S, Site, Turn
from infilink.codec import decode_jpeg
from infilink.device.results_read import Results
from infilink.device.sources.open import open_source
from infilink.outputs import Array
from infilink.traces.trace import Trace
from infilink.units import parse_budget, parse_compute
from ours import linkless, ours
from prepare import Bench

_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Played:
    """What the agents were answered.

    Attributes:
        agreement: with what was recorded: float (cameras, models, ticks).
        origins: how each answer came to be, likewise.
        delay_s: from the capture to the answer, of the inputs that were answered.
    """

    agreement: Array
    origins: Array
    delay_s: Array


def table(bench: Bench) -> Iterator[str]:
    """Every kind of answers over daemons, ours beside its replay with the same budgets."""
    given, site = bench.options, bench.site
    turn = _endless(site.turn(0, given.ticks))
    videos = [_video(bench, at, turn) for at in range(len(site.cameras))]
    yield f"\n{len(videos)} agents, {given.budget} of the memory, compute {given.compute}:\n"
    yield "| | agreement | exact | answered after s (median, 95 %) |"
    yield "|---|---|---|---|"
    kinds: dict[str, dict[str, Any]] = {
        "links": {"answers": "links", "budget": given.budget, "compute": given.compute, "links": str(bench.links)},
        "hold": {"answers": "hold", "budget": given.budget, "compute": given.compute},
        "full": {"answers": "full"},
    }
    for name in given.answers:
        played = play(bench, turn, videos, kinds[name])
        exact = float((played.origins == "executed").mean())
        late = ", ".join(f"{np.quantile(played.delay_s, share):.2f}" for share in (0.5, 0.95))
        yield f"| answers `{name}` | {played.agreement.mean():.3f} | {exact:.3f} | {late} |"
        if name != "full":
            replayed = _replay(bench, turn, exact_only=name == "hold")
            yield f"| its replay | {replayed.mean:.3f} | {replayed.executions:.3f} | |"
        for at, camera in enumerate(site.cameras):
            exact = float((played.origins[at] == "executed").mean())
            yield f"| {camera.name} | {played.agreement[at].mean():.3f} | {exact:.3f} | |"


def play(bench: Bench, turn: Turn, videos: list[Path], settings: Mapping[str, Any]) -> Played:
    """Starts a coordinator and an agent for each camera, and waits until all have played to their ends."""
    folder = bench.place.folder / "daemons"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.sqlite*"):
        old.unlink()
    listens = {"listen": "127.0.0.1:0", "models": str(bench.place.models), "ledger": str(folder / "ledger.sqlite")}
    config = _toml(folder / "cloud.toml", {**listens, "max_in_flight": 64, **settings})
    with (folder / "cloud.log").open("w") as log:
        cloud = subprocess.Popen(_command("cloud", config), stdout=subprocess.PIPE, stderr=log, text=True)
    agents = []
    try:
        assert cloud.stdout is not None
        line = cloud.stdout.readline()
        if not line.startswith("ready on "):
            raise RuntimeError(f"the coordinator did not start: {(folder / 'cloud.log').read_text()[-2000:]}")
        for camera, video in zip(bench.site.cameras, videos, strict=True):
            values = {
                "name": camera.name,
                "source": str(video),
                "coordinator": line.removeprefix("ready on ").strip(),
                "results": str(folder / f"{camera.name}.sqlite"),
                "window": 64,
            }
            with (folder / f"{camera.name}.log").open("w") as log:
                told = _toml(folder / f"{camera.name}.toml", values)
                agents.append(subprocess.Popen(_command("device", told), stdout=subprocess.DEVNULL, stderr=log))
        for agent in agents:
            agent.wait(_TIMEOUT_S)
    finally:
        for process in (*agents, cloud):
            if process.poll() is None:
                process.terminate()
                process.wait(60)
    return _read(bench.site, turn, folder)


def _read(site: Site, turn: Turn, folder: Path) -> Played:
    shape = (len(site.cameras), len(site.names), turn.rows.shape[1])
    agreement, origins, delay_s = np.zeros(shape), np.full(shape, "held", dtype="<U10"), []
    for at, camera in enumerate(site.cameras):
        with Results(folder / f"{camera.name}.sqlite") as results:
            for place, name in enumerate(site.names):
                values, how = results.served(name), results.origins(name)
                for tick, sequence in enumerate(results.sequences[: shape[2]]):
                    exact = camera.outputs[name][int(turn.rows[at, sequence])]
                    agreement[at, place, sequence] = camera.specs[name].output.agreement(values[tick], exact)
                    origins[at, place, sequence] = how[tick]
        delay_s += _delays(folder / f"{camera.name}.sqlite")
    return Played(agreement, origins, np.asarray(delay_s))


def _delays(path: Path) -> list[float]:
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT received_s - decided_s FROM inputs WHERE received_s IS NOT NULL").fetchall()
    database.close()
    return [float(row[0]) for row in rows]


def _replay(bench: Bench, turn: Turn, *, exact_only: bool) -> Measured:
    """The recording served with the same budgets."""
    site = bench.site
    if exact_only:
        site = linkless(site)
    memory = {name: cost.memory_bytes for name, cost in site.costs.items()}
    given = bench.options
    budget = None if given.budget == "none" else parse_budget(given.budget, memory)
    share = parse_compute(given.compute) * STEP_S / site.full_s
    return Measured((ours(site, turn, share, budget_bytes=budget),))


def _endless(turn: Turn) -> Turn:
    begins = np.zeros_like(turn.begins)
    begins[:, 0] = True
    return Turn(turn.rows, begins)


def _video(bench: Bench, at: int, turn: Turn) -> Path:
    """A camera's served part as a video without loss, at one picture a step."""
    camera = bench.site.cameras[at]
    out = bench.place.folder / "played" / f"{camera.name}_{turn.rows.shape[1]}.mkv"
    if out.exists():
        return out
    out.parent.mkdir(exist_ok=True)
    with Trace(bench.recordings[at]) as trace:
        start = int(SERVED_FROM * len(trace))
        frames = _originals(trace, start) or [decode_jpeg(each) for each in list(trace.payloads())[start:]]
    height, width = frames[0].shape[:2]
    part = out.with_name(f"part_{out.name}")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("ffv1", rate=round(1 / STEP_S))
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for row in turn.rows[at].tolist():
            picture = av.VideoFrame.from_ndarray(frames[row], format="bgr24").reformat(format="bgr0")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    part.rename(out)
    return out


def _originals(trace: Trace, start: int) -> list[Array]:
    """The pictures as they were before they were recorded; none: what was recorded is not there."""
    if not Path(trace.info.source).is_file():
        return []
    wanted = set(trace.sequences[start:].tolist())
    with open_source(trace.info.source, start_s=trace.info.start_s) as source:
        found = [frame.value for frame in source if frame.sequence in wanted]
    return found if len(found) == len(wanted) else []


def _command(*arguments: object) -> list[str]:
    name, config = arguments
    return [sys.executable, "-m", "infilink.cli", str(name), "--config", str(config)]


def _toml(path: Path, values: Mapping[str, Any]) -> Path:
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path
