"""What travels of a frame, and the agreement that is left: frames, features, features and the frames asked for, H.264.

Links are learnt on the learnt part of a clip, the rest is served by the objects that serve a stream (`Serving`,
`FeatureRange`, the rule that asks) in this process: a model that "runs" on a frame says what it said in the recording.
Every model runs on a frame that travels; between frames, where no features travel, its output is held. Bytes are those
of the messages, at quality 90 as a device has it. Beside that, what the models really say of all inputs as smaller
JPEGs, and as H.264 (veryfast, a group of pictures every two seconds; the whole file's bytes).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from infilink.cloud.sessions.admission import feature_range
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.device.sources.open import open_source
from infilink.examples.videofile import VideoFileWriter
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.scheduling.expected import expected_losses
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.serving import Serving
from infilink.links.training.train import train_links
from infilink.models.cost import ModelCost
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import find_models
from infilink.outputs import Array
from infilink.protos import edge_pb2
from infilink.protos.features import FeatureRange
from infilink.traces.trace import Trace
from judging import agreement, mean, shown
from recordings import Place, turned
from stems import seen, site_stem

EVERY = (1, 2, 4, 8, 16, 32, 64)
LOSSES = (16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.0)
BYTES = (600, 1000, 2000, 4000, 8000, 16000)
"""An input, on the average: where the ways are compared."""
ANSWERED = "features"
ASKED = "features, and the frame where asked for"
BLIND = "features, and every k-th frame"
FRAMES = "every k-th frame"
SMALLER = "every frame, as a JPEG of this quality"
STREAM = "every frame, as H.264 with this crf"
QUALITIES = (90, 60, 30, 10)
CRFS = (23, 31, 39)
_LOOKS_EVERY = 4


@dataclass
class Sent:
    """One stream's inputs, as they may travel.

    Attributes:
        judged: the recording.
        outputs: what each model said of each input.
        features: of each input, (inputs, length), as they arrive.
        features_bytes: of each input's message with features.
        frames_bytes: of each input's message with its frame.
    """

    judged: Trace
    outputs: dict[str, list[Array]]
    features: Array
    features_bytes: Array
    frames_bytes: Array
    graph: LinkGraph
    plan: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.plan = Plan(None, 0, tuple(self.outputs))

    def stream(self, asks: Callable[[int, Serving], bool]) -> tuple[float, float, float]:
        """Bytes an input, agreement, and the share of inputs whose frame travelled, if features always do."""
        serving = Serving(self.graph, self.plan)
        agreed, sizes, frames = [], 0, 0
        for i, at_s in enumerate(self.judged.captured_s.tolist()):
            sizes += int(self.features_bytes[i])
            exact: dict[str, Array] = {}
            if asks(i, serving):
                exact = {name: said[i] for name, said in self.outputs.items()}
                sizes += int(self.frames_bytes[i])
                frames += 1
            answers = serving.complete(at_s, exact, features=self.features[i], biased=exact)
            agreed.append(self._agreement(i, {name: answer.value for name, answer in answers.items()}))
        n = len(self.judged)
        return sizes / n, float(np.mean(agreed)), frames / n

    def doubtful(self, most: float) -> Callable[[int, Serving], bool]:
        """The coordinator's rule."""
        costs = dict.fromkeys(self.outputs, ModelCost(memory_bytes=0, infer_s=0.01, load_s=0.1))
        schedule = SiteSchedule(costs, compute_cores=math.inf)
        schedule.join("stream", fresh=expected_losses(self.graph))

        def asks(i: int, serving: Serving) -> bool:
            at_s = float(self.judged.captured_s[i])
            answers = serving.preview(at_s, {}, features=self.features[i])
            losses = {name: 1.0 - answer.confidence for name, answer in answers.items()}
            choice = schedule.choose("stream", at_s, losses, loaded=self.outputs, frame_loss=most)
            for name in self.outputs if choice.run else ():
                schedule.ran("stream", name, at_s, costs[name].infer_s)
            return bool(choice.run)

        return asks

    def held(self, every: int) -> tuple[float, float, float]:
        """The same if every so many frames travel alone."""
        last = [i - i % every for i in range(len(self.judged))]
        agreed = [
            self._agreement(i, {name: said[j] for name, said in self.outputs.items()}) for i, j in enumerate(last)
        ]
        sent = sorted(set(last))
        n = len(self.judged)
        return float(self.frames_bytes[sent].sum()) / n, float(np.mean(agreed)), len(sent) / n

    def _agreement(self, i: int, values: dict[str, Array]) -> float:
        models = self.judged.models
        return float(
            np.mean([agreement(models[name].output, values[name], said[i]) for name, said in self.outputs.items()])
        )


def measure(place: Place) -> Iterator[dict[str, Any]]:
    """One row per clip and way."""
    for clip in place.clips:
        learnt, judged = turned(place.recording(clip), place.folder, 0)
        stem = site_stem(place, 0)
        out = place.folder / f"links_{clip.stem}"
        if not out.exists():
            train_links(learnt, out=out, stem=stem)
        sent = _sent(judged, LinkGraph.load(out), seen(stem, judged, place.folder))
        if sent is None:
            continue
        about = {"clip": clip.stem, "inputs": len(judged)}
        for row in _all_frames(judged, find_models(place.models), place.folder):
            yield about | row
        for every in EVERY:
            yield about | _row(FRAMES, every, sent.held(every))
            yield about | _row(BLIND, every, sent.stream(lambda i, _, every=every: i % every == 0))
        yield about | _row(ANSWERED, 0, sent.stream(lambda *_: False))
        for most in LOSSES:
            yield about | _row(ASKED, most, sent.stream(sent.doubtful(most)))


