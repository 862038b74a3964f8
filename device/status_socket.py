"""What an agent does now, for whoever asks on this machine: over a Unix socket, without any coordinator."""

import json
import logging
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import InvalidInput

logger = logging.getLogger(__name__)

_SYSTEM = Path("/run/infilink")
_ANSWERS_WITHIN_S = 5.0
_MOST_BYTES = 2**24
_MOST_SOCKETS = 256


@contextmanager
def serve_status(read: Callable[[], Mapping[str, Any]]) -> Iterator[Path | None]:
    """Answers who asks while the body runs; gives the socket, None where there can be none, which is logged.

    Args:
        read: what there is to tell, as plain values; called from a thread of its own.
    """
    try:
        path = _own_folder() / f"{os.getpid()}.sock"
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX)
        try:
            server.bind(str(path))
            path.chmod(0o600)
            server.listen(4)
        except BaseException:
            server.close()
            raise
    except (OSError, InvalidInput) as error:
        logger.warning("`infilink device status` will not find this agent: %s", error)
        yield None
        return
    closed = threading.Event()
    thread = threading.Thread(target=_serve, args=(server, read, closed), name="status", daemon=True)
    thread.start()
    try:
        yield path
    finally:
        closed.set()
        # Wakes the thread, which `close` alone does not.
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(_ANSWERS_WITHIN_S)
        with suppress(OSError):
            path.unlink()


def running_agents() -> list[dict[str, Any]]:
    """What every agent of this machine says of itself that may be asked by this user, by name."""
    found = []
    for path in _sockets():
        with suppress(OSError, ValueError):
            found.append(_ask(path))
    return sorted(found, key=lambda each: (str(each.get("name")), int(each.get("pid", 0))))


def _serve(server: socket.socket, read: Callable[[], Mapping[str, Any]], closed: threading.Event) -> None:
    while not closed.is_set():
        try:
            client, _ = server.accept()
        except OSError:
            # As when this process has no more files to give.
            closed.wait(1.0)
            continue
        # One that asks and does not read holds up who comes after it, and nothing else.
        with client, suppress(OSError):
            client.settimeout(_ANSWERS_WITHIN_S)
            try:
                told = json.dumps(dict(read()))
            except Exception as error:
                logger.exception("the status can't be told")
                told = json.dumps({"error": repr(error)})
            client.sendall(told.encode())


def _ask(path: Path) -> dict[str, Any]:
    """What the agent behind a socket says.

    Raises:
        OSError: nobody is there, or it does not answer in time.
        ValueError: what comes is no such thing.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_ANSWERS_WITHIN_S)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            # Of an agent that was killed.
            with suppress(OSError):
                path.unlink()
            raise
        parts: list[bytes] = []
        while (part := client.recv(2**16)) and sum(map(len, parts)) < _MOST_BYTES:
            parts.append(part)
    told = json.loads(b"".join(parts))
    if not isinstance(told, dict):
        raise ValueError(f"{path}: is no agent's socket")
    return told


def _sockets() -> list[Path]:
    """The sockets of agents: of this user, and of those that systemd runs."""
    # What another user has put where this one's would be is not asked.
    folders = [each for each in _usual_folders() if _is_own(each)]
    with suppress(OSError):
        folders += [_SYSTEM, *_SYSTEM.iterdir()]
    found: list[Path] = []
    for folder in dict.fromkeys(folders):
        with suppress(OSError):
            found += sorted(folder.glob("*.sock"))
    return found[:_MOST_SOCKETS]


def _usual_folders() -> list[Path]:
    """Where a process of this user puts its socket: the first that it may."""
    found = [Path(text.partition(":")[0]) for text in [os.environ.get("RUNTIME_DIRECTORY", "")] if text]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime:
        found.append(Path(runtime) / "infilink")
    return [*found, Path(tempfile.gettempdir()) / f"infilink-{os.getuid()}"]


def _own_folder() -> Path:
    """The folder for this process's socket, which nobody else may write to; made if it is missing.

    Raises:
        InvalidInput: another user has made it, or others may write to it.
        OSError: there can be none.
    """
    error: OSError | None = None
    for folder in _usual_folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as raised:
            error = raised
            continue
        if not _is_own(folder):
            raise InvalidInput(f"{folder}: is not this user's alone: remove it")
        return folder
    raise error or InvalidInput("there is no folder for its socket")


def _is_own(folder: Path) -> bool:
    """Whether only this user may write there."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
