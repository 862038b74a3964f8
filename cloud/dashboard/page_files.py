"""The files that pages are made of, also under a name that says which version they are: what may be kept for good."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_PACKAGE = __package__ or "infilink.cloud.dashboard"
_FOLDERS = ("static", "templates")
_COMPRESSED = ".wasm"
_FOR_GOOD = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400"


class PageFiles(StaticFiles):
    """`/static/NAME`, and the same as `/static/@VERSION/NAME`, which never gives those of another version."""

    def __init__(self) -> None:
        super().__init__(packages=[(_PACKAGE, "static")])

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file.

        Raises:
            HTTPException: there is none, or not of this version.
        """
        first, _, rest = path.partition("/")
        kept = ""
        if first.startswith("@"):
            if first != f"@{version()}":
                raise HTTPException(404)
            path, kept = rest, _FOR_GOOD
        if not path.endswith(_COMPRESSED):
            found = await super().get_response(path, scope)
        else:
            # It lies here compressed.
            found = await super().get_response(f"{path}.gz", scope)
            found.headers.update({"content-type": "application/wasm", "content-encoding": "gzip"})
            kept = kept or _A_DAY
        if kept:
            found.headers["cache-control"] = kept
        return found


def base() -> str:
    """Where the files of this version are."""
    return f"/static/@{version()}"


@cache
def version() -> str:
    """Of the pages and all that they are made of: of their contents."""
    found = hashlib.sha256()
    for folder in _FOLDERS:
        root = Path(str(files(_PACKAGE) / folder))
        for path in sorted(root.rglob("*.*")):
            found.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def names(*patterns: str) -> list[str]:
    """The files that patterns name.

    Args:
        patterns: as "phone/*.js".
    """
    root = Path(str(files(_PACKAGE) / "static"))
    return sorted(path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern))
