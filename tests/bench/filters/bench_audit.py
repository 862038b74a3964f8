"""The live audit against a filter that breaks: certified through a clear lens, which then fogs up.

python tests/bench/filters/bench_audit.py [--seeds 0 1 2] [--frames 1500]

The renderer's truth stands for the model (rule: `label in (free)`). Two days in fast motion: a filter is learnt and
certified on the first one; on the second the lens is clear for a fifth and fogged (blurred, little contrast) for the
rest, as far as it is light. The audit sees the share of the unsent frames that it is given; once it gives the alarm
everything is kept, until the filter is shown to be good again.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from infilink.codec import encode_jpeg
from infilink.examples.street.backdrop import Backdrop
from infilink.examples.street.camera import Camera
from infilink.filters.gates.audit import Audit
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import Array, OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter
from infrared import InfraredStreet

CLASSES = ("free", "moving", "queue")
STEPS_PER_S = 5
ACCURACY = 0.9
SHARES = (0.0, 0.01, 0.05, 0.1, 0.2)
START = 0.0
FOG_PX = 6


@dataclass(frozen=True)
class Live:
    """What the filter would skip, and what is lost by that, frame by frame; where the fog begins."""

    skipped: Array
    needed: Array
    fogged_from: int


def trace_of(street: InfraredStreet, frames: int, path: Path) -> Path:
    """A recording of a day while it is light, by a model that always tells the truth."""
    spec = ModelSpec(name="traffic", output=OutputSpec(kind="label", classes=CLASSES))
    cost = ModelCost(memory_bytes=50 << 20, infer_s=0.02, load_s=0.2)
    info = TraceInfo("rendered", 1.0, {"traffic": spec}, {"traffic": "0" * 16}, {"traffic": cost})
    with TraceWriter(path, info) as writer:
        for index, (frame, truth) in enumerate(street.frames(frames, every=STEPS_PER_S)):
            if not street.infrared:
                said = np.asarray([truth.traffic == name for name in CLASSES], np.float32)
                writer.append(index, float(index), encode_jpeg(frame), {"traffic": said})
    return path


def fogged(frame: Array) -> Array:
    """A frame through a lens with dew on it."""
    return np.asarray(cv2.convertScaleAbs(cv2.GaussianBlur(frame, (0, 0), FOG_PX), alpha=0.5, beta=80))


def live(filter_path: Path, street: InfraredStreet, frames: int) -> Live:
    """The filter's decisions on the next day."""
    gate, seen = FilterRuntime(filter_path), []
    for index, (frame, truth) in enumerate(street.frames(frames, every=STEPS_PER_S)):
        if street.infrared:
            continue
        fog = index >= frames / 5
        skipped = not gate.decide(fogged(frame) if fog else frame, float(index)).keep
        seen.append((skipped, truth.traffic != "free", fog))
    skipped, needed, fog = np.asarray(seen).T
    return Live(skipped, needed.astype(np.float64), int((~fog).sum()))


def watched(found: Live, share: float, seed: int) -> tuple[float, float, float, float, int]:
    """Error by day and in fog, frames and audits from its beginning to the alarm, alarms by day."""
    random, audit = np.random.default_rng(seed), Audit(1.0 - ACCURACY)
    lost, alarm, audits, false = np.zeros(len(found.skipped)), float("nan"), 0, 0
    for index, (skipped, needed) in enumerate(zip(found.skipped, found.needed, strict=True)):
        fog = index >= found.fogged_from
        audit.saw(unsent=bool(skipped))
        if not skipped:
            continue
        if audit.broken or random.random() < share:
            audits += fog and np.isnan(alarm)
            before = audit.broken
            changed = audit.add(float(needed))
            if changed and audit.broken and not fog:
                false += 1
            if audit.broken and fog and np.isnan(alarm):
                alarm = index - found.fogged_from
            lost[index] = 0.0 if before else lost[index]
        elif needed:
            lost[index] = 1.0
    return lost[: found.fogged_from].mean(), lost[found.fogged_from :].mean(), alarm, float(audits), false


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--frames", type=int, default=1500)
    options = parser.parse_args()
    backdrop, rows = Backdrop(Camera()), {share: [] for share in SHARES}
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            street = InfraredStreet(seed, STEPS_PER_S, day_s=options.frames, start=START, backdrop=backdrop)
            path = trace_of(street, options.frames, Path(folder) / "day.trace")
            with Trace(path) as trace:
                rule = parse_rule("label in (free)")
                done = train_filter(
                    trace,
                    rule=rule,
                    accuracy=ACCURACY,
                    out=Path(folder) / "day.onnx",
                    seed=seed,
                    candidates=["network"],
                    uncertified=True,
                )
            found = live(done.path, street, options.frames)
        spec = done.spec.certificate
        print(
            f"seed {seed}: {done.spec.kind}, certified {spec.certified}, at most {spec.upper_bound:.3f} lost; live: "
            f"skipped {found.skipped[: found.fogged_from].mean():.2f} by day, "
            f"{found.skipped[found.fogged_from :].mean():.2f} in fog",
            file=sys.stderr,
            flush=True,
        )
        for share in SHARES:
            rows[share] += [watched(found, share, seed=lot) for lot in range(20)]
    columns = ("error by day", "error in fog", "frames to the alarm", "audits to it", "no alarm", "false alarms")
    print(f"| audited share | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for share, each in rows.items():
        found_at = np.asarray(each, np.float64)
        caught = found_at[~np.isnan(found_at[:, 2])]
        when = f"{np.median(caught[:, 2]):.0f}" if len(caught) else "-"
        audits = f"{np.median(caught[:, 3]):.0f}" if len(caught) else "-"
        print(
            f"| {share:.0%} | {found_at[:, 0].mean():.3f} | {found_at[:, 1].mean():.3f} | {when} | {audits} | "
            f"{np.isnan(found_at[:, 2]).mean():.0%} | {found_at[:, 4].mean():.2f} |"
        )
    print(f"\n{len(options.seeds)} pairs of days of {options.frames} frames, 20 lots of audits for each.")


if __name__ == "__main__":
    main()
