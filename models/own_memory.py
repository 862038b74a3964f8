"""What a process takes by itself: what would be free again if it ended."""

from contextlib import suppress
from pathlib import Path

import psutil


def own_bytes(pid: int, *, with_files: bool = False) -> int:
    """The memory that a process has to itself now; 0 if it is not there.

    Pages of libraries that it alone happens to use are left out: as other processes of the machine come and go they are
    its own at one moment and not at the next, and the system takes them back as it wants.

    Args:
        pid: the process.
        with_files: whether pages of files count, too: it keeps its weights in some.
    """
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        try:
            counted = ("Private_Dirty:", "Private_Hugetlb:", *(("Private_Clean:",) if with_files else ()))
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(counted))
        except (OSError, ValueError, IndexError):
            pass  # Another system than Linux, or it has just ended.
        try:
            return int(process.memory_full_info().uss)
        except psutil.AccessDenied:
            # That of one's own process only is told, as on macOS.
            return int(process.memory_info().rss)
    return 0
