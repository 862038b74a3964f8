"""A rendered street day as recordings: small people and cyclists among traffic, with the truth as the model."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from infilink.codec import encode_jpeg
from infilink.examples.street.dataset import true_boxes
from infilink.examples.street.street import Street
from infilink.examples.street.truth import CLASSES
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import Array, OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

MODEL = "truth"
RULES = {"count(person) == 0": ("person",), "count(cyclist) == 0": ("cyclist",)}
_STEPS = 2
_QUALITY = 85


@dataclass(frozen=True)
class Days:
    """What is rendered.

    Attributes:
        rate_fps: inputs a second.
        day_s: how long a day with its night is.
        learnt_s: what is learnt from, from the morning on.
        judged_s: what is judged after that.
        size: of the pictures, width and height.
    """

    rate_fps: float
    day_s: float
    learnt_s: float
    judged_s: float
    size: tuple[int, int] = (640, 360)


PRESENCE = Days(5.0, 360.0, 360.0, 540.0)
EVENTS = Days(2.0, 1300.0, 1300.0, 1300.0, (320, 180))


def street_day(folder: Path, seed: int, days: Days) -> tuple[Trace, Trace]:
    """What is learnt from, and what is judged later."""
    paths = [folder / f"street{seed}_{days.rate_fps:g}.{part}" for part in ("learnt", "judged")]
    if not all(path.exists() for path in paths):
        output = OutputSpec(kind="boxes", classes=CLASSES, measure="counts")
        spec = {MODEL: ModelSpec(name=MODEL, output=output)}
        cost = {MODEL: ModelCost(50 << 20, 0.02, 0.1)}
        info = TraceInfo(f"street {seed}", days.rate_fps, spec, {MODEL: "truth"}, cost)
        street = Street(seed, days.rate_fps * _STEPS, day_s=days.day_s, start=0.0)
        for path, lasts_s in zip(paths, (days.learnt_s, days.judged_s), strict=True):
            path.unlink(missing_ok=True)
            with TraceWriter(path, info) as writer:
                for i, (frame, truth) in enumerate(street.frames(round(lasts_s * days.rate_fps), _STEPS)):
                    said = {MODEL: np.asarray(true_boxes(truth, CLASSES))}
                    writer.append(i, truth.time_s, encode_jpeg(_at(frame, days.size), _QUALITY), said)
    return Trace(paths[0]), Trace(paths[1])


def _at(frame: Array, size: tuple[int, int]) -> Array:
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
