"""A clip whose frames can be told apart, and coordinators over real gRPC."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from .coordinator import Coordinator

FRAMES = 30


def brightness(index: int) -> int:
    """Of the clip's frame `index`."""
    return 5 + 8 * index


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds at 10 frames a second, each frame brighter than the one before it."""
    path = tmp_path_factory.mktemp("video") / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for index in range(FRAMES):
        writer.write(np.full((48, 64, 3), brightness(index), np.uint8))
    writer.release()
    return path


@pytest.fixture
def start_coordinator() -> Iterator[Callable[..., Coordinator]]:
    """Starts coordinators, which are gone at the end."""
    started: list[Coordinator] = []

    def start(*arguments: object, **options: object) -> Coordinator:
        started.append(Coordinator(*arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def coordinator(start_coordinator: Callable[..., Coordinator]) -> Coordinator:
    """One that answers when the test says so."""
    return start_coordinator()
