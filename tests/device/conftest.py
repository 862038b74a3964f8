"""A clip whose frames can be told apart, and coordinators over real gRPC."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from infilink.device.agent import Agent

from .coordinator import TIMEOUT_S, Coordinator

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


@pytest.fixture
def run_beside() -> Iterator[Callable[[Agent], threading.Thread]]:
    """Runs agents in threads; all have ended at the end."""
    started: list[tuple[Agent, threading.Thread]] = []

    def run(agent: Agent) -> threading.Thread:
        thread = threading.Thread(target=agent.run)
        started.append((agent, thread))
        thread.start()
        return thread

    yield run
    for agent, thread in started:
        agent.stop()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object]) -> None:
    """Waits for what another thread makes true."""
    pause, ends = threading.Event(), time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < ends
        pause.wait(0.01)
