"""Models on the device against all of them in the cloud, over both real daemons on a real clip.

Needs the data folder that tests/real uses. Links are learnt from the first half of the clip; of the second every other
frame is sent. What runs on the device is placed: it has memory for a share of what all models take, the cloud for links
alone. Agreement is with the run in which all models run in the cloud, so what a JPEG changes counts against the device.

python tests/bench/bench_local.py [CLIP ...]
"""

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from infilink.device.record import record
from infilink.device.results_read import Results
from infilink.links.graph import LinkGraph
from infilink.links.placement.cli import plan_devices
from infilink.links.training.train import train_links
from infilink.models.placement import PlacementFile
from infilink.models.spec import find_models
from infilink.traces.trace import Trace
from infilink.units import format_bytes
from real.data import find_data, link_models

CLIPS = {"lobby_person": 139.4, "campus_pedestrians": 79.5}
MODELS = ("yolox_nano_416x416", "nanodet_m_416", "light_person_detector", "mobilenet_v2_quant")
SHARE = "45%"
DEVICES = """
[cloud]
memory = "2MiB"
cores = 1.0

[[device]]
name = "camera"
inputs_per_s = 1.0
input_size = "40KB"
memory = "{share}"
cores = 1.0
"""


def write_toml(path: Path, values: dict[str, Any]) -> Path:
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


@contextmanager
def coordinator(folder: Path, name: str, **settings: Any) -> Iterator[str]:
    """A coordinator that is ready; its final status lies beside its configuration when it has stopped."""
    values = {"listen": "127.0.0.1:0", "models": "models", "ledger": f"{name}.ledger", **settings}
    config = write_toml(folder / f"{name}.cloud.toml", values)
    command = [sys.executable, "-m", "infilink.cli", "cloud", "--config", str(config)]
    process = subprocess.Popen(
        [*command, "--status-file", str(folder / f"{name}.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().removeprefix("ready on ").strip()
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def stream(folder: Path, name: str, clip: Path, start_s: float, cloud: dict[str, Any], **device: Any) -> dict[str, Any]:
    """Streams the second half of a clip; returns the agent's summary and the coordinator's status."""
    with coordinator(folder, name, **cloud) as address:
        values = {
            "name": "camera",
            "source": str(clip.resolve()),
            "start_s": start_s,
            "coordinator": address,
            "gate": "every:2",
            "pace": "max",
            "queue": "all",
            "results": f"{name}.sqlite",
            **device,
        }
        config = write_toml(folder / f"{name}.device.toml", values)
        command = [sys.executable, "-m", "infilink.cli", "device", "--config", str(config), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
    return {"agent": json.loads(done.stdout), "status": json.loads((folder / f"{name}.json").read_text())}


def agreement(folder: Path, name: str, graph: LinkGraph, model: str) -> float:
    """With the run in the cloud, over the inputs that were kept; of the best constant, if there is no such run."""
    output = graph.models[model].output
    with Results(folder / "cloud.sqlite") as exact:
        wanted = exact.served(model)
        if name == "constants":
            found = [graph.constants[model]] * len(wanted)
        else:
            with Results(folder / f"{name}.sqlite") as results:
                found = results.served(model)
        pairs = zip(found, wanted, exact.kept, strict=True)
        return float(np.mean([output.agreement(a, b) for a, b, kept in pairs if kept]))


def show(folder: Path, title: str, name: str, graph: LinkGraph, ran: dict[str, Any] | None) -> None:
    agreements = [agreement(folder, name, graph, model) for model in graph.models]
    cells = [title, *["-"] * 5]
    if ran is not None:
        agent, status = ran["agent"], ran["status"]
        executions = sum(int(model["executions"]) for model in status["models"])
        cells[1:3] = [format_bytes(agent["sent_bytes"]), f"{agent['fps']:.0f}"]
        cells[3:5] = [str(executions), format_bytes(int(status["peak_bytes"]))]
        cells[5] = format_bytes(agent["local"]["peak_bytes"])
    cells += [f"{np.mean(agreements):.3f}", ", ".join(f"{each:.3f}" for each in agreements)]
    print("| " + " | ".join(cells) + " |", flush=True)


def bench(clip: Path, seconds: float, folder: Path, models: Path) -> None:
    recorded = record(str(clip), find_models(models), folder / "in.trace", seconds=seconds / 2, every=2).path
    with Trace(recorded) as trace:
        train_links(trace, out=folder / "links")
    graph = LinkGraph.load(folder / "links")
    (folder / "devices.toml").write_text(DEVICES.format(share=SHARE))
    placement = folder / "placement.json"
    with redirect_stdout(io.StringIO()):
        plan_devices(graph, folder / "devices.toml", weights={}, explain=False, as_json=True, out=placement)
    here = PlacementFile.load(placement).device("camera").running("device")
    columns = "run | sent | frames/s | run in the cloud | memory there | memory on the device | agreement"
    print(f"\n### {clip.stem}: on the device {', '.join(here)}\n\n| {columns} | {', '.join(graph.models)} |")
    print("|---|---|---|---|---|---|---|---|")
    start_s = seconds / 2
    local = {"local": str(models), "local_models": list(here)}
    show(folder, "all in the cloud", "cloud", graph, stream(folder, "cloud", clip, start_s, {}))
    ran = stream(folder, "frames", clip, start_s, {}, **local)
    show(folder, "these on the device, frames travel", "frames", graph, ran)
    placed = {"placement": "placement.json", "links": "links"}
    ran = stream(folder, "outputs", clip, start_s, placed, local=str(models), placement="placement.json")
    show(folder, "as placed: outputs travel, the rest linked", "outputs", graph, ran)
    show(folder, "best constants", "constants", graph, None)


def main(clips: list[str]) -> None:
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    for clip in clips:
        with tempfile.TemporaryDirectory() as folder:
            models = link_models(data, Path(folder) / "models", MODELS)
            bench(next((data / "video").glob(f"{clip}.*")), CLIPS[clip], Path(folder), models)


if __name__ == "__main__":
    main(sys.argv[1:] or list(CLIPS))
