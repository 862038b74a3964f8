"""A rendered street day as recordings: small people and cyclists among traffic, with the truth as the model."""

from pathlib import Path

import numpy as np
from infilink.codec import encode_jpeg
from infilink.examples.street.dataset import true_boxes
from infilink.examples.street.street import Street
from infilink.examples.street.truth import CLASSES
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

MODEL = "truth"
RULES = {"count(person) == 0": ("person",), "count(cyclist) == 0": ("cyclist",)}
RATE_FPS = 5.0
LEARNT_S, JUDGED_S = 360.0, 540.0
"""A day with its night is learnt from; what is judged is the next one and a half."""
_STEPS = 2
_QUALITY = 85


def street_day(folder: Path, seed: int) -> tuple[Trace, Trace]:
    """What is learnt from, and what is judged later."""
    paths = [folder / f"street{seed}.{part}" for part in ("learnt", "judged")]
    if not all(path.exists() for path in paths):
        output = OutputSpec(kind="boxes", classes=CLASSES, measure="counts")
        spec = {MODEL: ModelSpec(name=MODEL, output=output)}
        cost = {MODEL: ModelCost(50 << 20, 0.02, 0.1)}
        info = TraceInfo(f"street {seed}", RATE_FPS, spec, {MODEL: "truth"}, cost)
        street = Street(seed, RATE_FPS * _STEPS, start=0.0)
        for path, lasts_s in zip(paths, (LEARNT_S, JUDGED_S), strict=True):
            path.unlink(missing_ok=True)
            with TraceWriter(path, info) as writer:
                for i, (frame, truth) in enumerate(street.frames(round(lasts_s * RATE_FPS), _STEPS)):
                    said = {MODEL: np.asarray(true_boxes(truth, CLASSES))}
                    writer.append(i, truth.time_s, encode_jpeg(frame, _QUALITY), said)
    return Trace(paths[0]), Trace(paths[1])
