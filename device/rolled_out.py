"""The filters that a stream has from its coordinator, on disk: which decides, what decided before, what was refused."""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import InvalidInput
from ..files import replacing
from ..filters.open_gate import gate_file
from ..models.spec import digest
from ..protos.filter_file import MOST_BYTES
from .config import DeviceConfig

logger = logging.getLogger(__name__)

MOST_ENDS = 3
"""So often the agent may end over a filter that has not shown yet that it decides."""
_MOST_ENTRY_BYTES = 2**14
_LONGEST_REASON = 300
_FOLDER = threading.Lock()
"""Streams share the folder."""


class FilterFile(BaseModel):
    """A filter's file.

    Attributes:
        name: what people call it.
        digest: its SHA-256, in hexadecimal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    digest: str

    @property
    def file_name(self) -> str:
        """What it is called in the folder."""
        return f"{self.name.removesuffix('.onnx')}.{self.digest[:16]}.onnx"


class Entry(BaseModel):
    """What is kept of a stream; None stands for the gate that the settings name.

    Attributes:
        number: the last wish that was taken in hand.
        wanted: what it asked for.
        used: what decides.
        before: what decided before that.
        since_us: since when it does; Unix time.
        gate: the gate that the settings named then.
        gate_digest: of that gate's file; empty: it has none.
        refused: why what is wanted does not decide; empty: it does, or is being tried.
        trial: whether what is wanted has not shown yet that it decides.
        ends: how often the agent has ended over that, this run as if it did.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    number: int = 0
    wanted: FilterFile | None = None
    used: FilterFile | None = None
    before: FilterFile | None = None
    since_us: int = 0
    gate: str = ""
    gate_digest: str = ""
    refused: str = ""
    trial: bool = False
    ends: int = 0

    @property
    def settled(self) -> bool:
        """Whether it is known what became of the wish."""
        return bool(self.refused) or digest_of(self.wanted) == digest_of(self.used)

    def use(self, found: FilterFile | None, *, now_us: int) -> "Entry":
        """It, with another filter that decides."""
        return self.model_copy(update={"used": found, "before": self.used, "since_us": now_us})

    def shown(self) -> "Entry":
        """It, with what decides shown to do so."""
        return self.model_copy(update={"trial": False, "ends": 0})

    def refuse(self, why: str) -> "Entry":
        """It, with the wish refused."""
        return self.model_copy(update={"refused": why[:_LONGEST_REASON], "trial": False, "ends": 0})


Change = Callable[[Entry], Entry]


