"""What a daemon tells systemd that started it: that it serves, that it is alive, what it does, that it stops."""

import os
import socket
from contextlib import suppress


def notify(*states: str) -> None:
    """Tells whoever started this as `Type=notify`; nobody else has set the variable.

    Args:
        states: `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=...`, as in sd_notify(3).
    """
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name or not states:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, suppress(OSError):
        # A name that begins with @ is one without a file. A full queue must not hold a daemon up.
        told.setblocking(False)
        told.sendto("\n".join(states).encode(), f"\0{name[1:]}" if name.startswith("@") else name)


def watchdog_s() -> float | None:
    """After how long without `WATCHDOG=1` systemd starts this process anew; None: it does not."""
    try:
        after_s = int(os.environ["WATCHDOG_USEC"]) / 1e6
        owner = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return after_s if after_s > 0 and owner == os.getpid() else None
