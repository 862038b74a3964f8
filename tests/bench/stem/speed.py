"""What a stem and its heads cost: milliseconds on one core, bytes, and seconds to learn."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import cv2
import numpy as np
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.heads.head import Head
from infilink.models.session import open_session
from infilink.models.stem.stem import PICTURE, Stem
from infilink.outputs import Array
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
    trace, _ = turned(place.recording(clip), place.folder, 0)
    path = site_stem(place, 0)
    stem = Stem(path)
    features = seen(path, trace, place.folder)
    fitted = np.arange(LEARNT) * len(trace) // LEARNT
    names = {f"{name} {i}": name for i, name in zip(range(HEADS), cycle(trace.models), strict=False)}
    said = {name: trace.outputs(name) for name in trace.models}
    outputs = {again: [said[name][i] for i in fitted] for again, name in names.items()}
    types = {again: trace.models[name].output for again, name in names.items()}
    began_s = time.process_time()
    heads = list(Head.fit_all(features[fitted], outputs, types).values())
    learning_s = time.process_time() - began_s
    yield {"what": f"learning {HEADS} heads of {LEARNT} inputs, s of processor time", "value": learning_s}

    frame = np.asarray(cv2.resize(next(iter(trace.frames())), FRAME))
    session, picture = open_session(path), stem.picture(frame)[None]
    out = place.folder / "speed.filter.onnx"
    train_filter(
        trace,
        models=("yolox_nano",),
        rule=parse_rule("count(person) == 0"),
        accuracy=0.9,
        out=out,
        candidates=("image",),
        uncertified=True,
        resume=False,
    )
    gate = open_gate(out)

    first = [said[0] for said in outputs.values()]

    def answers() -> None:
        made = stem.see(frame).features[None]
        for head in heads:
            head.predict(made)

    def update() -> None:
        heads[0].update(features[0], first[0])

    def update_all() -> None:
        for head, said in zip(heads, first, strict=True):
            head.update(features[0], said)

    timed: dict[str, Callable[[], object]] = {
        "stem alone, bare onnxruntime": lambda: session.run(None, {PICTURE: picture}),
        "resizing alone": lambda: stem.picture(frame),
        "stem, resizing included": lambda: stem.see(frame),
        f"stem and {HEADS} heads, resizing included": answers,
        "filter `image`": lambda: gate.decide(frame, 0.0),
        "one update of one head": update,
        f"one update of {HEADS} heads": update_all,
    }
    for name, times_ms in times_of(timed).items():
        p50, p99 = (float(np.quantile(times_ms, share)) for share in (0.5, 0.99))
        yield {"what": f"{name}, ms", "value": p50, "p99": p99}
    yield {"what": "stem's file, KB", "value": path.stat().st_size / 1000}
    yield {"what": "features an input", "value": float(stem.spec.length)}
    yield {"what": "not imported by a device, of torch, onnx, sklearn, scipy", "value": 4.0 - len(imported_by_device())}


def times_of(timed: dict[str, Callable[[], object]]) -> dict[str, Array]:
    """Milliseconds of each, turn by turn, so that whatever else the machine does meets all alike."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    found: dict[str, list[float]] = {name: [] for name in timed}
    try:
        for i in range(_WARM + ROUNDS):
            for name, run in timed.items():
                began = time.perf_counter_ns()
                run()
                if i >= _WARM:
                    found[name].append((time.perf_counter_ns() - began) / 1e6)
    finally:
        os.sched_setaffinity(0, everywhere)
    return {name: np.asarray(times) for name, times in found.items()}


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
    yield "| what | p50 | p99 |"
    yield "|---|---|---|"
    for row in rows:
        rare = f"{row['p99']:.3g}" if "p99" in row else ""
        yield f"| {row['what']} | {row['value']:.3g} | {rare} |"
