"""A wrist's motion: two models that tell what somebody does, and two streams of a sensor.

Of the Human Motion Primitives (archive.ics.uci.edu, "Dataset for ADL Recognition with Wrist-worn Accelerometer"),
which you download: a folder for each activity, recordings of three columns at 32 Hz in each. Of every activity the
first 35 % train the models; the next 45 %, one after another in an order that is drawn, are the stream `learn.csv`,
and the rest is `live.csv`, which comes later.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...errors import InvalidInput
from ...outputs import Array
from .learner import accuracy, save, shares, train

RATE_HZ = 32
STEPS = 128
CHANNELS = ("x", "y", "z")
WALKS = ("Walk", "Climb_stairs", "Descend_stairs")
PARTS = (0.35, 0.45, 0.20)
_STRIDE = 32
_EPOCHS = 16
_SCALE, _OFFSET = 3.0 / 63.0, -1.5
_DECIMALS = 4


class MotionNetwork(nn.Module):
    """Three convolutions over time.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(3, 32, 7, stride=2, padding=3),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Conv1d(32, 48, 5, stride=2, padding=2),
            nn.BatchNorm1d(48),
            nn.ReLU(),
            nn.Conv1d(48, 64, 5, stride=2, padding=2),
            nn.BatchNorm1d(64),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, classes)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """A number for each class, of windows (n, 3, steps) in g."""
        seen = self.body(signal)
        return self.head(torch.cat((seen.mean(dim=2), seen.amax(dim=2)), dim=1))  # type: ignore[no-any-return]


def recordings(folder: Path) -> dict[str, list[Path]]:
    """Each activity's recordings, in the order of their times, which are their names.

    Raises:
        InvalidInput: there are none.
    """
    found = {each.name: sorted(each.glob("*.txt")) for each in sorted(folder.iterdir()) if each.is_dir()}
    found = {activity: paths for activity, paths in found.items() if paths and not activity.endswith("_MODEL")}
    if len(found) < 2:
        raise InvalidInput(
            f"{folder}: holds no folder of recordings for each activity: give the folder HMP_Dataset of the Human "
            "Motion Primitives"
        )
    return found


def moved(path: Path) -> Array:
    """A recording in g: float32 (steps, 3)."""
    return (np.loadtxt(path, dtype=np.float32, ndmin=2) * np.float32(_SCALE) + np.float32(_OFFSET)).astype(np.float32)


def windows(paths: Mapping[str, Sequence[Path]]) -> tuple[Array, list[str]]:
    """Windows of recordings, as the models take them, and what is done in each."""
    inputs, activities = [], []
    for activity, each in paths.items():
        for steps in map(moved, each):
            for start in range(0, len(steps) - STEPS + 1, _STRIDE):
                inputs.append(steps[start : start + STEPS].T)
                activities.append(activity)
    return np.stack(inputs), activities


def labelled(activity: str, model: str) -> str:
    """The class of an activity, as a model is to say it."""
    if model == "activity":
        return activity
    return "yes" if activity in WALKS else "no"


def train_models(trained: Mapping[str, Sequence[Path]], later: Mapping[str, Sequence[Path]], folder: Path) -> None:
    """Trains the models `activity` and `walking` and writes them with their specs."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs, done = windows(trained)
    tested, wanted = windows(later)
    for name, classes in (("activity", sorted(trained)), ("walking", ["no", "yes"])):
        labels, right = ([classes.index(labelled(each, name)) for each in part] for part in (done, wanted))
        network = train(partial(MotionNetwork, len(classes)), inputs, labels, epochs=_EPOCHS)
        spec = {
            "name": name,
            "input": {"modality": "signal", "channels": CHANNELS, "rate_hz": RATE_HZ, "steps": STEPS},
            "output": {"kind": "label", "classes": classes},
            "decoder": {"name": "softmax"},
        }
        save(network, folder / f"{name}.onnx", example=inputs[:1], spec=spec)
        print(f"{name}: right on {accuracy(network, tested, right):.3f} of the windows that come later")


def write_stream(paths: Mapping[str, Sequence[Path]], path: Path, *, seed: int) -> int:
    """Writes recordings one after another, as a sensor would have logged them: `time_s`, x, y, z.

    Returns:
        How many steps there are.
    """
    every = [each for activity in paths.values() for each in activity]
    order = np.random.default_rng(seed).permutation(len(every))
    steps = np.concatenate([moved(every[i]) for i in order])
    times = np.arange(len(steps))[:, None] / RATE_HZ
    form = ["%.5f", *[f"%.{_DECIMALS}f"] * len(CHANNELS)]
    header = ",".join(("time_s", *CHANNELS))
    np.savetxt(path, np.hstack((times, steps)), fmt=form, delimiter=",", header=header, comments="")
    return len(steps)


def prepare(dataset: Path, out: Path) -> None:
    """Makes `models/`, `learn.csv` and `live.csv` of the dataset's folder.

    Raises:
        InvalidInput: the folder holds no such recordings.
    """
    found = recordings(dataset)
    trained, learnt, later = (
        {activity: paths[shares(len(paths), *PARTS)[part]] for activity, paths in found.items()} for part in range(3)
    )
    train_models(trained, later, out / "models")
    lengths = [write_stream(part, out / f"{name}.csv", seed=0) for name, part in (("learn", learnt), ("live", later))]
    told = ", ".join(
        f"{steps / RATE_HZ / 60:.0f} min in {name}.csv" for name, steps in zip(("learn", "live"), lengths, strict=True)
    )
    print(f"{out}: models/, {told}")


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="the dataset's folder, HMP_Dataset")
    parser.add_argument("--out", type=Path, default=Path("wrist"), help="where models and streams are written")
    given = parser.parse_args()
    prepare(given.dataset, given.out)


if __name__ == "__main__":
    main()
