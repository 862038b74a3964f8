"""The pictures that every server is asked about: JPEGs of two real clips, or made ones where there are none."""

import sys
from pathlib import Path

import cv2
import numpy as np
from infilink.codec import encode_jpeg
from infilink.outputs import Array

sys.path.insert(0, str(Path(__file__).parents[2]))
from real.data import find_data, link_models

COUNT = 32
CLIPS = {"lobby 768x432": ("lobby_person.mp4", 768, 432), "road 320x240": ("traffic_road.mp4", 320, 240)}
MODELS = {"yolox_nano": "yolox_nano_416x416", "light_person": "light_person_detector"}


def clips() -> dict[str, list[bytes]]:
    """Some JPEGs of each clip, spread over it."""
    data = find_data()
    assert data is not None, "set INFILINK_DATA to the folder of real clips and models"
    return {name: _read(data / "video" / file, width, height) for name, (file, width, height) in CLIPS.items()}


def real_model(folder: Path, name: str) -> Path:
    """A folder with that model and its spec alone."""
    data = find_data()
    assert data is not None
    return link_models(data, folder, [MODELS[name]])


def made(width: int, height: int, *, count: int = 4, quality: int = 80) -> list[bytes]:
    """JPEGs with as much detail as a street."""
    random = np.random.default_rng(0)
    coarse = (random.integers(0, 256, (40, 60, 3), np.uint8) for _ in range(count))
    return [encode_jpeg(cv2.resize(each, (width, height)), quality) for each in coarse]


def _read(path: Path, width: int, height: int) -> list[bytes]:
    video = cv2.VideoCapture(str(path))
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = set(np.linspace(0, total - 2, COUNT).astype(int).tolist())
    pictures: list[Array] = []
    for at in range(total):
        if not video.grab():
            break
        if at in wanted:
            pictures.append(cv2.resize(video.retrieve()[1], (width, height)))
    return [encode_jpeg(picture) for picture in pictures]
