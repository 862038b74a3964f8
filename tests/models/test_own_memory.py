"""What a process takes by itself, whoever else is at work on the machine."""

import mmap
import os
from pathlib import Path

from infilink.models.own_memory import own_bytes

SIZE_BYTES = 32 * 2**20


def test_what_it_has_written_counts_and_pages_of_files_only_if_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.write(bytes(SIZE_BYTES))
        file.flush()
        # What is not on disk yet is nobody's to take back.
        os.fsync(file.fileno())
    before, before_with = own_bytes(os.getpid()), own_bytes(os.getpid(), with_files=True)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[at] for at in range(0, SIZE_BYTES, mmap.PAGESIZE)) == 0
        assert own_bytes(os.getpid()) - before < SIZE_BYTES / 2
        assert own_bytes(os.getpid(), with_files=True) - before_with > SIZE_BYTES / 2
    written = bytearray(os.urandom(SIZE_BYTES))
    assert own_bytes(os.getpid()) - before > SIZE_BYTES / 2
    del written


def test_a_process_that_is_not_there_takes_nothing() -> None:
    assert own_bytes(2**22 + 1) == 0
