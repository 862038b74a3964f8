"""What a source's text says: which kind of source, and where; the table that `infilink sources` shows."""

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidInput
from ...traces.source_name import (
    PREFIXED,
    WRAPPED,
    is_always_live,
    source_kind,
    source_path,
    split_parts,
    without_secrets,
)


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    Attributes:
        name: its name in the code.
        what: what it is, for people.
        written: how it is written.
        example: one that stands for all.
        form: what its inputs are.
        live: "yes", "no", or when.
    """

    name: str
    what: str
    written: str
    example: str
    form: str
    live: str


KINDS = (
    Kind("video", "video file", "PATH, video:PATH", "clip.mp4", "image; video with a window", "no"),
    Kind("stream", "network stream", "ADDRESS", "rtsp://camera/stream", "image; video with a window", "yes"),
    Kind("camera", "USB or CSI camera", "NUMBER, /dev/videoN, v4l2:DEVICE", "0", "image; video with a window", "yes"),
    Kind("images", "folder of pictures", "FOLDER, images:FOLDER", "images:shots/", "image", "with `watch`"),
    Kind(
        "sound", "sound files", "PATH, FOLDER, sound:...", "digits/", "audio: files, or windows", "an address, `watch`"
    ),
    Kind("microphone", "microphone", "alsa:DEVICE", "alsa:default", "audio windows", "yes"),
    Kind(
        "csv", "sensor recordings", "PATH, FOLDER, csv:...", "csv:wrist/", "signal: files, or windows", "with `watch`"
    ),
    Kind("serial", "serial port", "serial:DEVICE?baud=N", "serial:/dev/ttyUSB0", "signal or text, a line each", "yes"),
    Kind("jsonl", "JSON lines", "PATH, jsonl:PATH, -", "events.jsonl", "signal, text or both", "from stdin"),
    Kind("text", "lines of text", "PATH, text:PATH, text:-", "text:sms.tsv", "text", "from stdin"),
    Kind(
        "mqtt", "topics of a broker", "mqtt://HOST/TOPIC", "mqtt://hub/plant/+/vibration", "signal, text or both", "yes"
    ),
    Kind("call", "Python code of yours", "call(FILE.py:FUNCTION)", "call(lidar.py:scans)", "any", "if it says so"),
    Kind("join", "sources side by side", "join(NAME=SOURCE, NAME=SOURCE)", "join(heard=a/, said=a.txt)", "joint", "no"),
)
"""Every kind of source, as `infilink sources` lists them."""

_ENDINGS = {
    "images": (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"),
    "sound": (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma"),
    "csv": (".csv", ".tsv", ".dat"),
    "jsonl": (".jsonl", ".ndjson"),
    "text": (".txt", ".log"),
}
_DEVICES = {"v4l2": "camera", "alsa": "microphone", "serial": "serial"}
_GLOB = re.compile(r"[*?\[]")
STDIN = "-"


@dataclass(frozen=True)
class Named:
    """What a source's text says.

    Attributes:
        kind: the name of one of `KINDS`.
        rest: where it is: a path, an address, a device.
        strict: whether nothing of it may be left out.
        stays: whether a pipe that has a name is read on with its next writer.
    """

    kind: str
    rest: str
    strict: bool = False
    stays: bool = False


def named(text: str) -> Named:
    """What kind of source a text names; a file that is there is a file, whatever it is called.

    Raises:
        InvalidInput: a folder holds files of several kinds, or of none that is known.
    """
    if text == STDIN:
        return Named("jsonl", text)
    path = source_path(text)
    if _is(path, stat.S_ISREG):
        return Named(_by_ending(path) or "video", text)
    if found := WRAPPED.fullmatch(text):
        return Named(found[1], found[2])
    if found := PREFIXED.fullmatch(text):
        return Named(_DEVICES.get(found[1], found[1]), found[2])
    if source_kind(text) == "camera" or re.fullmatch(r"/dev/video\d+", text):
        return Named("camera", text)
    if text.lower().startswith(("mqtt://", "mqtts://")):
        return Named("mqtt", text)
    if source_kind(text) == "address":
        return Named("stream", text)
    if _is(path, stat.S_ISDIR):
        return Named(_of_folder(path), str(path))
    return Named(_by_ending(path) or "video", text)


def listed(kind: str, where: str) -> list[Path]:
    """The files that a path, a folder or a pattern (`clips/*.wav`) names, in the order of their names.

    A folder's are those in its folders, too, with an ending of the kind; if there are none, all that are not hidden.

    Raises:
        InvalidInput: there are none.
    """
    path = source_path(where)
    if _is(path, stat.S_ISDIR):
        every = [each for each in path.rglob("*") if each.is_file() and not is_hidden(each.relative_to(path))]
        found = [each for each in every if each.suffix.lower() in _ENDINGS[kind]] or (every if kind == "csv" else [])
    elif _GLOB.search(where) and not path.exists():
        root = Path(path.anchor or ".")
        found = [each for each in root.glob(str(path.relative_to(path.anchor))) if each.is_file()]
    else:
        if not path.exists():
            raise InvalidInput(f"{without_secrets(where)}: there is no such file or folder")
        return [path]
    if not found:
        raise InvalidInput(f"{where}: holds no files to read (of kind {kind}: {', '.join(_ENDINGS[kind])})")
    return sorted(found, key=lambda each: natural(str(each)))


def natural(text: str) -> list[tuple[int, str]]:
    """What names are put in order by: the numbers in them count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def is_live(text: str, *, watch: bool = False) -> bool:
    """Whether inputs come when they are captured, as far as the name says it."""
    if source_kind(text) == "file" and _is(source_path(text), stat.S_ISREG):
        return False
    found = named(text)
    if found.kind in ("camera", "stream", "microphone", "serial", "mqtt"):
        return True
    if found.kind == "sound" and source_kind(found.rest) == "address":
        return is_always_live(found.rest)
    return found.rest == STDIN or _is(source_path(found.rest), stat.S_ISFIFO) or watch


