"""What sinks cost the capture loop and the processor for each input; and how good the pictures of events are.

`python tests/bench/device/bench_sinks.py [CLIP ...]` (the second part needs the data folder that tests/real uses).

An event's picture is judged by a detector that had no say in choosing it: how sure it is of that thing, at that place;
and by how large the box is beside the event's largest. The first two clips are those that the rule was chosen on.
Beside ours: the event's first picture, its middle one, that with the largest box, and that of the surest box.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from infilink.device.event_pictures import EventPictures, EventPicturesConfig
from infilink.device.results import InputRow, ResultRow
from infilink.device.sinks.base import SinkRunner
from infilink.device.sinks.callback import Callback
from infilink.device.sinks.delivered import Delivered, EventPicture, Said
from infilink.device.sinks.delivery import Delivery
from infilink.device.sinks.picture import KeptPicture
from infilink.device.sinks.settings import JsonLinesConfig, VideoConfig
from infilink.models.tensor_model import open_model
from infilink.outputs import OutputSpec, box_iou
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))
from real.data import find_data, link_models

CLIPS = ("lobby_person", "shop_produce", "parking_cars", "traffic_road", "highway_dense")
BOXES = OutputSpec(kind="boxes", classes=("car", "person"))
INPUTS, FPS, KEEP_EVERY = 300, 30, 5


def picture(index: int) -> np.ndarray:
    """640 x 360, with something that moves."""
    shown = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8), (0, 0), 2)
    cv2.rectangle(shown, (index % 500, 100), (index % 500 + 100, 300), (20, 60, 200), -1)
    return shown


def cost(name: str, folder: Path) -> tuple[float, float, float, float, int]:
    """Milliseconds of the capture loop for an input: median, 99th percentile, and that of its own processor time, which
    other programs change less; of all threads; inputs left out.
    """
    sinks = {
        "callback, with pictures": lambda: Callback(lambda item: None, pictures=True),
        "jsonl": lambda: JsonLinesConfig(kind="jsonl", path=folder / "r.jsonl").open(),
        "video": lambda: VideoConfig(kind="video", folder=folder / "v").open(),
        "event_pictures": lambda: EventPictures(EventPicturesConfig(folder=folder / "e")),
    }
    runner = SinkRunner(name, sinks[name]())
    delivery = Delivery([runner], device="cam")
    delivery.begin({"m": BOXES})
    found = np.asarray([[0.2, 0.3, 0.5, 0.9, 0.8, 1.0]], np.float32)
    pictures = [picture(index) for index in range(32)]
    times, own, used_s, begun_s = [], [], time.process_time(), time.perf_counter()
    for index in range(INPUTS):
        value = pictures[index % 32].copy()
        keep = index % KEEP_EVERY == 0
        row = InputRow(index, index / FPS, keep, None, 0.5, 0.0, 0.0)
        reference = None if keep else index - index % KEEP_EVERY
        held = [] if keep else [ResultRow("m", index, index / FPS, "held", 0.9, True, reference=reference)]
        started, started_own = time.perf_counter(), time.thread_time()
        delivery.see(index, index / FPS, float(index), value)
        delivery.add_input(row, held)
        own.append(time.thread_time() - started_own)
        times.append(time.perf_counter() - started)
        if keep:
            delivery.add_results(index, 0.0, [ResultRow("m", index, index / FPS, "executed", 1.0, True, value=found)])
        time.sleep(max(0.0, begun_s + (index + 1) / FPS - time.perf_counter()))
    delivery.close()
    runner.close(60.0)
    all_ms = 1000 * (time.process_time() - used_s) / INPUTS
    p50, p99 = np.percentile(np.asarray(times) * 1000, (50, 99))
    return float(p50), float(p99), 1000 * float(np.percentile(own, 99)), all_ms, runner.left_out


def judged(clip: Path, chooses: object, judge: object, folder: Path) -> dict[str, list[tuple[float, float]]]:
    """By each way to choose, event by event: how sure the other detector is, and the box's share of the largest."""
    events: list[EventPicture] = []
    sink = EventPictures(EventPicturesConfig(folder=folder), on_event=events.append)
    capture = cv2.VideoCapture(str(clip))
    fps = capture.get(cv2.CAP_PROP_FPS) or 10.0
    every = max(1, round(fps / 5))
    seen: list[tuple[Delivered, np.ndarray]] = []
    value, index = np.zeros((0, 6), np.float32), 0
    while True:
        there, frame = capture.read()
        if not there:
            break
        if index % every == 0:
            keep = len(seen) % 2 == 0
            if keep:
                value, reference = chooses.infer(frame), index
            origin = "executed" if keep else "held"
            said = Said("m", chooses.spec.output, origin, 1.0, True, "exact", (), None if keep else reference, value)
            shown = Delivered("cam", "", index, index / fps, 0.0, keep, (said,), picture=KeptPicture(frame, quality=95))
            sink.take(shown)
            seen.append((shown, value))
        index += 1
    sink.close()
    found = defaultdict(list)
    for event in events:
        kind = chooses.spec.output.classes.index(event.what)
        own = []
        for shown, boxes in seen:
            mine = boxes[boxes[:, 5] == kind]
            if shown.kept and event.started_s <= shown.captured_s <= event.ended_s and len(mine):
                areas = np.prod(mine[:, 2:4] - mine[:, :2], axis=1)
                own.append((shown, mine[areas.argmax()], float(areas.max()), mine[mine[:, 4].argmax()]))
        if not own:
            continue
        largest = max(own, key=lambda each: each[2])
        surest = max(own, key=lambda each: each[3][4])
        ways = {
            "ours": (event.best, np.asarray(event.box)),
            "first": own[0][:2],
            "middle": own[len(own) // 2][:2],
            "largest box": largest[:2],
            "surest box": (surest[0], surest[3]),
        }
        for way, (shown, box) in ways.items():
            size = float(np.prod(box[2:4] - box[:2])) / largest[2]
            found[way].append((sure_of(judge, shown.picture.pixels(), box, event.what), size))
    return found


def sure_of(judge: object, pixels: np.ndarray, box: np.ndarray, what: str) -> float:
    """How sure a detector is of a thing at a place; 0: it sees none there."""
    boxes = judge.infer(pixels)
    boxes = boxes[boxes[:, 5] == judge.spec.output.classes.index(what)]
    if not len(boxes):
        return 0.0
    over = box_iou(boxes, box[None])[:, 0]
    return float((boxes[:, 4] * (over >= 0.5)).max())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", default=list(CLIPS))
    given = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console(width=120)
    columns = ("sink", "capture loop p50 ms", "p99", "p99 of its own", "all threads, ms an input", "left out")
    table = Table(*columns, title=f"640x360, {FPS} a second")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("jsonl", "callback, with pictures", "event_pictures", "video"):
            p50, p99, own, all_ms, left_out = cost(name, Path(folder))
            table.add_row(name, f"{p50:.3f}", f"{p99:.3f}", f"{own:.3f}", f"{all_ms:.2f}", str(left_out))
        console.print(table)
        data = find_data()
        if data is None:
            print("skipped: no data folder (set INFILINK_DATA)")
            return 0
        where = link_models(data, Path(folder) / "models", ("yolox_nano_416x416", "nanodet_m_416"))
        chooses, judge = (open_model(where / f"{name}.onnx") for name in ("yolox_nano_416x416", "nanodet_m_416"))
        columns = ("clip", "events", "ours", "first", "middle", "largest box", "surest box")
        table = Table(*columns, title="how sure the other detector is / the box beside the event's largest")
        for clip in given.clips:
            path = next((data / "video").glob(f"{clip}.*"))
            found = judged(path, chooses, judge, Path(folder) / "events")
            if found:
                means = [" / ".join(f"{mean:.2f}" for mean in np.mean(values, axis=0)) for values in found.values()]
                table.add_row(clip, str(len(found["ours"])), *means)
        console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
