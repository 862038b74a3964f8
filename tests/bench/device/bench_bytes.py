"""What goes up, in bytes: kept pictures as the agent sends them, as JPEGs, and the whole stream, at what agreement.

python tests/bench/device/bench_bytes.py [--clips NAME ...] [--inputs 300] [--per-s 5] [--crf 22]

Needs the data folder of tests/real. A clip's inputs are five a second (`--per-s`); a gate keeps a fifth or a tenth of
them: one in so many, those that differ from the last kept one, or what moves most for seconds (as a filter of events
keeps it). What is compared is encoded whole, with x264 (veryfast, crf 23, groups of 2 s): every frame of the source,
and the inputs. The agreement is that of two detectors' outputs on what arrives with theirs on the original, over the
inputs that were kept. What was chosen (crf, aq-mode) was chosen on `CHOSEN_ON`; the others are reported.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.device.sources.base import Input
from infilink.device.uplink.video import VideoEncoder
from infilink.device.uplink.video_settings import VideoSettings
from infilink.filters.open_gate import open_gate
from infilink.models.onnx_model import OnnxModel
from infilink.outputs import Array
from infilink.protos import edge_pb2
from infilink.protos.video import PictureReader

sys.path.insert(0, str(Path(__file__).parents[2]))

from real.data import find_data, link_models

CHOSEN_ON = ("motorway_grey", "shop_produce", "night_billboards", "site/jamcam_1", "parking_cars")
REPORTED = ("campus_pedestrians", "traffic_road", "table_bottles", "shop_aisle", "highway_dense", "mall_floor")
MODELS = ("yolox_nano_416x416", "light_person_detector")
SHARES = (0.2, 0.1)
GATES = ("every", "difference", "events")
EVENT_S = 3.0
# Of a stem, one byte each, and what an Input has beside (docs/WIRE.md).
FEATURES_BYTES = 418


@dataclass(frozen=True)
class Clip:
    """A clip's inputs.

    Attributes:
        images: the inputs.
        fps: of them.
        source_bytes: the whole clip up to the last of them, at the source's rate, as x264 writes it.
        stream: the inputs as they arrive from a stream of all of them; `stream_bytes` is its size.
    """

    images: list[Array]
    fps: float
    source_bytes: int
    stream: list[Array]
    stream_bytes: int


def write_stream(images: Iterable[Array], fps: float, codec: str = "libx264", **options: str) -> list[av.Packet]:
    """A stream of all of them, in groups of two seconds."""
    options = {"preset": "veryfast", "crf": "23", **options}
    packets: list[av.Packet] = []
    context: Any = None
    for index, whole in enumerate(images):
        image = whole[: whole.shape[0] & ~1, : whole.shape[1] & ~1]
        if context is None:
            context = av.CodecContext.create(codec, "w")
            context.height, context.width = image.shape[:2]
            context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 90000)
            context.framerate, context.thread_count = Fraction(round(1000 * fps), 1000), 1
            group = str(max(1, round(2 * fps)))
            context.options = {**options, "g": group, "keyint_min": group}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts, frame.time_base = round(index * 90000 / fps), Fraction(1, 90000)
        packets += context.encode(frame)
    return packets + context.encode(None)


def read_stream(packets: Sequence[av.Packet], shape: tuple[int, ...], codec: str = "h264") -> list[Array]:
    """What arrives."""
    context: Any = av.CodecContext.create(codec, "r")
    frames = [frame for packet in packets for frame in context.decode(packet)] + context.decode(None)
    pictures = [frame.to_ndarray(format="bgr24") for frame in sorted(frames, key=lambda frame: frame.pts)]
    return [cv2.copyMakeBorder(each, 0, shape[0] - each.shape[0], 0, shape[1] - each.shape[1], 1) for each in pictures]


def read_clip(path: Path, most: int, per_s: float) -> Clip:
    """Reads a clip's inputs, and writes the two streams that ours is compared with."""
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        step = max(1, round(rate / per_s))
        images: list[Array] = []

        def frames() -> Iterable[Array]:
            for index, frame in enumerate(container.decode(video=0)):
                image = frame.to_ndarray(format="bgr24")
                if index % step == 0:
                    if len(images) == most:
                        return
                    images.append(image)
                yield image

        source_bytes = sum(packet.size for packet in write_stream(frames(), rate))
    fps = rate / step
    packets = write_stream(images, fps)
    stream = read_stream(packets, images[0].shape)
    return Clip(images, fps, source_bytes, stream, sum(packet.size for packet in packets))


