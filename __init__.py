"""infilink: learned input filters on the device, model links in the cloud, and an accuracy contract on both."""

import os
import signal
import sys
import threading
from types import FrameType

__version__ = "0.1.0"
EXIT_INTERRUPTED = 130

_INTERRUPTED = threading.Event()


def main() -> None:
    """The `infilink` command: from its first moment on Ctrl-C ends it with one line, whatever is just being loaded."""
    leave_at_once()
    from .cli import main as run

    run()


def leave_at_once() -> None:
    """Has Ctrl-C end the process at once, while nothing runs that could be ended tidily.

    As an exception in the middle of an import it would come out as a traceback, or as whatever the import makes of it.
    """
    signal.signal(signal.SIGINT, _leave)


def leave_tidily() -> None:
    """Has Ctrl-C raise KeyboardInterrupt; what an import or a destructor makes of that is kept from the terminal."""
    signal.signal(signal.SIGINT, _interrupt)


def was_interrupted() -> bool:
    """Whether there was a Ctrl-C: then every exception comes from it."""
    return _INTERRUPTED.is_set()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _INTERRUPTED.set()
    sys.unraisablehook = lambda _: None
    raise KeyboardInterrupt


def _leave(_number: int, _frame: FrameType | None) -> None:
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"error: interrupted\n")
    os._exit(EXIT_INTERRUPTED)
