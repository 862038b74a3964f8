"""A stream's spool as its run opens it: under which name, for which source, and where that goes on."""

import hashlib
import json
from pathlib import Path
from typing import Any

from .camera.kept_view import KeptView
from .capture import Capture
from .config import DeviceConfig
from .results import ResultsFile
from .uplink.spool import Spool

_ONLY = "_only"
"""No stream can be called so."""


def open_spool(config: DeviceConfig, stream: str, *, live: bool) -> Spool | None:
    """A stream's spool; None: it has none.

    Raises:
        InvalidInput: another agent uses it, or a newer infilink wrote it.
    """
    folder = config.spool.folder
    if folder is None:
        return None
    return Spool(config.spool, folder / f"{stream or _ONLY}.spool", live=live)


def kept_view(spool: Spool | None, gate: str) -> KeptView | None:
    """Where what a stream's camera sees outlives the agent; None: nowhere, or it is no camera.

    Args:
        spool: the stream's; None: it has none.
        gate: the digest of its gate.
    """
    return KeptView(spool.path.with_suffix(".view"), gate) if spool is not None and spool.live else None


def open_results(config: DeviceConfig, stream: str, spool: Spool | None, *, live: bool) -> ResultsFile | None:
    """A stream's results file; None: it has none. A recording begins a new one, but where it goes on.

    Raises:
        InvalidInput: it can't be used.
    """
    if config.results is None:
        return None
    return ResultsFile(
        config.results,
        anew=not live and (spool is None or not spool.can_go_on(source_identity(config))),
        stream=stream,
        most_bytes=config.results_bytes,
        waits=not live,
        every_s=config.spool.sync_every_s,
        durable=spool is not None,
        alone=True,
    )


def go_on(capture: Capture, spool: Spool | None, config: DeviceConfig, results: ResultsFile | None) -> None:
    """Begins the run's session, or goes on with it, and has the source go on where that stopped.

    Args:
        capture: the source.
        spool: the spool; None: there is none.
        config: the stream's settings.
        results: its results file; None: it has none.
    """
    written = 0 if results is None else results.next_sequence
    if spool is None:
        capture.first = written
        return
    if results is not None and results.aside is not None:
        spool.move_results(str(results.path), str(results.aside))
    # Before the run reserves some of its own.
    source, following = source_identity(config), spool.next_sequence
    went_on = spool.can_go_on(source)
    path, last_s = ("", 0.0) if results is None else (str(results.path), results.last_captured_s)
    session = spool.begin(source, results=path, floor_s=last_s)
    capture.offset_s = spool.clock.offset_s
    capture.first = max(following, written)
    if went_on:
        # What was not written of the inputs that were not sent is decided on again.
        missing, there = (session.position + 1, frozenset[int]()) if results is None else results.gap(config.every)
        capture.begins = min(session.position + 1, missing)
        capture.done = frozenset(sequence for sequence in there if sequence <= session.position)


def spool_report(spool: Spool | None, late: int) -> dict[str, Any]:
    """What a Report says of a spool and of the results that came late; None: there is no spool."""
    if spool is None:
        return {}
    waiting = spool.waiting()
    return {
        "spooled": waiting.count,
        "spooled_bytes": waiting.size_bytes,
        "spool_oldest_s": waiting.oldest_s,
        "spool_dropped": spool.dropped,
        "spool_state": spool.state,
        "late": late,
        "taken": spool.taken,
    }


def source_identity(config: DeviceConfig) -> str:
    """What a source's inputs are, without secrets: those of another one, or another file, are another session."""
    path = Path(config.source)
    file = None
    if path.is_file():
        stat = path.stat()
        file = [stat.st_size, stat.st_mtime_ns]
    cut = config.cut.model_dump(mode="json")
    parts = [config.source_name, config.start_s, config.seconds, config.loop, config.every, cut, file]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
