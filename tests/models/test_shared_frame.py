"""A frame in shared memory: what one side writes the other reads, and nothing is left behind."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from infilink.models.shared_frame import FrameReader, SharedFrame

FRAMES = [np.full((4, 6, 3), 7, np.uint8), np.arange(24, dtype=np.uint8).reshape(2, 4, 3), np.ones(5, np.uint8)]


@pytest.mark.parametrize("named", [False, True], ids=["memory without a name", "a file, where there is none such"])
def test_what_is_written_is_read_from_the_same_memory(named: bool, tmp_path: Path, monkeypatch) -> None:
    if named:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared, reader = SharedFrame(FRAMES[0].size), FrameReader()
    assert len(list(tmp_path.iterdir())) == int(named or not hasattr(os, "memfd_create"))
    for frame in FRAMES:
        shared.write(frame)
        read = reader.read(shared.path, shared.size, frame.shape)
        np.testing.assert_array_equal(read, frame)
    shared.write(FRAMES[2] * 9)
    assert read.tolist() == [9] * 5, "it is not copied"
    assert not read.flags.writeable
    shared.close()
    assert not list(tmp_path.iterdir())
    assert read.tolist() == [9] * 5, "the reader's view outlives it"


def test_a_reader_takes_the_next_memory_when_frames_grow() -> None:
    small, reader = SharedFrame(3), FrameReader()
    small.write(np.full(3, 1, np.uint8))
    assert reader.read(small.path, small.size, (3,)).tolist() == [1, 1, 1]
    small.close()
    large = SharedFrame(4)
    large.write(np.full(4, 2, np.uint8))
    assert reader.read(large.path, large.size, (4,)).tolist() == [2, 2, 2, 2]
    large.close()