def kept_by(gate: str, share: float, clip: Clip) -> list[int]:
    """Which inputs a gate keeps, so many of them."""
    images, count = clip.images, len(clip.images)
    if gate == "every":
        return list(range(0, count, round(1 / share)))
    if gate == "events":
        small = [cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (64, 48)).astype(np.float32) for image in images]
        moved = np.array([0.0, *(np.abs(a - b).mean() for a, b in pairwise(small))])
        lasting = np.convolve(moved, np.ones(max(1, round(EVENT_S * clip.fps))), "same")
        return sorted(np.argsort(-lasting, kind="stable")[: max(1, round(share * count))].tolist())
    low, high = 0.0, 1.0
    kept: list[int] = []
    for _ in range(14):
        middle = (low + high) / 2
        opened = open_gate(f"difference:{middle}")
        kept = [at for at, image in enumerate(images) if opened.decide(image, at / clip.fps).keep]
        opened.close()
        low, high = (middle, high) if len(kept) > share * count else (low, middle)
    return kept


def send(clip: Clip, kept: Sequence[int], settings: VideoSettings) -> tuple[int, list[Array], float, int]:
    """What the agent sends of them: its bytes, the pictures that arrive, and milliseconds and H.264 pictures."""
    encoder = VideoEncoder(settings, 90)
    encoder.chains.agree(edge_pb2.Welcome(encodings=[edge_pb2.ENCODING_H264]))
    arrived: list[Array] = []
    size_bytes = 0
    reader: PictureReader | None = None
    for at in kept:
        encoding, payload = encoder.encode(Input(at, at / clip.fps, clip.images[at]))
        size_bytes += len(payload)
        if encoding == edge_pb2.ENCODING_JPEG:
            arrived.append(decode_jpeg(payload))
            continue
        chunk = edge_pb2.Chunk.FromString(payload)
        if not chunk.place:
            reader = PictureReader(chunk.width, chunk.height)
        assert reader is not None
        out = np.empty((chunk.height, chunk.width, 3), np.uint8)
        reader.read(chunk.packets, out)
        arrived.append(out)
    count = encoder.counts["h264"]
    return size_bytes, arrived, 1000 * encoder.encode_s / max(1, count), count


class Judges:
    """The models, and what they say of pictures."""

    def __init__(self, folder: Path) -> None:
        self.models = [OnnxModel(folder / f"{name}.onnx") for name in MODELS]

    def outputs(self, images: Iterable[Array]) -> list[list[Array]]:
        """Of each picture, what each model says."""
        return [[model.infer(image) for model in self.models] for image in images]

    def agreement(self, one: Sequence[list[Array]], other: Sequence[list[Array]]) -> float:
        """The mean over pictures and models."""
        found = [
            model.spec.output.agreement(a, b)
            for left, right in zip(one, other, strict=True)
            for model, a, b in zip(self.models, left, right, strict=True)
        ]
        return float(np.mean(found))


def report(name: str, clip: Clip, judges: Judges, settings: VideoSettings) -> None:
    """One line a gate and share."""
    height, width = clip.images[0].shape[:2]
    for share in SHARES:
        for gate in GATES:
            kept = kept_by(gate, share, clip)
            images = [clip.images[at] for at in kept]
            original = judges.outputs(images)
            size_bytes, arrived, encode_ms, count = send(clip, kept, settings)
            jpegs = [encode_jpeg(image, 90) for image in images]
            jpeg_bytes = sum(map(len, jpegs))
            agreement = [
                judges.agreement(original, judges.outputs(each))
                for each in (arrived, map(decode_jpeg, jpegs), [clip.stream[at] for at in kept])
            ]
            print(
                f"| {name} {width}x{height} | {gate} | {1 - len(kept) / len(clip.images):.2f} | "
                f"{size_bytes / len(kept) / 1024:.1f} | {clip.source_bytes / size_bytes:.1f} | "
                f"**{clip.stream_bytes / size_bytes:.1f}** | {jpeg_bytes / size_bytes:.0f} | "
                f"{clip.stream_bytes / (FEATURES_BYTES * len(kept)):.0f} | "
                f"{agreement[0]:.3f} | {agreement[2]:.3f} | {agreement[1]:.3f} | {count / len(kept):.2f} | "
                f"{encode_ms:.1f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", nargs="*", default=REPORTED)
    parser.add_argument("--inputs", type=int, default=300)
    parser.add_argument("--per-s", type=float, default=5.0)
    parser.add_argument("--crf", type=int, default=VideoSettings().crf)
    arguments = parser.parse_args()
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    cv2.setNumThreads(1)
    columns = "clip | gate | skipped | KiB a picture | source's rate | **inputs' rate** | JPEGs | features | agreement"
    print(f"| {columns} | of the stream | of JPEGs | as H.264 | ms |")
    print("|" + "---|" * 13)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        judges = Judges(link_models(data, Path(folder), MODELS))
        for name in arguments.clips:
            clip = read_clip(next((data / "video").glob(f"{name}.*")), arguments.inputs, arguments.per_s)
            report(name, clip, judges, VideoSettings(crf=arguments.crf))
    print(f"\nTimes smaller than each; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
