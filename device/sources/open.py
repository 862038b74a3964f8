"""Opening a source by its text: which class reads it, and how its inputs are cut."""

import stat
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...filters.packets.at_work import Gating
from ...traces.source_name import is_always_live, source_path, without_secrets
from .base import Source
from .complaints import Complaints
from .cut import WHOLE, Cut
from .decoded import DecodedSource
from .feeds import Feed, FileFeed, PipeFeed
from .folder import files_of
from .formats import Format
from .joined import JoinedSource
from .json_lines import JsonFormat
from .mqtt_topic import MqttFeed
from .names import STDIN, Named, is_live, named, parts_of
from .python_code import PythonSource, call_function, load_function
from .reader import Opening
from .records import RecordSource, warner
from .serial_port import SerialFeed
from .stretch import StretchedSource
from .table import TableFormat
from .text_lines import TextFormat
from .windowed import WindowedSource

__all__ = ["is_live", "open_source"]

_VIDEO = ("video", "stream", "camera")
_PACKETS = ("video", "stream")


def open_source(
    text: str | Iterable[Any],
    *,
    start_s: float = 0.0,
    seconds: float | None = None,
    loop: bool = False,
    cut: Cut = WHOLE,
    stays: bool = False,
    gating: Gating | None = None,
    stopped: threading.Event | None = None,
) -> Source:
    """Opens a source by its text, or what a program gives.

    Args:
        text: as `infilink sources` lists them: a file, a folder, an address, a device, `-`; or an iterable.
        start_s: recording: how far into it to start; its inputs keep their numbers and times.
        seconds: how many seconds of it to take; None: all of it.
        loop: recording: start again at its end; numbers and times go on rising.
        cut: how inputs are cut from what it gives.
        stays: whether a pipe that has a name is read on with its next writer; else it ends with its last one.
        gating: how a video's packets are chosen from; None: everything is decoded.
        stopped: ends the wait for a video, stream or camera that does not open.

    Raises:
        InvalidInput: it can't be read, or an option does not fit it.
        Unavailable: it is live, and can't be opened now.
    """
    if start_s < 0 or (seconds is not None and seconds <= 0):
        raise InvalidInput(f"start_s must be 0 or more and seconds above 0, not {start_s} and {seconds}")
    if gating is not None and not (isinstance(text, str) and named(text).kind in _PACKETS and not cut.is_windowed):
        raise InvalidInput("`[packets]` is for videos and network streams, picture by picture: leave it out here")
    if not isinstance(text, str):
        if loop:
            raise InvalidInput("what a program gives can't be given again: leave `loop` out")
        values = text
        return _stretched(lambda: PythonSource(type(values).__name__, values, cut), start_s, seconds, loop)
    return _open_text(
        text, cut, start_s=start_s, seconds=seconds, loop=loop, stays=stays, gating=gating, stopped=stopped
    )


def _open_text(
    text: str,
    cut: Cut,
    *,
    start_s: float = 0.0,
    seconds: float | None = None,
    loop: bool = False,
    strict: bool = False,
    stays: bool = False,
    gating: Gating | None = None,
    stopped: threading.Event | None = None,
) -> Source:
    """Opens a source by its text; a strict one refuses what else it would leave out."""
    name, found = without_secrets(text), replace(named(text), strict=strict, stays=stays)
    if found.kind == "csv" and cut.modality == "text":
        found = replace(found, kind="text")  # The texts of a table, in the column that is asked for.
    # An address may lead to a recording as well, which shows when it is opened.
    is_surely_live = is_always_live(text) if found.kind == "stream" else is_live(text, watch=cut.watch)
    if (start_s or loop) and is_surely_live:
        raise InvalidInput(f"{name}: is live; `start_s` and `loop` are for recordings")
    _check_cut(name, found, cut)
    if found.kind in _VIDEO:
        opening = Opening(
            found.rest,
            start_s=start_s,
            seconds=seconds,
            loop=loop,
            kind=found.kind,
            written=text,
            cut=cut,
            strict=strict,
            gating=gating,
        )
        return _open_video(opening, stopped)
    return _stretched(lambda: _OPENERS[found.kind](name, found, cut), start_s, seconds, loop)


def _stretched(open_it: Callable[[], Source], start_s: float, seconds: float | None, loop: bool) -> Source:
    if not start_s and seconds is None and not loop:
        return open_it()
    return StretchedSource(open_it, start_s=start_s, seconds=seconds, loop=loop)


def _check_cut(name: str, found: Named, cut: Cut) -> None:
    """Refuses what such a source can't be cut by, instead of leaving it aside."""
    kind = found.kind
    fits = {
        "rate_hz": kind not in ("images", "text"),
        "window_s": kind not in ("images", "text"),
        "window": kind not in ("images", "text"),
        "channels": kind in ("csv", "jsonl", "serial", "mqtt", "call"),
        "time_column": kind in ("images", "csv", "jsonl", "serial", "mqtt"),
        "time_unit": kind in ("csv", "jsonl", "serial", "mqtt"),
        "text_column": kind in ("text", "jsonl", "mqtt", "serial"),
        "watch": kind in ("images", "sound", "csv", "jsonl", "text"),
    }
    for key, does in fits.items():
        if kind != "join" and getattr(cut, key) and not does:
            raise InvalidInput(f"{name}: `{key}` is not for a source of this kind ({kind})")
    if kind in _VIDEO and cut.rate_hz is not None and not cut.is_windowed:
        raise InvalidInput(
            f"{name}: `rate_hz` is for windows of frames: give `window` or `window_s`, too, or use `every`"
        )


