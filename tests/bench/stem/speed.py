"""What a stem and its heads cost: milliseconds on one core, bytes, and seconds to learn."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from infilink.filters.gates.base import ModelOutput
from infilink.filters.local.train import train_heads
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.heads.head import Head
from infilink.models.session import open_session
from infilink.models.stem.stem import PICTURE, Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace, TraceWriter
from recordings import Place, turned
from stems import seen, site_stem

FRAME = (640, 360)
HEADS = 7
LEARNT = 1000
ROUNDS = 400
_WARM = 20


def measure(place: Place) -> Iterator[dict[str, Any]]:
    """One row per thing that is measured."""
    clip = place.clips[0]
    recorded, _ = turned(place.recording(clip), place.folder, 0)
    path = site_stem(place, 0)
    stem, features = Stem(path), seen(path, recorded, place.folder)
    trace = of_seven(recorded, place.folder / "speed.trace")
    said = {name: trace.outputs(name) for name in trace.models}
    fitted = np.arange(LEARNT) * len(trace) // LEARNT
    types = {name: spec.output for name, spec in trace.models.items()}
    began_s = time.process_time()
    Head.fit_all(features[fitted], {name: [values[i] for i in fitted] for name, values in said.items()}, types)
    learning_s = time.process_time() - began_s
    yield {"what": f"learning {HEADS} heads of {LEARNT} inputs, s of processor time", "value": learning_s}

    heads, image = place.folder / "speed.heads.onnx", place.folder / "speed.filter.onnx"
    train_heads(trace, stem=stem, accuracy=0.8, out=heads, uncertified=True)
    rule = parse_rule("count(person) == 0")
    wanted: dict[str, Any] = {"accuracy": 0.9, "out": image, "uncertified": True, "resume": False}
    train_filter(trace, models=(next(iter(said)),), rule=rule, candidates=("image",), **wanted)
    frame = np.asarray(cv2.resize(next(iter(trace.frames())), FRAME))
    session, picture = open_session(path), stem.picture(frame)[None]
    state = place.folder / "speed.state.npz"
    state.unlink(missing_ok=True)
    gate, learning, small = open_gate(heads), open_gate(heads, update=state), open_gate(image)
    digests = trace.info.digests
    exact = {name: ModelOutput(values[0], digests[name]) for name, values in said.items()}
    decision = learning.decide(frame, 0.0)
    assert decision.learn is not None
    timed: dict[str, Callable[[], object]] = {
        "stem alone, bare onnxruntime": lambda: session.run(None, {PICTURE: picture}),
        "resizing alone": lambda: stem.picture(frame),
        "stem, resizing included": lambda: stem.see(frame),
        f"stem and {HEADS} heads, resizing included, as served": lambda: gate.decide(frame, 0.0),
        "the same while it learns at work": lambda: learning.decide(frame, 0.0),
        "filter `image`": lambda: small.decide(frame, 0.0),
        f"one update of all {HEADS} heads, judged and guarded": partial(decision.learn, exact),
    }
    for name, (times_ms, busy_ms) in times_of(timed).items():
        p50, p99 = (float(np.quantile(times_ms, share)) for share in (0.5, 0.99))
        yield {"what": f"{name}, ms", "value": p50, "p99": p99, "busy": float(np.median(busy_ms))}
    yield {"what": "stem's file, KB", "value": path.stat().st_size / 1000}
    yield {"what": f"file of {HEADS} heads, beside the stem in it, KB", "value": beside_kb(heads, path)}
    yield {"what": "features an input", "value": float(stem.spec.length)}
    found = imported_by_device()
    yield {"what": f"of torch, onnx, sklearn and scipy a device imports ({', '.join(found)})", "value": len(found)}


def of_seven(recorded: Trace, path: Path) -> Trace:
    """The recording with as many models as are measured: its own, and some of them again by another name."""
    if not path.exists():
        names = {f"{name}-{i}" if i >= len(recorded.models) else name: name for i, name in _again(recorded)}
        info = replace(
            recorded.info,
            models={again: recorded.models[name].model_copy(update={"name": again}) for again, name in names.items()},
            digests={again: recorded.info.digests[name] for again, name in names.items()},
            costs={again: recorded.info.costs[name] for again, name in names.items()},
        )
        said = {name: recorded.outputs(name) for name in recorded.models}
        with TraceWriter(path, info) as writer:
            for i, payload in enumerate(recorded.payloads()):
                outputs = {again: said[name][i] for again, name in names.items()}
                writer.append(i, float(recorded.captured_s[i]), payload, outputs)
    return Trace(path)


def _again(recorded: Trace) -> Iterator[tuple[int, str]]:
    return zip(range(HEADS), cycle(recorded.models), strict=False)


def beside_kb(heads: Path, stem: Path) -> float:
    """What a file of heads adds to its stem."""
    return (heads.stat().st_size - stem.stat().st_size) / 1000


def times_of(timed: dict[str, Callable[[], object]]) -> dict[str, Array]:
    """Milliseconds of each, by the clock and of the thread itself: float64 (2, rounds).

    Turn by turn, so that whatever else the machine does meets all alike; the thread's own time counts little of that.
    """
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    try:
        for i in range(_WARM + ROUNDS):
            for name, run in timed.items():
                began, busy = time.perf_counter_ns(), time.thread_time_ns()
                run()
                busy, took = time.thread_time_ns() - busy, time.perf_counter_ns() - began
                if i >= _WARM:
                    found[name].append((took / 1e6, busy / 1e6))
    finally:
        os.sched_setaffinity(0, everywhere)
    return {name: np.asarray(times).T for name, times in found.items()}


def imported_by_device() -> list[str]:
    """Which of the large packages a device's own modules import."""
    code = (
        "import sys, infilink.device.agent, infilink.models.stem.stem, infilink.models.heads.head, "
        "infilink.filters.open_gate; print(*({'torch', 'onnx', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    yield f"\nOne core, a frame of {FRAME[0]}x{FRAME[1]}, {ROUNDS} rounds:\n"
    yield "| what | p50 | p99 | p50 of the thread's own time |"
    yield "|---|---|---|---|"
    for row in rows:
        more = " | ".join(f"{row[key]:.3g}" if key in row else "" for key in ("p99", "busy"))
        yield f"| {row['what']} | {row['value']:.3g} | {more} |"
