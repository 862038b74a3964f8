"""Whether an agent will do what its settings say: looked at before anything starts, down to a first input."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from ..errors import InfilinkError, InvalidInput
from ..models.doctor import Finding, disk, guarded
from .config import DeviceConfig, load_config
from .doctor_stream import StreamCheck
from .results_table import check_own, check_stream
from .sinks.open_sinks import OpenSinks
from .status_socket import running_agents

_SPOOL_LEAST_BYTES = 256 * 2**20
_HOT_C = 80.0
_WARM_C = 70.0
_MOUNTS = Path("/proc/self/mountinfo")


def check(path: Path) -> Iterator[Finding]:
    """Looks at an agent's configuration, and at everything that it names.

    Args:
        path: the TOML file.
    """
    try:
        config = load_config(path)
    except InfilinkError as error:
        yield Finding("config", "wrong", str(error))
        return
    yield from check_config(config, what=str(path))


def check_config(config: DeviceConfig, *, what: str = "the options") -> Iterator[Finding]:
    """The same for settings that were read already.

    Args:
        config: the settings.
        what: where they come from.
    """
    streams = config.by_stream()
    named = f" with the streams {', '.join(streams)}" if config.streams else ""
    yield Finding("config", "ok", f"{what}: an agent's, {config.name}{named}")
    running = [each for each in running_agents() if each.get("name") == config.name]
    if running:
        yield Finding(
            "agent",
            "note",
            f"an agent called {config.name} runs here as process {running[0].get('pid')}: its sources may be in use, "
            "and the coordinator is not greeted in its name",
            "infilink device status",
        )
    for name, settings in streams.items():
        yield from guarded("stream", StreamCheck(name, settings, greets=not running).findings)
    if not running:
        yield from guarded("sinks", partial(_listeners, config, streams))
    for name, settings in streams.items():
        yield from guarded("results", partial(_results, name, settings))
    for folder, key in _folders(streams).items():
        yield from guarded("disk", partial(_folder, folder, key))
    yield from guarded("heat", _heat)


def _listeners(config: DeviceConfig, streams: dict[str, DeviceConfig]) -> Iterator[Finding]:
    """Tries who is told of results and figures: files are opened, addresses listened on, programs looked for."""
    sinks = [*dict.fromkeys(sink for settings in streams.values() for sink in settings.sinks)]
    with ExitStack() as stack:
        if config.metrics_listen is not None:
            from .scrape import serve_metrics

            stack.enter_context(serve_metrics(lambda: {}, config.metrics_listen))
            yield Finding("metrics", "ok", f"can be listened on: {config.metrics_listen}")
        stack.enter_context(OpenSinks().used(sinks))
        if sinks:
            yield Finding("sinks", "ok", f"can be opened: {', '.join(sink.kind for sink in sinks)}")


def _results(stream: str, config: DeviceConfig) -> Iterator[Finding]:
    """Looks whether the results file, if it is there, can be gone on with."""
    path = config.results
    if path is None or not path.exists():
        return
    if not path.is_file():
        raise InvalidInput(f"{path}: is no file, and `results` is to be one")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            check_own(database, path)
            check_stream(database, path, stream)
    except sqlite3.DatabaseError as error:
        raise InvalidInput(f"{path}: can't be read as a results file: {error}") from error
    yield Finding("results", "ok", f"{path}: is there, and can be read")


def _folders(streams: dict[str, DeviceConfig]) -> dict[Path, str]:
    """The folders that are written to, each with the key that names it."""
    found: dict[Path, str] = {}
    for settings in streams.values():
        for key in ("results", "update", "cache"):
            path = getattr(settings, key)
            if path is not None:
                found.setdefault(path.absolute().parent, key)
        if settings.spool.folder is not None:
            found.setdefault(settings.spool.folder.absolute(), "spool.folder")
        if settings.event_pictures is not None:
            found.setdefault(settings.event_pictures.folder.absolute(), "event_pictures.folder")
    return found


def _folder(folder: Path, key: str) -> Iterator[Finding]:
    yield from disk(folder, _SPOOL_LEAST_BYTES, topic=f"disk ({key})")
    device = _device_of(folder)
    if "mmcblk" in device:
        yield Finding(
            "disk",
            "note",
            f"{folder}: lies on an SD card ({device}), which wears out by being written",
            "bound what is written (`results_bytes`, [spool]), raise `sync_every_s`, or use a USB disk: "
            "docs/RASPBERRY_PI.md",
        )


def _device_of(folder: Path) -> str:
    """The device that a folder's file system lies on; empty: that can't be seen."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    number = os.stat(there).st_dev
    wanted = f"{os.major(number)}:{os.minor(number)}"
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields, _, after = line.partition(" - ")
        if fields.split()[2:3] == [wanted]:
            return [*after.split(), "", ""][1]
    return ""


def _heat() -> Iterator[Finding]:
    from .governor.sensors import Sensors

    found = Sensors().read(0.0)
    if found.throttled:
        yield Finding(
            "heat",
            "wrong",
            f"the firmware slows this device down: {', '.join(found.throttled)}",
            "a stronger power supply where the voltage is low; a heat sink or a fan where it is hot",
        )
    if found.temperature_c is None:
        yield Finding("heat", "ok", "no temperature can be read here")
        return
    text = f"{found.temperature_c:.0f} C"
    if found.temperature_c >= _HOT_C:
        yield Finding("heat", "wrong", f"{text} while nothing runs yet", "a heat sink or a fan; not in the sun")
    elif found.temperature_c >= _WARM_C:
        yield Finding("heat", "note", f"{text} while nothing runs yet", "a heat sink or a fan")
    else:
        yield Finding("heat", "ok", text)
