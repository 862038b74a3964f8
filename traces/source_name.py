"""What a source's name says: a camera, an address or a file; and the name without its secrets, as it may be shown."""

import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

SourceKind = Literal["camera", "address", "file"]

_RECORDINGS = ("http", "https", "ftp", "sftp")
"""What may lead to a recording as well as to a live stream."""
_LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "rtmpe", "rtp", "srtp", "srt", "rist", "udp", "tcp", "tls", "mms")
_SCHEMES = (*_RECORDINGS, *_LIVE, "mmsh", "mmst", "hls", "sdp", "unix", "smb", "ipfs")
_ADDRESS = re.compile(rf"(?:{'|'.join(_SCHEMES)})://", re.IGNORECASE)
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d+)?")
_FILE_URL = re.compile(r"file:/+", re.IGNORECASE)
# Cameras take their secrets in the path as well: /user=admin_password=x_channel=1.sdp
_SECRET = re.compile(
    r"((?:^|[?&;/_])[a-z0-9_.-]*"
    r"(?:pass(?:word|wd|phrase)?|pwd|token|secret|signature|sig|credentials?|api_?key|key|auth(?:orization)?|jwt|sid)=)"
    r"[^&;/?#]*?(?=_(?:channel|stream)=|[&;/?#]|$)",
    re.IGNORECASE,
)


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
    """Whether a source's name is that of a camera or a live stream; `http://...` may be either, a file is none."""
    scheme = text.partition("://")[0].lower()
    return source_kind(text) == "camera" or (source_kind(text) == "address" and scheme not in _RECORDINGS)


def without_secrets(text: str) -> str:
    """A source's name as it is shown and kept: without user, password and tokens."""
    # Also where the scheme is mistyped: rstp://user:password@camera.
    if "://" not in text or _is_file(text):
        return text
    scheme, _, rest = text.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        rest = host.rpartition("@")[2] + rest[len(host) :]
    # A password may hold a slash that nobody escaped: then what comes before that is no host, or what follows is one.
    elif "@" in rest and (not _HOST.fullmatch(host) or re.match(r"[^/?#]*[.:]", rest.rpartition("@")[2])):
        rest = rest.rpartition("@")[2]
    return f"{scheme}://" + _SECRET.sub(r"\1***", rest)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False  # A name that no file can have.
