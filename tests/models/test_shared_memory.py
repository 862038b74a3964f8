"""An array in shared memory: what one side writes the other reads, and nothing is left behind."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from infilink.models.shared_memory import SharedReader, SharedWriter

ARRAYS = [np.full((4, 6, 3), 7, np.uint8), np.arange(6, dtype=np.float16).reshape(2, 3), np.ones(5, np.int64)]


@pytest.mark.parametrize("named", [False, True], ids=["memory without a name", "a file, where there is none such"])
def test_what_is_written_is_read_from_the_same_memory(named: bool, tmp_path: Path, monkeypatch) -> None:
    if named:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shared, reader = SharedWriter(), SharedReader()
    for array in ARRAYS:
        read = reader.read(shared.write(array))
        np.testing.assert_array_equal(read, array)
        assert read.dtype == array.dtype
        assert len(list(tmp_path.iterdir())) == int(named or not hasattr(os, "memfd_create"))
    shared.write(ARRAYS[2] * 9)
    assert read.tolist() == [9] * 5, "it is not copied"
    assert not read.flags.writeable
    shared.close()
    assert not list(tmp_path.iterdir())
    assert read.tolist() == [9] * 5, "the reader's view outlives it"


def test_several_lie_beside_each_other_none_too_small() -> None:
    shared, reader = SharedWriter(), SharedReader()
    arrays = {"a": ARRAYS[0], "none": np.empty((0, 3), np.float32), "b": ARRAYS[1], "one": np.asarray(True)}
    places = shared.write_all(arrays)
    for name, array in arrays.items():
        read = reader.read(places[name])
        np.testing.assert_array_equal(read, array)
        assert (read.shape, read.dtype, read.ctypes.data % 8) == (array.shape, array.dtype, 0)
    shared.close()


def test_a_reader_takes_the_next_memory_when_arrays_grow_or_a_path_names_another() -> None:
    reader = SharedReader()
    for size in (3, 4, 4):
        shared = SharedWriter()
        assert reader.read(shared.write(np.full(size, size, np.uint8))).tolist() == [size] * size
        shared.write(np.zeros(9, np.uint8))
        assert reader.read(shared.write(np.full(9, 2, np.uint8))).tolist() == [2] * 9
        shared.close()
    assert len(reader._mapped) == 1, "what is gone is not kept mapped"


def test_a_reader_keeps_only_so_much_mapped_and_what_it_gave_lives_on() -> None:
    reader, writers = SharedReader(), [SharedWriter() for _ in range(4)]
    read = [reader.read(each.write(np.full(2**25, number, np.uint8))) for number, each in enumerate(writers)]
    assert len(reader._mapped) == 2
    large = reader.read(writers[0].write(np.full(2**27, 9, np.uint8)))
    assert not reader._mapped, "what is larger than all that may be kept is not kept"
    assert [array[-1] for array in read] == [0, 1, 2, 3] and large[-1] == 9
    for each in writers:
        each.close()