class RolledOut:
    """One stream's part of the folder. What is not whole there is not used: the settings' own gate always is.

    Args:
        folder: where filters are kept; None: there is no place for any.
        stream: the stream's name; empty: the device's only one.
        clock_ns: Unix time.

    Attributes:
        entry: what is kept.
    """

    def __init__(self, folder: Path | None, stream: str, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.folder = folder
        self.clock_ns = clock_ns
        # No stream can be called so.
        self._path = None if folder is None else folder / f"{stream or '_'}.json"
        self._counted = False
        self.entry = Entry() if self._path is None else _read(self._path) or Entry()

    @property
    def now_us(self) -> int:
        """Unix time."""
        return self.clock_ns() // 1000

    def begin(self, own: DeviceConfig) -> None:
        """A run begins: what can't go on deciding gives way to what did before.

        Args:
            own: the stream's settings.
        """
        entry = self.entry
        if entry.used is None:
            return
        if why := self.given_up(own):
            self.note(lambda now: now.use(None, now_us=self.now_us).refuse(why))
        elif not self.is_whole(entry.used):
            self.go_back("its file is damaged, or gone")
        elif entry.trial and entry.settled and not self._counted:
            self._counted = True
            if entry.ends >= MOST_ENDS:
                self.go_back(f"the agent ended {entry.ends} times before it had decided on a few inputs")
            else:
                self.note(lambda now: now.model_copy(update={"ends": now.ends + 1}))

    def attempt(self) -> None:
        """What is wanted is about to be opened, which may end the agent.

        Raises:
            InvalidInput: it has ended it often enough, or that can't be written.
        """
        if self.entry.ends >= MOST_ENDS:
            raise InvalidInput(f"the agent ended {self.entry.ends} times while it was opened")
        self._counted = True
        self.save(lambda now: now.model_copy(update={"trial": True, "ends": now.ends + 1}))

    def close(self) -> None:
        """The agent ends in order, whatever decides."""
        if self._counted and self.entry.trial and self.entry.ends:
            self._counted = False
            self.note(lambda now: now.model_copy(update={"ends": now.ends - 1}))

    def go_back(self, why: str) -> None:
        """What decides is refused: what did before does, if it is whole, else the settings' own gate."""
        before = self.entry.before
        found = before if before is not None and self.is_whole(before) else None
        self.note(lambda now: now.use(found, now_us=self.now_us).refuse(why))

    def given_up(self, own: DeviceConfig) -> str:
        """Why what came from the coordinator decides no more, as somebody has changed the device's own gate; "": no."""
        if own.gate != self.entry.gate:
            return f"device.toml names another gate since then: {Path(own.gate).name}"
        if (found := own_digest(own)) and found != self.entry.gate_digest:
            return f"{Path(own.gate).name}, which device.toml names, is another file since then"
        return ""

    def applied(self, own: DeviceConfig, found: FilterFile | None) -> DeviceConfig:
        """A stream's settings with a filter as its gate; it writes nothing and runs no Python code."""
        if found is None or self.folder is None:
            return own
        path = str(self.folder / found.file_name)
        return own.model_copy(update={"gate": path, "cache": None, "update": None, "rule_file": None})

    def is_whole(self, found: FilterFile) -> bool:
        """Whether a filter's file is there as it came."""
        if self.folder is None:
            return False
        try:
            path = self.folder / found.file_name
            if path.stat().st_size > MOST_BYTES:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == found.digest
        except OSError:
            return False

    def put(self, found: FilterFile, content: bytes) -> None:
        """Writes a filter's file; it is on disk when this returns.

        Raises:
            InvalidInput: it can't be written.
        """
        if self.folder is None:
            raise InvalidInput("there is no place to keep it: give `folder` in [filters] of device.toml")
        with _FOLDER:
            _write(self.folder / found.file_name, content)

    def save(self, change: Change) -> None:
        """Changes what is kept, and removes the files that nobody needs any more; it is on disk when this returns.

        Raises:
            InvalidInput: it can't be written; all stays as it was.
        """
        if self._path is None or self.folder is None:
            raise InvalidInput("there is no place to keep it: give `folder` in [filters] of device.toml")
        with _FOLDER:
            entry = change(self.entry)
            _write(self._path, entry.model_dump_json().encode())
            self.entry = entry
            _tidy(self.folder, own=self._path.name)

    def note(self, change: Change) -> None:
        """The same; where it can't be written it holds until the agent ends."""
        try:
            self.save(change)
        except InvalidInput as error:
            logger.warning("%s", error)
            with _FOLDER:
                self.entry = change(self.entry)


def digest_of(found: FilterFile | None) -> str:
    """The SHA-256 of a filter that came from the coordinator; empty: the gate that the settings name."""
    return "" if found is None else found.digest


def own_digest(own: DeviceConfig) -> str:
    """The digest of the file of a stream's own gate; empty: it has none, or that is not there."""
    path = gate_file(own.gate)
    try:
        return "" if path is None or not path.is_file() else digest(path)
    except (InvalidInput, OSError):
        return ""


def _read(path: Path) -> Entry | None:
    """What a file says; None: it is not there, or says nothing that can be read."""
    try:
        if path.stat().st_size > _MOST_ENTRY_BYTES:
            return None
        return Entry.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, RecursionError):
        return None


def _tidy(folder: Path, *, own: str) -> None:
    """Removes what no stream names, and what was cut off; a filter is named before its file is written.

    Args:
        folder: another agent may have streams there, too.
        own: the file of the stream that nobody else writes.
    """
    named = set()
    for path in folder.glob("*.json"):
        entry = _read(path)
        if entry is not None:
            named |= {each.file_name for each in (entry.wanted, entry.used, entry.before) if each is not None}
    for path in folder.iterdir():
        # What is written has the writer's numbers behind its name.
        name = path.name.rsplit(".", 2)[0] if path.suffix == ".part" else path.name
        if (name.endswith(".onnx") and name not in named) or (path.suffix == ".part" and name == own):
            path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Writes a file that is whole, and on disk, when this returns.

    Raises:
        InvalidInput: it can't be written.
    """
    try:
        with replacing(path) as part, part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        why = error.strerror or repr(error)
        raise InvalidInput(f"{path.parent}: can't be written ({why}); give another `folder` in [filters]") from error
