"""What smaller pictures and regions of interest save in bytes, and what they cost in agreement, on real clips.

`python tests/bench/device/bench_ladder.py [--frames 60] [CLIP ...]` (needs the data folder that tests/real uses).

Agreement is with what the same detectors say of the whole picture as a JPEG of quality 90. Beside the ladder stands
what costs as little without it: the whole picture at a lower quality. The region of interest is where the detectors
found anything in the first third of a clip, with a margin; it is judged on the rest, by the boxes whose middle lies
within: outside of it flattened to grey, as `[picture]` does, and cut out, with the boxes mapped back.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.device.uplink.travelling import PictureConfig, Travelling
from infilink.models.tensor_model import open_model
from infilink.outputs import boxes_f1
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))
from real.data import find_data, link_models

CLIPS = ("lobby_person", "shop_produce", "highway_hd", "campus_pedestrians", "parking_cars")
MODELS = ("yolox_nano_416x416", "nanodet_m_416")
SIDES = (960, 640, 480, 320)
QUALITIES = (70, 50, 30, 15)
MARGIN = 0.03
QUALITY = 90


def frames_of(path: Path, count: int) -> list[np.ndarray]:
    """So many frames of a clip, evenly."""
    capture = cv2.VideoCapture(str(path))
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = set(np.linspace(0, total - 1, count).astype(int).tolist())
    found = []
    for index in range(total):
        if not capture.grab():
            break
        if index in wanted:
            found.append(capture.retrieve()[1])
    capture.release()
    return found


def region_of(boxes: list[np.ndarray]) -> tuple[float, float, float, float]:
    """Where anything was found: left, top, right, bottom, as shares."""
    found = np.concatenate(boxes)
    if not len(found):
        return 0.0, 0.0, 1.0, 1.0
    left, top = np.clip(found[:, :2].min(axis=0) - MARGIN, 0.0, 1.0)
    right, bottom = np.clip(found[:, 2:4].max(axis=0) + MARGIN, 0.0, 1.0)
    return float(left), float(top), float(right), float(bottom)


def within(boxes: np.ndarray, region: tuple[float, float, float, float]) -> np.ndarray:
    """The boxes whose middle lies in a region."""
    middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
    left, top, right, bottom = region
    there = (middle[:, 0] >= left) & (middle[:, 0] <= right) & (middle[:, 1] >= top) & (middle[:, 1] <= bottom)
    return boxes[there]


class Judge:
    """Runs the detectors on what travelled, and compares."""

    def __init__(self, models: dict[str, object]) -> None:
        self.models = models
        self.bytes: defaultdict[str, list[int]] = defaultdict(list)
        self.agreements: defaultdict[str, list[float]] = defaultdict(list)

    def see(self, jpeg: bytes) -> dict[str, np.ndarray]:
        picture = decode_jpeg(jpeg)
        return {name: model.infer(picture) for name, model in self.models.items()}

    def add(
        self,
        way: str,
        jpeg: bytes,
        truth: dict[str, np.ndarray],
        *,
        mapped: Callable[[np.ndarray], np.ndarray] = lambda boxes: boxes,
    ) -> None:
        self.bytes[way].append(len(jpeg))
        found = self.see(jpeg)
        for name, boxes in truth.items():
            self.agreements[way].append(boxes_f1(mapped(found[name]), boxes))

    def rows(self, whole: str) -> list[tuple[str, str, str]]:
        base = np.mean(self.bytes[whole])
        return [
            (
                way,
                f"{np.mean(sizes) / 1024:.1f} KiB",
                f"{np.mean(sizes) / base:.2f}",
                f"{np.mean(self.agreements[way]):.3f}",
            )
            for way, sizes in self.bytes.items()
        ]


def measure(clip: Path, models: dict[str, object], count: int) -> tuple[Judge, Judge, float, tuple[int, int]]:
    frames = frames_of(clip, count)
    height, width = frames[0].shape[:2]
    ladder, regions = Judge(models), Judge(models)
    truths = [ladder.see(encode_jpeg(frame, QUALITY)) for frame in frames]
    for frame, truth in zip(frames, truths, strict=True):
        ladder.add("whole, quality 90", encode_jpeg(frame, QUALITY), truth)
        for side in SIDES:
            if side < max(height, width):
                smaller = Travelling(PictureConfig(longest_side=(side,))).apply(frame)
                ladder.add(f"longest side {side}", encode_jpeg(smaller, QUALITY), truth)
        for quality in QUALITIES:
            ladder.add(f"whole, quality {quality}", encode_jpeg(frame, quality), truth)
    third = len(frames) // 3
    region = region_of([boxes for truth in truths[:third] for boxes in truth.values()])
    left, top, right, bottom = region
    flat = Travelling(PictureConfig(regions=(((left, top), (right, top), (right, bottom), (left, bottom)),)))
    x0, y0, x1, y1 = int(left * width), int(top * height), round(right * width), round(bottom * height)

    def back(boxes: np.ndarray) -> np.ndarray:
        moved = boxes.copy()
        moved[:, [0, 2]] = (boxes[:, [0, 2]] * (x1 - x0) + x0) / width
        moved[:, [1, 3]] = (boxes[:, [1, 3]] * (y1 - y0) + y0) / height
        return within(moved, region)

    for frame, truth in zip(frames[third:], truths[third:], strict=True):
        inside = {name: within(boxes, region) for name, boxes in truth.items()}
        regions.add("whole", encode_jpeg(frame, QUALITY), inside, mapped=lambda boxes: within(boxes, region))
        regions.add(
            "rest grey", encode_jpeg(flat.apply(frame), QUALITY), inside, mapped=lambda boxes: within(boxes, region)
        )
        regions.add("cut out", encode_jpeg(np.ascontiguousarray(frame[y0:y1, x0:x1]), QUALITY), inside, mapped=back)
    return ladder, regions, (right - left) * (bottom - top), (width, height)


def cost_ms(size: tuple[int, int]) -> list[tuple[str, float]]:
    """What making the picture that travels takes, beside its JPEG."""
    picture = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    half = Travelling(PictureConfig(longest_side=(max(size) // 2,)))
    grey = Travelling(PictureConfig(regions=(((0.1, 0.4), (0.9, 0.4), (0.9, 1.0), (0.1, 1.0)),)))
    found = []
    for name, act in (("half the side", half.apply), ("regions", grey.apply), ("JPEG", encode_jpeg)):
        times = []
        for _ in range(50):
            started = time.perf_counter()
            act(picture)
            times.append(time.perf_counter() - started)
        found.append((name, 1000 * float(np.median(times))))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", default=list(CLIPS))
    parser.add_argument("--frames", type=int, default=60)
    given = parser.parse_args()
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return 0
    cv2.setNumThreads(1)
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        where = link_models(data, Path(folder), MODELS)
        models: dict[str, object] = {name: open_model(where / f"{name}.onnx") for name in MODELS}
        for clip in given.clips:
            path = next((data / "video").glob(f"{clip}.*"))
            ladder, regions, share, size = measure(path, models, given.frames)
            for title, judge, whole in (
                (f"{clip} {size[0]}x{size[1]}: size or quality", ladder, "whole, quality 90"),
                (f"{clip}: region of {share:.0%} of the picture, later two thirds", regions, "whole"),
            ):
                table = Table("travels", "a picture", "of whole", "agreement (F1)", title=title)
                for row in judge.rows(whole):
                    table.add_row(*row)
                console.print(table)
    for size in ((640, 360), (1280, 720)):
        print(f"{size[0]}x{size[1]}: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in cost_ms(size)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
