"""An agent on one core over 640x360 H.264: inputs a second beside the floor, latency, three streams beside one.

The floor is one loop in one process on that core: PyAV decodes, OpenCV shrinks, the filter's own network runs, nothing
else. The agent has the same filter, its decoder's process included, and writes results; what it keeps is answered by a
coordinator on the other cores. At 30 frames a second the time from an input's turn to its decision is read from the
results file. Streams are compared by the seconds of processors that they cost.

python tests/bench/device/bench_agent.py
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[3]))

from agents import agent, cpu_s, find_data, settle, site, summaries
from infilink.models.spec import digest, find_models

from tests.filters.made import write_frames

_MODELS = ("light_person_detector",)
_LIVE_S = 30.0

FLOOR = """
import json, os, sys, time
os.sched_setaffinity(0, {int(sys.argv[3])})
import av, cv2, numpy as np, onnxruntime as ort
cv2.setNumThreads(1)
options = ort.SessionOptions(); options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
def empty(shape):
    return np.zeros([1 if isinstance(n, str) else n for n in shape], np.float32)
feeds = {each.name: empty(each.shape) for each in session.get_inputs()}
side = feeds["channels"].shape[2]
count, began = 0, None
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    for frame in container.decode(stream):
        began = began or time.perf_counter()
        picture = cv2.resize(frame.to_ndarray(format="bgr24"), (side, side), interpolation=cv2.INTER_AREA)
        feeds["channels"][0] = picture.transpose(2, 0, 1)
        session.run(None, feeds)
        count += 1
print(json.dumps((count - 1) / (time.perf_counter() - began)))
"""


def _floor(clip: Path, gate: Path, core: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", FLOOR, str(clip), str(gate), str(core)], check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout))


def _as_fast_as_can_be(folder: Path, address: str, clip: Path, gate: Path) -> float:
    """Inputs a second of one stream, from its first input to its last answer."""
    settings: dict[str, Any] = {"source": str(clip), "gate": str(gate), "results": str(folder / "fast.sqlite")}
    with agent(folder, address, {"one": settings}, cores=1, pace="max", queue="latest", audit=0.0) as process:
        return float(summaries(process)["one"]["fps"])


def _late_ms(results: Path) -> np.ndarray[Any, Any]:
    """From each input's turn to its decision; the least is what the two clocks differ by."""
    with closing(sqlite3.connect(results)) as database:
        rows = database.execute("SELECT captured_s, decided_s, decide_s FROM inputs ORDER BY sequence").fetchall()
    captured_s, decided_s, decide_s = np.asarray(rows, float).T
    behind_s = decided_s - captured_s
    return (behind_s - behind_s.min() + decide_s.min()) * 1000.0


def _spent(folder: Path, address: str, clip: Path, gate: Path, count: int) -> tuple[float, float]:
    """Processors that so many live-paced streams take, and the 99th percentile from capture to decision in ms."""
    streams: dict[str, dict[str, Any]] = {
        f"s{number}": {"source": str(clip), "gate": str(gate), "results": str(folder / f"{count}{number}.sqlite")}
        for number in range(count)
    }
    with agent(folder, address, streams, cores=1, pace="source", queue="latest", loop=True, audit=0.0) as process:
        settle(10.0)
        before, began = cpu_s(process.pid), time.perf_counter()
        settle(_LIVE_S)
        spent = (cpu_s(process.pid) - before) / (time.perf_counter() - began)
    late_ms = np.concatenate([_late_ms(folder / f"{count}{number}.sqlite")[150:] for number in range(count)])
    return spent, float(np.percentile(late_ms, 99))


def main() -> None:
    """Measures."""
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    clip = data / "video" / "table_bottles.mp4"
    core = min(os.sched_getaffinity(0))
    with site(data, _MODELS) as (folder, address):
        # The thinnest network, so that what is measured is not the network.
        models = {name: digest(path) for name, path in find_models(folder / "models").items()}
        # Nothing but the first input is kept: the floor sends nothing either.
        gate = write_frames(folder / "filter.onnx", rule="count(person) == 0", models=models, threshold=2.0)
        floor, ours = [], []
        for _ in range(3):
            floor.append(_floor(clip, gate, core))
            ours.append(_as_fast_as_can_be(folder, address, clip, gate))
        print(f"one core, {clip.name}: floor {np.median(floor):.0f} inputs/s, agent {np.median(ours):.0f}", end="")
        print(f": {np.median(ours) / np.median(floor):.2f} of it", flush=True)
        one, late_ms = _spent(folder, address, clip, gate, 1)
        print(f"one stream at 30/s: {one:.3f} processors; capture to decision {late_ms:.1f} ms (99 %)", flush=True)
        three, late_ms = _spent(folder, address, clip, gate, 3)
        more = (three - one) / one
        print(f"three: {three:.3f} processors: two more cost {more:.2f} times one; {late_ms:.1f} ms (99 %)")


if __name__ == "__main__":
    main()
