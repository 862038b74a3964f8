"""Spoken digits: two models that hear them, and sounds to learn from and to try it on.

Of the recordings of github.com/Jakobovski/free-spoken-digit-dataset, which you download: files called
`DIGIT_SPEAKER_NUMBER.wav`. In an order that is drawn, 40 % train the models, 36 % are to be recorded (`learn/`), and
the rest comes later (`live/`).
"""

import argparse
import shutil
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...errors import InvalidInput
from ...outputs import Array
from .learner import accuracy, save, shares, train

RATE_HZ = 8000
LENGTH = 8000
PARTS = (0.40, 0.36, 0.24)
_WINDOW, _HOP = 256, 128
_EPOCHS = 16
_MOST_SHIFT = 600


@dataclass(frozen=True)
class Spoken:
    """One recording: its file, the digit, and who says it."""

    path: Path
    digit: str
    speaker: str


class HearingNetwork(nn.Module):
    """A spectrogram within the graph, and three convolutions over it.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        angles = 2 * np.pi * np.outer(np.arange(1, _WINDOW // 2 + 1), np.arange(_WINDOW)) / _WINDOW
        waves = np.concatenate([np.cos(angles), np.sin(angles)]) * np.hanning(_WINDOW)
        self.register_buffer("waves", torch.as_tensor(waves[:, None], dtype=torch.float32))
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64 * 8, classes)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """A number for each class, of sounds (n, samples) from -1 to 1."""
        both = nn.functional.conv1d(sound[:, None], self.waves, stride=_HOP)  # type: ignore[arg-type]
        real, imaginary = both.chunk(2, dim=1)
        loud = torch.log(real * real + imaginary * imaginary + 1e-4)
        seen = self.body(loud[:, None])
        # Over time the mean; of the pitch eight bands.
        bands = seen.mean(dim=3).reshape(seen.shape[0], 64, 8, -1).mean(dim=3)
        return self.head(bands.flatten(1))  # type: ignore[no-any-return]


def spoken(folder: Path) -> list[Spoken]:
    """The recordings in a folder, in the order that is drawn.

    Raises:
        InvalidInput: there are none.
    """
    found = []
    for path in sorted(folder.glob("*_*_*.wav")):
        digit, speaker, _ = path.stem.split("_", 2)
        found.append(Spoken(path, digit, speaker))
    if len(found) < 100:
        raise InvalidInput(
            f"{folder}: holds {len(found)} recordings called DIGIT_SPEAKER_NUMBER.wav: give the folder `recordings` of "
            "github.com/Jakobovski/free-spoken-digit-dataset"
        )
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


def heard(path: Path) -> Array:
    """A recording as the models hear it: float32 (LENGTH,), followed by silence or cut."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[:LENGTH]
    return np.pad(samples / np.float32(32768), (0, LENGTH - len(samples))).astype(np.float32)


def shifted(batch: torch.Tensor) -> torch.Tensor:
    """Later or earlier, louder or softer."""
    moved = torch.roll(batch, int(torch.randint(-_MOST_SHIFT, _MOST_SHIFT + 1, ())), dims=1)
    return moved * torch.empty(len(batch), 1).uniform_(0.6, 1.4)


def train_models(recordings: Sequence[Spoken], tested: Sequence[Spoken], folder: Path, *, epochs: int) -> None:
    """Trains the models `digit` and `speaker` and writes them with their specs."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs, later = (np.stack([heard(each.path) for each in part]) for part in (recordings, tested))
    for name in ("digit", "speaker"):
        classes = sorted({getattr(each, name) for each in recordings})
        labels, wanted = ([classes.index(getattr(each, name)) for each in part] for part in (recordings, tested))
        network = train(partial(HearingNetwork, len(classes)), inputs, labels, epochs=epochs, augment=shifted)
        spec = {
            "name": name,
            "input": {"modality": "audio", "rate_hz": RATE_HZ, "length": LENGTH},
            "output": {"kind": "label", "classes": classes},
            "decoder": {"name": "softmax"},
        }
        save(network, folder / f"{name}.onnx", example=inputs[:1], spec=spec)
        print(f"{name}: right on {accuracy(network, later, wanted):.3f} of the sounds that come later")


def write_sounds(recordings: Sequence[Spoken], folder: Path) -> None:
    """Copies recordings into a folder, where the order of their names is that in which they are to come."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(recordings):
        shutil.copyfile(each.path, folder / f"{number:04d}_{each.path.name}")


def prepare(recordings: Path, out: Path, *, epochs: int = _EPOCHS) -> None:
    """Makes `models/`, `learn/` and `live/` of the dataset's folder.

    Raises:
        InvalidInput: the folder holds no such recordings.
    """
    found = spoken(recordings)
    trained, learnt, later = (found[part] for part in shares(len(found), *PARTS))
    train_models(trained, later, out / "models", epochs=epochs)
    write_sounds(learnt, out / "learn")
    write_sounds(later, out / "live")
    print(f"{out}: models/, {len(learnt)} sounds in learn/, {len(later)} in live/")


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, help="the dataset's folder `recordings`")
    parser.add_argument("--out", type=Path, default=Path("digits"), help="where models and sounds are written")
    parser.add_argument("--epochs", type=int, default=_EPOCHS)
    given = parser.parse_args()
    prepare(given.recordings, given.out, epochs=given.epochs)


if __name__ == "__main__":
    main()
