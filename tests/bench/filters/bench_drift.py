"""A filter that is updated while it runs, on a rendered day whose camera turns to infrared in the dark.

python tests/bench/filters/bench_drift.py [--seeds 0 1 2] [--frames 3600] [--start 0.71]

The renderer's truth stands for the model. The day begins at midnight, so in infrared (`--start 0`: in the morning).
Every policy gets the same labels, a tenth of the frames, and as many training steps. Each frame is scored by the filter
as it was when the frame came; the first tenth of the day, which the offline filter learns from, is judged for nobody.
Accuracy is InFi's: only a needed frame that was skipped is an error, so a filter that keeps all has 1. `right` counts
both kinds of error. What is labelled costs a tenth of the frames beside.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from infilink.examples.street.backdrop import Backdrop
from infilink.examples.street.camera import Camera
from infilink.examples.street.infrared import InfraredStreet
from infilink.filters.channels import CHANNELS, SCALARS, Channels
from infilink.filters.online.filter import OnlineFilter, OnlineSettings
from infilink.filters.online.follow import Followed, follow
from infilink.filters.online.inputs import Seen
from infilink.filters.online.policies import Active, Mixed, Offline, Periodic, Policy, Random
from infilink.filters.pictures import SIDE
from infilink.outputs import Array

PERIODS = 24
SHARE = 0.1
ACCURACY = 0.9
STEPS_PER_S = 5


@dataclass(frozen=True)
class Day:
    """One frame per second of a day in fast motion, whether each is needed (not `label in (free)`), and its light."""

    seen: Seen
    needed: Array
    infrared: Array


def render(seed: int, frames: int, start: float, backdrop: Backdrop) -> Day:
    street = InfraredStreet(seed, STEPS_PER_S, day_s=frames, start=start, backdrop=backdrop)
    channels = Channels(pairwise=False)
    seen = Seen(
        np.empty((frames, SIDE, SIDE, CHANNELS), np.uint8),
        np.empty((frames, len(SCALARS)), np.float32),
        np.arange(frames, dtype=np.float64),
    )
    needed, infrared = np.empty(frames), np.empty(frames, bool)
    for i, (frame, truth) in enumerate(street.frames(frames, every=STEPS_PER_S)):
        channels.see(frame, float(i))
        seen.images[i] = np.rint(255 * channels.tensor[0]).transpose(1, 2, 0)
        seen.scalars[i] = channels.scalars[0]
        needed[i], infrared[i] = truth.traffic != "free", street.infrared
    return Day(seen, needed, infrared)


def policies(frames: int) -> Iterator[Policy]:
    yield Offline(stretch_s=SHARE * frames)
    yield Periodic()
    yield Random()
    yield Active()
    yield Mixed()


def at_threshold(needed: Array, skipped: Array) -> tuple[float, float, float, float]:
    """Accuracy, share of right decisions, filtering rate, and skill at that accuracy."""
    accuracy, rate = float(1.0 - (needed * skipped).mean()), float(skipped.mean())
    return accuracy, float((skipped == (needed < 0.5)).mean()), rate, skill(needed, accuracy, rate)


def skill(needed: Array, accuracy: float, rate: float) -> float:
    random = min(1.0, (1.0 - accuracy) / float(needed.mean()))
    oracle = min(1.0, 2.0 - float(needed.mean()) - accuracy)
    return (rate - random) / (oracle - random) if rate > 0 and oracle - random > 0.01 else 0.0


def in_hindsight(needed: Array, scores: Array) -> tuple[float, float]:
    """The rate at the one threshold for the whole day that would have kept `ACCURACY`, and the skill there."""
    order = np.argsort(scores, kind="stable")
    fits = np.cumsum(needed[order]) <= (1.0 - ACCURACY) * len(needed)
    rate = float(fits.mean())
    return rate, skill(needed, ACCURACY, rate)


def judge(day: Day, found: Followed) -> dict[str, float]:
    """What is in the table, over the frames after the first tenth."""
    judged = np.arange(len(day.needed)) >= SHARE * len(day.needed)
    needed, scores, infrared = day.needed[judged], found.scores[judged], day.infrared[judged]
    lost = needed * (scores <= 0.5)
    fixed = at_threshold(needed, scores <= 0.5)
    moving = at_threshold(needed, scores <= found.thresholds[judged])
    hindsight = in_hindsight(needed, scores)
    return {
        "accuracy at 0.5": fixed[0],
        "in infrared": float(1.0 - lost[infrared].mean()),
        "in colour": float(1.0 - lost[~infrared].mean()),
        "right": fixed[1],
        "rate": fixed[2],
        "skill": fixed[3],
        "accuracy recalibrated": moving[0],
        "rate there": moving[2],
        "skill there": moving[3],
        f"rate at {ACCURACY} in hindsight": hindsight[0],
        "skill in hindsight": hindsight[1],
        "labels": float(found.labelled.sum()),
    }


def text(values: list[float]) -> str:
    if max(values) > 1.5:
        return f"{np.mean(values):.0f}"
    return f"{np.mean(values):.3f}" + (f" ±{np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--frames", type=int, default=3600)
    parser.add_argument("--start", type=float, default=0.71, help="time of day of the first frame; 0.71 is midnight")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    backdrop = Backdrop(Camera())
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        started = time.process_time()
        day = render(100 + seed, options.frames, options.start, backdrop)
        lit = f"needed {day.needed.mean():.2f}, infrared {day.infrared.mean():.2f}"
        print(f"seed {seed}: {lit}, rendered in {time.process_time() - started:.0f} s", file=sys.stderr, flush=True)
        for policy in policies(options.frames):
            started = time.process_time()
            settings = OnlineSettings(options.frames / PERIODS, SHARE, ACCURACY, seed=seed)
            online = OnlineFilter(policy, settings)
            row = judge(day, follow(online, day.seen, lambda numbers, day=day: day.needed[numbers]))
            row["CPU s"] = time.process_time() - started
            rows.setdefault(policy.name, []).append(row)
            cells = " | ".join(f"{value:.3f}" for value in row.values())
            print(f"| {policy.name} {seed} | {cells} |", file=sys.stderr, flush=True)
    names = list(rows["offline"][0])
    print(f"| policy | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name, found in rows.items():
        print(f"| {name} | {' | '.join(text([row[column] for row in found]) for column in names)} |")


if __name__ == "__main__":
    main()
