"""Rendered frames and their ground truth, as arrays to train and test the street's models on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ...codec import decode_jpeg, encode_jpeg
from ...outputs import Array
from .backdrop import Backdrop
from .networks import STRIDE
from .street import Street
from .truth import Truth
from .views import VIEWS

# One frame in so many is drawn: 3 s apart, neighbours show other people and other traffic.
APART = 45


@dataclass(frozen=True)
class Frames:
    """Frames, compressed once as a camera's would be, in the models' input size, and their ground truth."""

    images: Array
    truths: list[Truth]


def render_frames(
    seeds: Sequence[int], per_seed: int, size: tuple[int, int], progress: Callable[[int, int], None]
) -> Frames:
    """Draws frames of every camera of the site, the views in turn and every second day a busy one.

    Args:
        seeds: one day of one camera for each.
        per_seed: how many frames of it.
        size: the pictures', width and height.
        progress: called with how many are drawn and how many there will be.

    Returns:
        Images RGB uint8 (n, h, w, 3), and what they show.
    """
    rng = np.random.default_rng(seeds[0])
    backdrops = {name: Backdrop(camera) for name, camera in VIEWS.items()}
    total = len(seeds) * per_seed
    images = np.empty((total, size[1], size[0], 3), np.uint8)
    truths: list[Truth] = []
    for turn, seed in enumerate(seeds):
        name = list(VIEWS)[turn % len(VIEWS)]
        # A slightly shorter day, so that each seed shows the whole of one.
        day_s, busy = per_seed * APART / 15.0 * 0.9, bool(turn // len(VIEWS) % 2)
        street = Street(seed, day_s=day_s, backdrop=backdrops[name], camera=VIEWS[name], busy=busy)
        for frame, truth in street.frames(per_seed, every=APART):
            sent = decode_jpeg(encode_jpeg(frame, int(rng.integers(55, 95))))
            pixels = cv2.cvtColor(sent, cv2.COLOR_BGR2RGB)
            images[len(truths)] = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
            truths.append(truth)
            progress(len(truths), total)
    return Frames(images, truths)


def label_targets(truths: list[Truth], field: str, classes: Sequence[str]) -> Array:
    """int64 (n,): the index of the truth's `field` in `classes`."""
    return np.asarray([classes.index(str(getattr(truth, field))) for truth in truths], np.int64)


def cyclist_targets(truths: list[Truth]) -> Array:
    """int64 (n,): 1 where a cyclist can be seen."""
    return np.asarray([any(box.kind == "cyclist" for box in truth.boxes) for truth in truths], np.int64)


def count_targets(truths: list[Truth], field: str) -> Array:
    """float32 (n, 1): the truth's `field`."""
    return np.asarray([[getattr(truth, field)] for truth in truths], np.float32)


def box_targets(truths: list[Truth], classes: Sequence[str], size: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Centre-point targets: heat uint8 (n, classes, h/4, w/4) of 0..255, sides float16 (n, 4, ..), centres bool."""
    width, height = size[0] // STRIDE, size[1] // STRIDE
    ys, xs = np.mgrid[0:height, 0:width]
    heat = np.zeros((len(truths), len(classes), height, width), np.uint8)
    sides = np.zeros((len(truths), 4, height, width), np.float16)
    centres = np.zeros((len(truths), 1, height, width), bool)
    for i, truth in enumerate(truths):
        for box in truth.boxes:
            if box.kind not in classes:
                continue
            x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
            column, row = min(int(x * width), width - 1), min(int(y * height), height - 1)
            spread_x = max(0.6, (box.x2 - box.x1) * width / 8)
            spread_y = max(0.6, (box.y2 - box.y1) * height / 8)
            bump = np.exp(-(((xs - column) / spread_x) ** 2 + ((ys - row) / spread_y) ** 2) / 2)
            channel = heat[i, classes.index(box.kind)]
            np.maximum(channel, np.rint(bump * 255).astype(np.uint8), out=channel)
            # The cells around a centre learn the sides too, so that a peak one cell off still gives the box.
            near = (np.abs(xs - column) <= 1) & (np.abs(ys - row) <= 1)
            cx, cy = (xs[near] + 0.5) / width, (ys[near] + 0.5) / height
            sides[i][:, near] = np.stack([cx - box.x1, cy - box.y1, box.x2 - cx, box.y2 - cy])
            centres[i, 0][near] = True
    return heat, sides, centres


def true_boxes(truth: Truth, classes: Sequence[str]) -> Array:
    """The ground truth's boxes of some classes, in the form of `outputs.py`."""
    rows = [(b.x1, b.y1, b.x2, b.y2, 1.0, classes.index(b.kind)) for b in truth.boxes if b.kind in classes]
    return np.asarray(rows, np.float32).reshape(-1, 6)
