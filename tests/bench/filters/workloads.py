"""The workloads of the filters' benchmarks: real clips with real models, texts, sounds and motions with their labels.

A workload is a part to learn from and a later one to judge on, disjoint in time where there is time. Needs the data
folder of tests/real. Where no model comes with the data, its labels stand for one, and the table says so.
"""

import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from infilink.codec import pack
from infilink.device.sources.open import open_source
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import Array, OutputSpec
from infilink.traces.feature_maps import write_features
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

sys.path.insert(0, str(Path(__file__).parents[2]))

from real.data import find_data, link_models

Labelled = list[tuple[Array, str]]
WALKS = ("climb_stairs", "descend_stairs", "walk")
TABLE = "drink_glass, eat_meat, eat_soup, pour_water"
COUNTED = "count(car, bus, truck)"
VEHICLES = f"{COUNTED} == 0"
MODELS = ("yolox_nano_416x416", "mobilenet_v2_quant", "light_person_detector")
MODEL = "yolox_nano"
LEARNT = 0.6
_MIXED_SIDE = 224
# Of the detector: its last tensor that everything flows through, 64 x 52 x 52.
CUT = "781"


@dataclass(frozen=True)
class Workload:
    """One row of the tables.

    Attributes:
        name: of it.
        kind: text, image, video, audio, signal or map.
        modality: what the filter is told; "" for a stream of pictures.
        model: whose outputs count.
        rule: what is redundant.
        learnt: what is learnt from.
        judged: what is judged on.
    """

    name: str
    kind: str
    modality: str
    model: str
    rule: str
    learnt: Trace
    judged: Trace


def texts(path: Path, *, label_first: bool) -> Labelled:
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line]
    pairs = [(row[1], row[0]) if label_first else (row[0], row[1]) for row in rows]
    return [(np.frombuffer(text.encode(), np.uint8), label) for text, label in pairs]


def digits(folder: Path) -> Labelled:
    found = []
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            found.append((np.frombuffer(file.readframes(file.getnframes()), "<i2"), path.name.split("_")[0]))
    return found


def motions(folder: Path) -> tuple[Labelled, Labelled]:
    """Windows of 4 s, half overlapping: each activity's earlier recordings to learn from, its later to judge on."""
    learn: Labelled = []
    judge: Labelled = []
    for activity in sorted(path for path in folder.iterdir() if path.is_dir()):
        recordings = sorted(activity.glob("*.txt"))
        for index, path in enumerate(recordings):
            steps = np.loadtxt(path, dtype=np.float32, ndmin=2)
            windows = [steps[i : i + 128] for i in range(0, max(1, len(steps) - 127), 64)]
            part = learn if index < LEARNT * len(recordings) else judge
            part.extend((window, activity.name.lower()) for window in windows if len(window) >= 32)
    return learn, judge


def workloads(folder: Path, *, only: str = "") -> Iterator[Workload]:
    """All of them, each with its traces in `folder`, recorded or written once."""
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    makers: dict[str, Callable[[], tuple[str, str, str, str, Trace, Trace]]] = {
        "lobby, no person": lambda: _clip(data, folder, "lobby_person", "count(person) == 0"),
        "shop, no person": lambda: _clip(data, folder, "shop_produce", "count(person) == 0", fps=25.0),
        "highway, 4 or fewer": lambda: _clip(data, folder, "highway_dense", f"{COUNTED} <= 4", fps=15.0),
        "five cameras, no person": lambda: _mixed(data, folder, "count(person) == 0"),
        "five cameras, no vehicle": lambda: _mixed(data, folder, VEHICLES),
        "digits, 5 to 9": lambda: _digits(data, folder, "label in (5, 6, 7, 8, 9)"),
        "digits, not 0": lambda: _digits(data, folder, "label not in (0)"),
        "SMS, not spam": lambda: _sms(data, folder),
        "sentiment, negative": lambda: _sentiment(data, folder),
        "motion, not walking": lambda: _motion(data, folder, f"label not in ({', '.join(WALKS)})"),
        "motion, not at table": lambda: _motion(data, folder, f"label not in ({TABLE})"),
        "lobby, no person, at a cut": lambda: _map(data, folder, "lobby_person", "count(person) == 0"),
        "shop, no person, at a cut": lambda: _map(data, folder, "shop_produce", "count(person) == 0"),
    }
    for name, make in makers.items():
        if only in name:
            kind, modality, model, rule, learnt, judged = make()
            yield Workload(name, kind, modality, model, rule, learnt, judged)


def recorded(data: Path, folder: Path, clip: str, *, fps: float = 10.0) -> Path:
    """A clip as a trace of the real models, thinned to about so many frames per second."""
    path = folder / f"{clip}_{fps:g}.trace"
    if not path.exists():
        models = link_models(data, folder / "models", MODELS)
        source = next((data / "video").glob(f"{clip}.*"))
        with open_source(str(source)) as opened:
            every = max(1, round(opened.inputs_per_s / fps))
        command = [sys.executable, "-m", "infilink.cli", "record", "--source", str(source), "--models", str(models)]
        subprocess.run([*command, "--every", str(every), "--out", str(path)], check=True, capture_output=True)
    return path


