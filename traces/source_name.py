"""What a source's name says: a camera, an address or a file; and the name without its secrets, as it may be shown."""

import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

SourceKind = Literal["camera", "address", "file"]

_RECORDINGS = ("http", "https", "ftp", "sftp")
"""What may lead to a recording as well as to a live stream."""
_LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "rtmpe", "rtp", "srtp", "srt", "rist", "udp", "tcp", "tls", "mms")
_SCHEMES = (*_RECORDINGS, *_LIVE, "mqtt", "mqtts", "mmsh", "mmst", "hls", "sdp", "unix", "smb", "ipfs")
_ADDRESS = re.compile(rf"(?:{'|'.join(_SCHEMES)})://", re.IGNORECASE)
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d+)?")
PREFIXES = ("video", "images", "sound", "csv", "jsonl", "text", "v4l2", "alsa", "serial")
"""What may stand before a path, an address or a device, to say which kind of source it is: `csv:walk.txt`."""
PREFIXED = re.compile(rf"({'|'.join(PREFIXES)}):(?!//)(.+)", re.DOTALL)
WRAPPED = re.compile(r"\s*(call|join)\((.*)\)\s*", re.DOTALL)
_FILE_URL = re.compile(r"file:/+", re.IGNORECASE)
_KEY = (
    r"[a-z0-9_.-]*(?:pas(?:s[a-z]*)?|pwd?|psw|pword|token|secret|signature|sig|credentials?|key|auth(?:orization)?|jwt"
    r"|sid|hash|code)="
)
# Cameras take their secrets in the path as well: /user=admin_password=x_channel=1.sdp
_SECRET_IN_PATH = re.compile(rf"((?:^|[&;/_]){_KEY})[^&;/]*?(?=_(?:channel|stream)=|[&;/]|$)", re.IGNORECASE)
_SECRET_BEHIND = re.compile(rf"((?:^|[?&;#,_]){_KEY})[^&;#]*?(?=_(?:channel|stream)=|[&;#]|$)", re.IGNORECASE)
# A single letter is a password beside a user.
_USER = re.compile(r"(?:^|[?&;#,:/_])(?:u|usr|user|username|login)=", re.IGNORECASE)
_PASSWORD = re.compile(r"((?:^|[?&;#,/])p=)[^&;#/]*", re.IGNORECASE)
# Before a host, where the scheme or its slashes were left out.
_BARE_USER = re.compile(r"((?:[a-z]+:/*)?)[^/@\s]*:[^@\s]*@", re.IGNORECASE)


def source_kind(text: str) -> SourceKind:
    """What a source's name leads to; a file that is there is a file, whatever it is called."""
    if text.isdecimal():
        return "camera"
    if _ADDRESS.match(text) and not _is_file(text):
        return "address"
    return "file"


def source_path(text: str) -> Path:
    """The path of a file's name, which may be a `file://` URL."""
    if not _FILE_URL.match(text) or _is_file(text):
        return Path(text)
    rest = text[len("file:") :]
    rest = re.sub(r"^//(localhost)?(?=/)", "", rest, flags=re.IGNORECASE).removeprefix("//")
    return Path(rest) if _is_file(rest) else Path(unquote(rest))


def is_always_live(text: str) -> bool:
    """Whether a source's name is that of a camera, a live stream or a named pipe; `http://...` may be either."""
    scheme = text.partition("://")[0].lower()
    if source_kind(text) != "address":
        return source_kind(text) == "camera" or _is_pipe(text)
    return scheme not in _RECORDINGS


def without_secrets(text: str) -> str:
    """A source's name as it is shown and kept: without user, password and tokens."""
    if _is_file(text):
        return text
    if prefixed := PREFIXED.fullmatch(text):
        return f"{prefixed[1]}:{without_secrets(prefixed[2])}"
    if (wrapped := WRAPPED.fullmatch(text)) and wrapped[1] == "join":
        return f"join({', '.join(_part_without_secrets(part) for part in split_parts(wrapped[2]))})"
    # Also where the scheme is mistyped (rstp://user:password@camera) or left out.
    if "://" not in text:
        return _BARE_USER.sub(r"\1", text, count=1) if _BARE_USER.match(text) else text
    scheme, _, rest = text.partition("://")
    host = _host(rest)
    if "@" in host:
        rest = host.rpartition("@")[2] + rest[len(host) :]
    # A password may hold a slash that nobody escaped: then what comes before that is no host, or what follows is one.
    if "@" in rest and (not _HOST.fullmatch(_host(rest)) or re.match(r"[^/?#]*[.:]", rest.rpartition("@")[2])):
        rest = rest.rpartition("@")[2]
    path = re.split(r"[?#]", rest, maxsplit=1)[0]
    shown = _SECRET_IN_PATH.sub(r"\1***", path) + _SECRET_BEHIND.sub(r"\1***", rest[len(path) :])
    if _USER.search(shown):
        shown = _PASSWORD.sub(r"\1***", shown)
    return f"{scheme}://{shown}"


def split_parts(text: str) -> list[str]:
    """What stands between the commas, but for those in brackets."""
    pieces, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [piece.strip() for piece in pieces]


def _part_without_secrets(text: str) -> str:
    name, equals, source = text.partition("=")
    # What has no name is perhaps the rest of a password with a comma in it.
    return f"{name}={without_secrets(source.strip())}" if equals and name.strip().isidentifier() else "***"


def _host(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def _is_pipe(text: str) -> bool:
    try:
        return source_path(text).is_fifo()
    except (OSError, ValueError):
        return False


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False  # A name that no file can have.