def _all_frames(judged: Trace, paths: Mapping[str, Path], folder: Path) -> Iterator[dict[str, Any]]:
    """What the models say of all inputs, as smaller JPEGs and out of an H.264 stream."""
    looks = _Looks(judged, {name: OnnxModel(paths[name]) for name in judged.models})
    for quality in QUALITIES:
        jpegs = [encode_jpeg(frame, quality) for frame in judged.frames()]
        size = float(np.mean([_size(i, 0, payload=each) for i, each in enumerate(jpegs)]))
        yield _row(SMALLER, quality, (size, looks.agreement(map(decode_jpeg, jpegs)), 1.0))
    fps = 1.0 / float(np.median(np.diff(judged.captured_s)))
    for crf in CRFS:
        path = folder / "judged.mp4"
        with VideoFileWriter(path, fps=fps, crf=crf) as video:
            for frame in judged.frames():
                video.write(frame)
        with open_source(str(path)) as read:
            agreed = looks.agreement(frame.value for frame in read)
        yield _row(STREAM, crf, (path.stat().st_size / len(judged), agreed, 1.0))


@dataclass(frozen=True)
class _Looks:
    """Models that look at the inputs of a recording in another form: at one of so many, as they take long."""

    judged: Trace
    models: Mapping[str, OnnxModel]

    def agreement(self, pictures: Iterable[Array]) -> float:
        """With what they said of the inputs themselves."""
        agreed = []
        outputs = {name: self.judged.outputs(name) for name in self.models}
        for i, picture in enumerate(pictures):
            if i % _LOOKS_EVERY == 0:
                for name, model in self.models.items():
                    spec = self.judged.models[name].output
                    agreed.append(agreement(spec, model.infer(picture), outputs[name][i]))
        return float(np.mean(agreed))


def _sent(judged: Trace, graph: LinkGraph, features: Array) -> Sent | None:
    """What may travel of a recording; None: its links read no stem."""
    stem = "" if graph.stem is None else graph.stem.digest
    span = feature_range(edge_pb2.Hello(stem=stem), graph)
    if span is None:
        return None
    written = [span.write(row) for row in features]
    jpegs = [encode_jpeg(frame, 90) for frame in judged.frames()]
    at_ns = [round(at_s * 1e9) for at_s in judged.captured_s.tolist()]
    return Sent(
        judged,
        {name: judged.outputs(name) for name in judged.models},
        _arrived(span, written),
        np.asarray([_size(i, at_ns[i], features=each, frame_kept=True) for i, each in enumerate(written)]),
        np.asarray([_size(i, at_ns[i], payload=each) for i, each in enumerate(jpegs)]),
        graph,
    )


def _arrived(span: FeatureRange, written: Sequence[edge_pb2.Features]) -> Array:
    return np.stack([span.read(each) for each in written])


def _size(sequence: int, captured_ns: int, **fields: Any) -> int:
    values = {"encoding": edge_pb2.ENCODING_JPEG, "policy": edge_pb2.POLICY_LATEST, **fields}
    return edge_pb2.DeviceMessage(input=edge_pb2.Input(sequence=sequence, captured_ns=captured_ns, **values)).ByteSize()


def _row(way: str, setting: float, found: tuple[float, float, float]) -> dict[str, Any]:
    return {"way": way, "setting": setting, "bytes": found[0], "agreement": found[1], "frames": found[2]}


def at_bytes(rows: Sequence[dict[str, Any]], size_bytes: float) -> float | None:
    """A way's agreement for so many bytes an input, between its settings; None: it needs more than that."""
    points = sorted((row["bytes"], row["agreement"]) for row in rows)
    if not points or size_bytes < points[0][0]:
        return None
    # More bytes need not be spent.
    best = np.maximum.accumulate([agreed for _, agreed in points])
    return float(np.interp(np.log(size_bytes), np.log([size for size, _ in points]), best))


def tables(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the rows say, as Markdown."""
    clips = list(dict.fromkeys(row["clip"] for row in rows))
    yield "\nAgreement by bytes an input (mean over models; between settings, on a logarithmic scale of bytes):\n"
    yield "| clip | way | " + " | ".join(f"{size:,}" for size in BYTES) + " |"
    yield "|" + "---|" * (len(BYTES) + 2)
    for clip in (*clips, "mean"):
        for way in (FRAMES, BLIND, ASKED, SMALLER, STREAM):
            cells = []
            for size in BYTES:
                found = [
                    at_bytes([row for row in rows if row["clip"] == each and row["way"] in _CURVES[way]], size)
                    for each in (clips if clip == "mean" else [clip])
                ]
                known = [each for each in found if each is not None]
                cells.append(shown(mean(known)) if len(known) == len(found) else "")
            yield f"| {clip} | {way} | " + " | ".join(cells) + " |"
    yield "\nBy setting, mean over clips:\n"
    yield "| way | setting | bytes an input | frames | agreement |\n|---|---|---|---|---|"
    for way, setting in dict.fromkeys((row["way"], row["setting"]) for row in rows):
        of = [row for row in rows if (row["way"], row["setting"]) == (way, setting)]
        size, frames, agreed = (mean([row[key] for row in of]) for key in ("bytes", "frames", "agreement"))
        yield f"| {way} | {setting:g} | {size:,.0f} | {frames:.1%} | {shown(agreed)} |"


_CURVES = {
    FRAMES: (FRAMES,),
    BLIND: (BLIND, ANSWERED),
    ASKED: (ASKED, ANSWERED),
    SMALLER: (SMALLER,),
    STREAM: (STREAM,),
}
