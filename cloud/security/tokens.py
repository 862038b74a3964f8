"""The file of tokens: whom each belongs to and what they may do; the tokens themselves are kept as hashes only."""

import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator

from ...errors import InvalidInput
from ...files import write_secret
from ...settings import checked, read_toml
from .caller import Caller, Scope

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOOKS_EVERY_S, _LOOKS_FOR_UNKNOWN_S = 1.0, 0.05
_HEAD = """\
# Who may call the coordinator (`infilink token --help`). Tokens are kept as SHA-256 only; a table without `sha256` is
# of the client certificate with this `certificate` as its name. What is changed here holds within a second.
"""


class TokenEntry(BaseModel):
    """One table of the file: the token or certificate, its scopes and devices, and until when it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scopes: tuple[Scope, ...] = Field(min_length=1)
    devices: tuple[str, ...] = ()
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    certificate: str = ""
    created: datetime | None = None
    expires: datetime | None = None

    @field_validator("created", "expires")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.sha256) == bool(self.certificate):
            raise ValueError("give `sha256` (of a token) or `certificate` (its name), one of them")
        if "device" in self.scopes and not self.devices:
            raise ValueError('the scope "device" needs `devices`: the names it may send as; ["*"]: any')
        return self

    def caller(self, name: str) -> Caller:
        """Who calls with it."""
        bindings = (self.devices,) if self.devices else ()
        expires_s = self.expires.timestamp() if self.expires else float("inf")
        since_s = self.created.timestamp() if self.created else 0.0
        return Caller(name, frozenset(self.scopes), bindings, expires_s, since_s=since_s)


class _Entries(RootModel[dict[str, TokenEntry]]):
    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in self.root:
            check_name(name)
        return self


class TokenFile:
    """The callers in a file, read again whenever it has changed.

    Args:
        path: the file.
        clock: seconds that never go back.

    Raises:
        InvalidInput: it can't be read, or others may write to it.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.clock = clock
        self._revision = 0
        self._looked_s = clock()
        self._told = ""
        self._stamp = (0, 0, 0, 0)
        self._read()
        if self._stamp[3] & 0o044:
            logger.warning("%s: others on this machine can read it; `chmod 600 %s`", path, path)

    def of_token(self, token: str) -> Caller | None:
        """Whose token this is; None: nobody's."""
        self._look()
        digest = digest_of(token)
        if digest not in self._by_hash:
            # It may have been made this very moment; whoever guesses has the file looked at no more often for it.
            self._look(_LOOKS_FOR_UNKNOWN_S)
        return self._by_hash.get(digest)

    def of_certificate(self, name: str) -> Caller | None:
        """Who has the certificate of this name; None: nobody in the file."""
        self._look()
        return self._by_certificate.get(name)

    def is_newer_than(self, caller: Caller) -> bool:
        """Whether the file has changed since it said who this caller is."""
        self._look()
        return caller.revision not in (0, self._revision)

    def look_now(self) -> None:
        """Takes up at once what has changed: a device that has just enrolled comes in the next moment."""
        self._looked_s = float("-inf")
        self._look()

    def _look(self, every_s: float = _LOOKS_EVERY_S) -> None:
        now_s = self.clock()
        if now_s - self._looked_s < every_s:
            return
        self._looked_s = now_s
        try:
            if _stamp(self.path) != self._stamp:
                self._read()
                logger.info("%s: read again", self.path)
        except (InvalidInput, OSError) as error:
            # Once for each state of the file; whoever edits it may not be done yet.
            text = str(error)
            if text != self._told:
                logger.error("%s; the tokens that were read before stay valid", error)
            self._told = text

    def _read(self) -> None:
        self._told = ""
        entries = read_tokens(self.path)
        self._stamp = _stamp(self.path)
        if self._stamp[3] & 0o022:
            raise InvalidInput(f"{self.path}: others on this machine may write to it: `chmod 600 {self.path}`")
        self._revision += 1
        callers = {name: replace(entry.caller(name), revision=self._revision) for name, entry in entries.items()}
        self._by_hash = {entry.sha256: callers[name] for name, entry in entries.items() if entry.sha256}
        self._by_certificate = {
            entry.certificate: callers[name] for name, entry in entries.items() if entry.certificate
        }