def _open_video(opening: Opening, stopped: threading.Event | None) -> Source:
    if opening.kind == "video":
        _check_file(opening)
    source = DecodedSource(opening, stopped=stopped)
    return WindowedSource(source, opening.cut) if opening.cut.is_windowed else source


def _open_images(name: str, found: Named, cut: Cut) -> Source:
    return DecodedSource(Opening(found.rest, kind="images", written=name, cut=cut, strict=found.strict))


def _open_sound(name: str, found: Named, cut: Cut) -> Source:
    source = DecodedSource(Opening(found.rest, kind=found.kind, written=name, cut=cut, strict=found.strict))
    return WindowedSource(source, cut) if cut.is_windowed else source


def _open_lines(name: str, found: Named, cut: Cut) -> Source:
    """Files, pipes, ports and topics with lines in them."""
    complaints = Complaints(warner(name), strict=found.strict)
    feed = _feed(found, cut, complaints)
    looks = found.kind in ("serial", "mqtt")

    def read(lines: list[bytes] | None) -> Format:
        kind = _guessed(found.kind, lines, cut) if looks else found.kind
        if kind == "text":
            return TextFormat(cut, complaints)
        if kind == "jsonl":
            return JsonFormat(cut, complaints)
        return TableFormat(cut, complaints, per_line=not feed.has_files)

    return RecordSource(name, feed, read, cut, complaints, waits=found.rest == STDIN)


def _feed(found: Named, cut: Cut, complaints: Complaints) -> Feed:
    if found.kind == "serial":
        return SerialFeed(found.rest, complaints)
    if found.kind == "mqtt":
        feed = MqttFeed(found.rest, complaints)
        feed.wait_until_ready()
        return feed
    path = source_path(found.rest)
    if found.rest == STDIN or (path.exists() and stat.S_ISFIFO(path.stat().st_mode)):
        return PipeFeed(found.rest, complaints, stays=found.stays)
    return FileFeed(files_of(found.kind, found.rest, watch=cut.watch), complaints)


def _guessed(kind: str, lines: list[bytes] | None, cut: Cut) -> str:
    """How a port's or a topic's lines are to be read, by the first of them, or by what is asked for."""
    if cut.modality == "text":
        return "jsonl" if cut.text_column else "text"
    if lines is None:
        # Nothing has come yet: ports send rows, topics JSON, if their channels are known at all.
        return "csv" if kind == "serial" else "jsonl"
    first = next((line.strip() for line in lines if line.strip()), b"")
    if first[:1] in (b"{", b"[", b'"'):
        return "jsonl"
    digits = first.replace(b",", b" ").replace(b";", b" ").split()
    if digits and all(cell.lstrip(b"+-").replace(b".", b"", 1).replace(b"e-", b"", 1).isdigit() for cell in digits):
        return "csv"
    return "csv" if kind == "serial" else "text"


def _open_call(name: str, found: Named, cut: Cut) -> Source:
    path, colon, function = found.rest.strip().rpartition(":")
    if not colon or not function.isidentifier():
        raise InvalidInput(f"{name}: write call(FILE.py:FUNCTION)")
    loaded = load_function(name, Path(path), function)
    return PythonSource(name, call_function(name, loaded), cut, live=bool(getattr(loaded, "live", False)))


def _open_join(name: str, found: Named, cut: Cut) -> Source:
    opened: dict[str, Source] = {}
    try:
        for key, part in parts_of(found.rest).items():
            opened[key] = _open_text(part, _for_part(part, cut), strict=True)
        return JoinedSource(name, opened)
    except BaseException:
        for source in opened.values():
            source.close()
        raise


def _for_part(text: str, cut: Cut) -> Cut:
    """What of a cut is for this part: windows and rates for sounds, signals and videos, columns for lines."""
    kind = named(text).kind
    signal, lines = kind in ("csv", "jsonl"), kind in ("text", "jsonl")
    windowed = kind not in ("images", "text")
    return cut.model_copy(
        update={
            **(
                {}
                if windowed
                else {"window_s": None, "stride_s": None, "window": None, "stride": None, "rate_hz": None}
            ),
            **({} if signal else {"channels": (), "time_unit": None, "time_column": ""}),
            **({} if lines else {"text_column": ""}),
            "watch": False,
        }
    )


_OPENERS: dict[str, Callable[[str, Named, Cut], Source]] = {
    "images": _open_images,
    "sound": _open_sound,
    "microphone": _open_sound,
    "csv": _open_lines,
    "serial": _open_lines,
    "jsonl": _open_lines,
    "text": _open_lines,
    "mqtt": _open_lines,
    "call": _open_call,
    "join": _open_join,
}


def _check_file(opening: Opening) -> None:
    path = source_path(opening.text)
    try:
        is_file = path.is_file() or path.is_fifo()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        what = "is a folder" if path.is_dir() else "there is no such file or folder"
        raise InvalidInput(f"{opening.name}: {what} (see `infilink sources` for what can be named)")
