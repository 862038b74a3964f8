"""What every source must do, found by the classes in `infilink.device.sources`; `OPENED` opens one of each."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import infilink.device.sources
import numpy as np
import pytest
from infilink.device.sources.base import Source
from infilink.device.sources.open import open_source
from infilink.errors import InfilinkError

from ..clips import Stream, write_clip

FRAMES = 12
OPENED: dict[str, Callable[[Path, str], Source]] = {
    "VideoSource": lambda video, _: open_source(str(video)),
    "VideoSource by its address": lambda video, _: open_source(video.as_uri()),
    "VideoSource from its middle": lambda video, _: open_source(str(video), start_s=0.5),
    "VideoSource in a loop": lambda video, _: open_source(str(video), loop=True),
    "VideoSource of a stream": lambda _, address: open_source(address),
}
MISSING = {
    "VideoSource": lambda folder: str(folder / "none.avi"),
    "VideoSource by its address": lambda folder: (folder / "none.avi").as_uri(),
    "VideoSource of a stream": lambda _: "tcp://127.0.0.1:1",
}
"""The name of a source that is not there."""


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("video") / "v.ts", frames=FRAMES, bf="0")


@pytest.fixture(scope="module")
def address(video) -> Iterator[str]:
    with Stream(video.read_bytes()) as stream:
        yield stream.address


@pytest.fixture(params=OPENED)
def source(request, video, address):
    with OPENED[request.param](video, address) as opened:
        yield opened


def sources() -> set[str]:
    """The names of all classes that give frames and can be closed."""
    path, name = infilink.device.sources.__path__, infilink.device.sources.__name__
    modules = [importlib.import_module(f"{name}.{each.name}") for each in pkgutil.iter_modules(path)]
    found = [each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)]
    return {each.__name__ for each in found if {"__iter__", "close"} <= vars(each).keys() and each is not Source}


def test_every_source_is_checked():
    assert {name.partition(" ")[0] for name in OPENED} == {name.partition(" ")[0] for name in MISSING} == sources()


def test_frames_are_numbered_without_gaps_and_their_times_never_go_back(source):
    frames = list(islice(source, FRAMES // 2))
    assert len(frames) == FRAMES // 2
    numbers = [frame.sequence for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(frames))) and numbers[0] >= 0
    times = np.asarray([frame.captured_s for frame in frames])
    assert (np.diff(times) >= 0).all() and np.isfinite(times).all()
    assert all((frame.source_s is None) == source.live for frame in frames)


def test_a_frame_is_a_picture_of_its_own(source):
    frames = list(islice(source, 3))
    before = [frame.value.copy() for frame in frames]
    for frame in frames:
        assert frame.value.dtype == np.uint8 and frame.value.shape == (48, 64, 3)
        assert frame.value.flags.c_contiguous
    next(iter(source))
    assert all(np.array_equal(frame.value, kept) for frame, kept in zip(frames, before, strict=True))
    assert not np.shares_memory(frames[0].value, frames[1].value)


def test_it_says_what_it_is(source, video):
    assert source.name.startswith("tcp://") if source.live else video.name in source.name
    assert source.inputs_per_s == 10
    assert source.input_count is None or 0 < source.input_count <= FRAMES
    assert source.times == "read"


def test_it_closes_twice_and_gives_nothing_more(source):
    next(iter(source))
    source.close()
    source.close()
    with pytest.raises((StopIteration, InfilinkError)):
        next(iter(source))


@pytest.mark.parametrize("kind", MISSING)
def test_what_is_not_there_is_one_line_that_names_it(kind, tmp_path):
    name = MISSING[kind](tmp_path)
    with pytest.raises(InfilinkError) as raised:
        open_source(name)
    assert name in str(raised.value) and "\n" not in str(raised.value)
