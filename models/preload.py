"""What the fork server does once on Linux, before it makes any process: imports all that a model's process needs.

It also reads the inference library's code in. Its pages then belong to every process alike: else the first model to
run would be counted with some 10 MB of code that is there anyway, and the next one, beside it, would not.

What it imported is kept out of the garbage collector's sight. A full collection writes to every object there is, and a
page that is written to is shared no longer: one in the fork server or in a process gave a model 11 MB that no
measurement before had shown.
"""

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

from . import process

__all__ = ["process"]


def _read_in(library: str) -> None:
    with suppress(OSError):
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            addresses, permissions = line.split(maxsplit=2)[:2]
            if library in line and permissions.startswith("r") and "w" not in permissions:
                start, stop = (int(address, 16) for address in addresses.split("-"))
                ctypes.string_at(start, stop - start)


_read_in("/onnxruntime/")
gc.collect()
gc.freeze()