def rebased(text: str, folder: Path) -> str:
    """The same source, with the paths in its text seen from a folder instead of the one that we are in."""
    if text == STDIN or source_kind(text) != "file" or text.lower().startswith(("mqtt://", "mqtts://", "file:")):
        return text
    if _is(folder / text, stat.S_ISREG):
        return str(folder / text)
    if (found := WRAPPED.fullmatch(text)) and found[1] == "call":
        path, _, function = found[2].rpartition(":")
        return f"call({folder / path.strip()}:{function})"
    if found:
        return f"join({', '.join(f'{name}={rebased(each, folder)}' for name, each in parts_of(found[2]).items())})"
    if found := PREFIXED.fullmatch(text):
        if found[1] in _DEVICES or found[2] == STDIN or source_kind(found[2]) == "address":
            return text
        return f"{found[1]}:{folder / found[2]}"
    return str(folder / text)


def parts_of(rest: str) -> dict[str, str]:
    """The sources inside of `join(...)`, by their names.

    Raises:
        InvalidInput: they are not written so.
    """
    found: dict[str, str] = {}
    for piece in split_parts(rest):
        name, equals, source = (part.strip() for part in piece.partition("="))
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name) or not source or name in found:
            raise InvalidInput(
                # Without what stands there: a password with a comma in it is cut into pieces that look like none.
                "join(...): write two or more NAME=SOURCE, each name once: join(heard=a/, said=b.txt)"
            )
        found[name] = source
    if len(found) < 2:
        raise InvalidInput(f"{without_secrets(f'join({rest})')}: needs two or more sources, NAME=SOURCE each")
    return found


def _by_ending(path: Path) -> str:
    return next((kind for kind, endings in _ENDINGS.items() if path.suffix.lower() in endings), "")


def _of_folder(path: Path) -> str:
    """The kind of the files that lie in a folder, or in the folders there."""
    found: dict[str, str] = {}
    for each in path.rglob("*"):
        kind = _by_ending(each)
        if kind and not is_hidden(each.relative_to(path)):
            found.setdefault(kind, each.name)
    if len(found) == 1:
        return next(iter(found))
    written = ", ".join(f"{kind}:{path}" for kind in sorted(found) or _ENDINGS)
    if found:
        raise InvalidInput(
            f"{path}: holds files of several kinds ({', '.join(found.values())}): write which: {written}"
        )
    raise InvalidInput(f"{path}: is a folder without files whose kind their names tell: write which: {written}")


def is_hidden(path: Path) -> bool:
    """Whether a file or a folder on the way to it begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):
        return False  # There is none, or no file can have such a name.
