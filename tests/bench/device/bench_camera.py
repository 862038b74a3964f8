"""Moved and blinded cameras: false alarms on real clips as they are, and the delay on changes composed of them.

    python tests/bench/device/bench_camera.py

Thresholds were chosen on `CHOSEN`; the other clips are reported apart. The clips are some 15 minutes in all.
"""

import logging
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from composed import CHANGED, NOTHING, UNCHANGED, Change, Picture
from infilink.device.camera.look import Look
from infilink.device.camera.view import View
from infilink.device.camera.watch import CameraWatch
from real.data import find_data

CHOSEN = (
    *("lobby_person", "parking_cars", "traffic_road", "campus_pedestrians", "highway_dense", "shop_produce"),
    *("jamcam_1", "jamcam_2", "jamcam_3", "jamcam_4", "motorway_foreste", "motorway_tunnelligure"),
)
STEP_S = 0.4
PART_S = 16.0
_WIDTH = 256


def main() -> None:
    """Prints both tables."""
    logging.disable(logging.WARNING)
    data = find_data()
    if data is None:
        print("the real clips are not here")
        return
    videos = sorted((data / "video").glob("*.*")) + sorted((data / "video" / "site").glob("*.mp4"))
    clips = {path.stem: list(frames(path)) for path in videos}
    for what, names in (("chosen on", [*CHOSEN]), ("others", [name for name in clips if name not in CHOSEN])):
        report(what, {name: clips[name] for name in names if name in clips})
    cost()


def frames(path: Path) -> Iterator[Picture]:
    """A clip's frames, one each `STEP_S`, small."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or 10)
        due_s = 0.0
        for number, frame in enumerate(container.decode(stream)):
            if number / fps < due_s - 1e-6:
                continue
            due_s += STEP_S
            image = frame.to_ndarray(format="bgr24")
            width = min(_WIDTH, image.shape[1])
            size = (width, round(image.shape[0] * width / image.shape[1]))
            yield np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def report(what: str, clips: dict[str, list[Picture]]) -> None:
    """Prints what becomes of clips."""
    minutes = sum(len(clip) for clip in clips.values()) * STEP_S / 60
    alarms = {name: states(clip, NOTHING, NOTHING, len(clip)).count("begins") for name, clip in clips.items()}
    told = ", ".join(f"{name} {count}" for name, count in alarms.items() if count) or "none"
    print(f"\n{what}: {len(clips)} clips, {minutes:.1f} minutes as they are: {sum(alarms.values())} alarms ({told})\n")
    print("| composed | clips told | delay, median | longest | not told |\n|---|---|---|---|---|")
    for name, change in CHANGED.items():
        delays_s, missed = [], []
        for clip, own in clips.items():
            found = states(stretched(own), NOTHING, change, round(PART_S / STEP_S))
            if "begins" in found:
                delays_s.append((found.index("begins") - round(PART_S / STEP_S)) * STEP_S)
            else:
                missed.append(clip)
        middle = f"{np.median(delays_s):.1f} s | {max(delays_s):.1f} s" if delays_s else " | "
        print(f"| {name} | {len(delays_s)} of {len(clips)} | {middle} | {', '.join(missed)} |", flush=True)
    print("\n| composed, no change of the camera | clips with an alarm | which |\n|---|---|---|")
    for name, (before, after) in UNCHANGED.items():
        wrong = [
            clip
            for clip, own in clips.items()
            if "begins" in states(stretched(own), before, after, round(PART_S / STEP_S))
        ]
        print(f"| {name} | {len(wrong)} of {len(clips)} | {', '.join(wrong)} |", flush=True)


def stretched(clip: list[Picture]) -> list[Picture]:
    """Twice `PART_S` of a clip: its middle, or it forwards and backwards."""
    needed = 2 * round(PART_S / STEP_S)
    if len(clip) >= needed:
        first = (len(clip) - needed) // 2
        return clip[first : first + needed]
    found = list(clip)
    while len(found) < needed:
        found += found[-2::-1]
    return found[:needed]


def states(clip: list[Picture], before: Change, after: Change, change_at: int) -> list[str]:
    """Per frame what the watch says: "begins" where it is no longer stable, "" where it is, "goes on" in between."""
    watch, random, found = CameraWatch(), np.random.default_rng(1), []
    was = "stable"
    for number, frame in enumerate(clip):
        change = before if number < change_at else after
        picture = change(frame, (number - change_at) * STEP_S, random)
        now = watch.see(picture, number * STEP_S).state
        found.append("" if now == "stable" else "begins" if was == "stable" else "goes on")
        was = now
    return found


def cost() -> None:
    """Prints what a look takes."""
    cv2.setNumThreads(1)
    times: dict[str, list[float]] = defaultdict(list)
    for width, height in ((640, 360), (1280, 720), (1920, 1080)):
        random = np.random.default_rng(0)
        picture = cv2.GaussianBlur(random.integers(0, 255, (height, width, 3), np.uint8), (0, 0), 3)
        view = View()
        for _ in range(200):
            started = time.process_time()
            look = Look.at(picture)
            view.compare(look)
            view.add(look)
            times[f"{width}x{height}"].append(time.process_time() - started)
    told = ", ".join(f"{size} {1000 * np.median(each):.2f} ms" for size, each in times.items())
    print(f"\na look (each third of a second): {told}")


if __name__ == "__main__":
    main()
