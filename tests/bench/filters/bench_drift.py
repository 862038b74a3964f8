"""A filter that is updated while it runs, on a rendered day whose camera turns to infrared in the dark.

python tests/bench/filters/bench_drift.py [--seeds 0 1 2] [--frames 3600] [--start 0.71]

The renderer's truth stands for the model. The day begins at midnight, so in infrared (`--start 0`: in the morning).
Every policy gets the same labels, a tenth of the frames, and as many training steps per label. Each frame is scored by
the filter as it was when the frame came; the first tenth of the day, which the offline filter learns from, is judged
for nobody. Accuracy is InFi's: only a needed frame that was skipped is an error, so a filter that keeps all has 1.
`right` counts both kinds of error. `live` is the offline filter with a device's live update from there on (as
`OnlineGate`, without its process): it decides at once which frames to label, a tenth of all beside those that it keeps,
whose labels cost nothing, so it learns from more of them. `not sent` is what is really saved: skipped, and not labelled
either.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from infilink.examples.street.backdrop import Backdrop
from infilink.examples.street.camera import Camera
from infilink.filters.gates.base import ModelOutput
from infilink.filters.modalities.stream import CHANNELS, SCALARS, SIDE, Channels
from infilink.filters.online.filter import OnlineFilter, OnlineSettings
from infilink.filters.online.inputs import Seen
from infilink.filters.online.labelling import Labelling
from infilink.filters.online.labels import Labels
from infilink.filters.online.policies import Active, Mixed, Offline, Periodic, Random
from infilink.filters.rules.parser import parse_rule
from infilink.outputs import Array, OutputSpec
from infrared import InfraredStreet

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


@dataclass(frozen=True)
class Followed:
    """How an online filter went through a stretch: scores and thresholds as they were when each input came."""

    scores: Array
    thresholds: Array
    labelled: Array


def follow(online: OnlineFilter, seen: Seen, label: Callable[[Array], Array]) -> Followed:
    """Sends inputs through an online filter in their order, and labels what it asks for."""
    count = len(seen.captured_s)
    found = Followed(np.full(count, np.nan), np.empty(count), np.zeros(count, bool))
    offset, at = online.inputs, 0
    while at < count:
        if online.due(float(seen.captured_s[at])):
            numbers = online.ask()
            online.learn(label(numbers))
            found.labelled[(numbers - offset)[numbers >= offset]] = True
            continue
        online.begin(float(seen.captured_s[at]))
        stop = int(np.searchsorted(seen.captured_s, online.asks_at_s, side="left"))
        found.scores[at:stop] = online.take(seen.rows(slice(at, stop)))
        found.thresholds[at:stop] = online.threshold.value
        at = stop
    return found


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


def runs(day: Day, settings: OnlineSettings) -> Iterator[tuple[str, Callable[[], Followed]]]:
    """Every policy, and the live update, by name."""
    policies = (Offline(SHARE * len(day.needed)), Periodic(), Random(), Active(), Mixed())
    for policy in policies:
        online = OnlineFilter(policy, settings)
        yield policy.name, partial(follow, online, day.seen, lambda numbers: day.needed[numbers])
    yield "live", partial(follow_live, day, settings)


def follow_live(day: Day, settings: OnlineSettings) -> Followed:
    """The offline filter of the first tenth, with the live update after it."""
    frames = len(day.needed)
    first, period = round(SHARE * frames), round(settings.period_s)
    offline = OnlineFilter(Offline(float(first)), settings)
    begun = follow(offline, day.seen.rows(slice(0, first)), lambda numbers: day.needed[numbers])
    offline.learn(day.needed[offline.ask()])
    found = Followed(np.full(frames, np.nan), np.full(frames, begun.thresholds[-1]), np.ones(frames, bool))
    online, threshold = OnlineFilter(Mixed(), settings), offline.threshold.value
    online.network = offline.network
    random = np.random.default_rng(settings.seed)
    labelling = Labelling(parse_rule("value < 0.5"), {"truth": ""}, Labels(256), share=SHARE, random=random)
    labelling.outputs["truth"] = OutputSpec(kind="scalar", tolerance=1.0)
    next_at = first + period - 1
    for i in range(first, frames):
        seen = day.seen.rows(slice(i, i + 1))
        score = float(online.network.scores(seen.images, seen.scalars)[0])
        found.scores[i], found.thresholds[i] = score, threshold
        kept = not score <= threshold
        probability = labelling.take(score, kept=kept)
        found.labelled[i] = probability > 0
        if probability:
            said = ModelOutput(np.asarray([day.needed[i]], np.float32), "")
            labelling.learner(seen, score=score, kept=kept, probability=probability)({"truth": said})
        if i >= next_at and labelling.labels.tells(1.0 - settings.accuracy):
            next_at = i + period
            labels = labelling.renew(labels=Labels(256))
            online.absorb(labels.memory.all(), labels.judged())
            threshold = online.threshold.value
            labelling.changed()
    return found


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
        "not sent": float(((scores <= found.thresholds[judged]) & ~found.labelled[judged]).mean()),
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
        settings = OnlineSettings(options.frames / PERIODS, SHARE, ACCURACY, seed=seed)
        for name, run in runs(day, settings):
            started = time.process_time()
            row = judge(day, run())
            row["CPU s"] = time.process_time() - started
            rows.setdefault(name, []).append(row)
            cells = " | ".join(f"{value:.3f}" for value in row.values())
            print(f"| {name} {seed} | {cells} |", file=sys.stderr, flush=True)
    names = list(rows["offline"][0])
    print(f"| policy | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for name, found in rows.items():
        print(f"| {name} | {' | '.join(text([row[column] for row in found]) for column in names)} |")


if __name__ == "__main__":
    main()