def read_tokens(path: Path) -> dict[str, TokenEntry]:
    """The entries of a file, by name.

    Raises:
        InvalidInput: it is not there, or not such a file.
    """
    data = read_toml(path, advice="`infilink token new NAME --scope device` writes one")
    return checked(_Entries, data, where=str(path)).root


def begin_tokens(path: Path) -> None:
    """Makes a file of tokens with nobody in it, if there is none.

    Raises:
        InvalidInput: there is no room for it.
        OSError: it can't be written there.
    """
    if not path.exists():
        _write(path, {})


def add_token(
    path: Path,
    name: str,
    *,
    scopes: tuple[Scope, ...],
    devices: tuple[str, ...],
    days: float | None,
    replaces: bool = False,
) -> str:
    """Adds a token to a file, which is made if it is missing; returns the token, which is kept nowhere.

    Args:
        path: the file.
        name: what the token is called.
        scopes: what it may do.
        devices: what it may send as.
        days: how long it holds; None: until it is removed.
        replaces: whether a device's token of that name, which may do nothing else, gives way to it.

    Raises:
        InvalidInput: the name is taken or none that can be, or the file can't be read.
    """
    check_name(name)
    entries = read_tokens(path) if path.exists() else {}
    if name in entries and not (replaces and is_of_device(entries[name], name)):
        raise InvalidInput(f"{path}: has a token {name!r} already: `infilink token rm {name}` first, or another name")
    token, now = f"infilink_{secrets.token_urlsafe(32)}", datetime.now(UTC).replace(microsecond=0)
    expires = None if days is None else now + timedelta(days=days)
    entry = {"scopes": scopes, "devices": devices, "sha256": digest_of(token), "created": now, "expires": expires}
    _write(path, {**entries, name: checked(TokenEntry, entry, where=name)})
    return token


def remove_token(path: Path, name: str) -> None:
    """Removes an entry from a file: a coordinator that runs refuses it within a second.

    Raises:
        InvalidInput: there is none of that name.
    """
    entries = read_tokens(path)
    if entries.pop(name, None) is None:
        raise InvalidInput(f"{path}: has no token {name!r} (it has: {', '.join(entries) or 'none'})")
    _write(path, entries)


def remove_of_device(path: Path, device: str) -> None:
    """Removes the entries that let somebody send as this device, and do nothing else; there may be none.

    Raises:
        InvalidInput: the file can't be read.
        OSError: it can't be written.
    """
    entries = read_tokens(path)
    kept = {name: entry for name, entry in entries.items() if not is_of_device(entry, device)}
    if len(kept) < len(entries):
        _write(path, kept)


def is_of_device(entry: TokenEntry, device: str) -> bool:
    """Whether an entry lets somebody send as this device, and nothing else."""
    return entry.scopes == ("device",) and entry.devices == (device,)


def digest_of(token: str) -> str:
    """A token's hash; tokens are 256 random bits, so nobody can find one by trying."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def check_name(name: str) -> None:
    """Makes sure that a token can be called so.

    Raises:
        InvalidInput: it can't.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"a token's name is 1 to 100 letters, digits, '.', '_', '-', not {name[:100]!r}")


def _write(path: Path, entries: dict[str, TokenEntry]) -> None:
    lines = [_HEAD]
    for name, entry in entries.items():
        lines.append(f"\n[{json.dumps(name)}]\n")
        for key, value in entry.model_dump(exclude_defaults=True).items():
            written = value.isoformat() if isinstance(value, datetime) else json.dumps(value)
            lines.append(f"{key} = {written}\n")
    write_secret(path, "".join(lines).encode())


def _stamp(path: Path) -> tuple[int, int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