def _cut(path: Path) -> tuple[Trace, Trace]:
    whole = Trace(path)
    middle = round(LEARNT * len(whole))
    return whole.part(0, middle), whole.part(middle, len(whole))


def _clip(
    data: Path, folder: Path, clip: str, rule: str, *, fps: float = 10.0
) -> tuple[str, str, str, str, Trace, Trace]:
    return "video", "", MODEL, rule, *_cut(recorded(data, folder, clip, fps=fps))


def _mixed(data: Path, folder: Path, rule: str) -> tuple[str, str, str, str, Trace, Trace]:
    """Frames of five cameras in turn, each by itself: their first parts to learn from, their later ones to judge on."""
    path = folder / "mixed"
    clips = ("lobby_person", "shop_produce", "parking_cars", "traffic_road", "highway_dense")
    if not path.with_suffix(".judged").exists():
        parts = [_cut(recorded(data, folder, clip)) for clip in clips]
        for index, suffix in enumerate((".learnt", ".judged")):
            traces = [part[index] for part in parts]
            info = traces[0].info
            outputs = [trace.outputs(MODEL) for trace in traces]
            spec = {MODEL: info.models[MODEL]}
            cost = {MODEL: info.costs[MODEL]}
            made = TraceInfo("five cameras", 1.0, spec, {MODEL: info.digests[MODEL]}, cost, input="array")
            each = [rows_of(trace) for trace in traces]
            with TraceWriter(path.with_suffix(suffix), made) as writer:
                at = 0
                for i in range(max(map(len, traces))):
                    for rows, said in zip(each, outputs, strict=True):
                        if i < len(said):
                            writer.append(at, float(at), pack(next(rows)), {MODEL: said[i]})
                            at += 1
    learnt, judged = Trace(path.with_suffix(".learnt")), Trace(path.with_suffix(".judged"))
    return "image", "image", MODEL, rule, learnt, judged


def rows_of(trace: Trace) -> Iterator[Array]:
    """A trace's frames at a size that all cameras share."""
    for frame in trace.frames():
        yield np.asarray(cv2.resize(frame, (_MIXED_SIDE, _MIXED_SIDE), interpolation=cv2.INTER_AREA))


def _labelled(folder: Path, name: str, learn: Labelled, judge: Labelled) -> tuple[Trace, Trace]:
    classes = tuple(sorted({label for _, label in learn + judge}))
    found = []
    for suffix, rows in (("learnt", learn), ("judged", judge)):
        path = folder / f"{name}.{suffix}"
        found.append(Trace(path) if path.exists() else write(path, rows, classes))
    return found[0], found[1]


def _digits(data: Path, folder: Path, rule: str) -> tuple[str, str, str, str, Trace, Trace]:
    rows = shuffled(digits(data / "audio" / "spoken_digits"), 0)
    return "audio", "audio", "h", rule, *_labelled(folder, "digits", rows[:1500], rows[1500:])


def _sms(data: Path, folder: Path) -> tuple[str, str, str, str, Trace, Trace]:
    rows = texts(data / "text" / "sms_spam.tsv", label_first=True)
    return "text", "text", "h", "label in (ham)", *_labelled(folder, "sms", rows[:2600], rows[2600:])


def _sentiment(data: Path, folder: Path) -> tuple[str, str, str, str, Trace, Trace]:
    train = texts(data / "text" / "sst2_train.tsv", label_first=False)
    dev = texts(data / "text" / "sst2_dev.tsv", label_first=False)
    return "text", "text", "h", "label in (0)", *_labelled(folder, "sst2", shuffled(train, 0)[:6000], dev)


def _motion(data: Path, folder: Path, rule: str) -> tuple[str, str, str, str, Trace, Trace]:
    learn, judge = motions(data / "sensor" / "wrist_motion")
    return "signal", "signal", "h", rule, *_labelled(folder, "motion", shuffled(learn, 0), shuffled(judge, 0))


def write(path: Path, rows: Labelled, classes: tuple[str, ...]) -> Trace:
    """A trace whose model is the label."""
    spec = ModelSpec(name="h", output=OutputSpec(kind="label", classes=classes))
    info = TraceInfo("bench", 1.0, {"h": spec}, {"h": "labels"}, {"h": ModelCost(1 << 20, 0.02, 0.1)}, input="array")
    with TraceWriter(path, info) as writer:
        for index, (value, label) in enumerate(rows):
            output = np.asarray([float(name == label) for name in classes], np.float32)
            writer.append(index, float(index), pack(value), {"h": output})
    return Trace(path)


def shuffled(rows: Labelled, seed: int) -> Labelled:
    """The rows in an order of their own: where there is no time."""
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]


def _map(data: Path, folder: Path, clip: str, rule: str) -> tuple[str, str, str, str, Trace, Trace]:
    """The detector's own features at a cut, from the frames of a clip; its answers stay what they were."""
    path = folder / f"{clip}.map"
    if not path.exists():
        with Trace(recorded(data, folder, clip)) as trace:
            write_features(folder / "models" / f"{MODELS[0]}.onnx", CUT, trace, path)
    return "map", "map", MODEL, rule, *_cut(path)
