"""Private copies of the models' files, each under the digest of its bytes: what answers is what was copied.

Whatever happens in the repository afterwards (a file is overwritten in place, half of it is there, its weights are
replaced), the model that runs, and every process that is started for it again, is the one whose digest results name.
"""

import fcntl
import itertools
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ..errors import InvalidInput
from ..files import room_for
from ..models.spec import ModelSpec, digest, files_beside, filled, parse_spec, spec_in_file
from ..settings import read_toml

logger = logging.getLogger(__name__)

ORIGINAL_SPEC = "original.toml"
"""The TOML of a copy, as it was written."""
Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Source:
    """Where one version of a model lies in the repository.

    Attributes:
        path: its ONNX file.
        spec: the TOML that its spec stands in; None: it is inside the file.
        name: what it is called; empty: as its spec says.
        version: its number; 0: its files lie flat in the repository, and its spec says.
    """

    path: Path
    spec: Path | None = None
    name: str = ""
    version: int = 0

    def files(self) -> tuple[Path, ...]:
        """All files that make it up.

        Raises:
            InvalidInput: one of them is missing, or lies elsewhere.
        """
        return (self.path, *files_beside(self.path, self.spec), *([self.spec] if self.spec is not None else []))


@dataclass(frozen=True)
class ServedModel:
    """One version of a model, as it is served.

    Attributes:
        name: what it is called.
        version: its number, or what the spec of a flat file says.
        digest: of its files: what results name.
        spec: what its outputs mean.
        path: the private copy, which is what runs.
        source: where it was copied from.
        stamp: what these files looked like.
        size_bytes: of the files.
    """

    name: str
    version: str
    digest: str
    spec: ModelSpec
    path: Path
    source: Source
    stamp: Stamp = ()
    size_bytes: int = 0

    @property
    def optimized(self) -> Path:
        """Where onnxruntime's own form of it is kept between loads."""
        return self.path.with_name(f"{self.path.stem}.optimized.onnx")

    def told(self, error: Exception) -> str:
        """What is wrong with it, by its place in the repository."""
        return str(error).replace(str(self.path), str(self.source.path)).replace(str(self.path.parent) + os.sep, "")


def stamp_of(files: Sequence[Path]) -> Stamp:
    """What files look like from outside: it differs where one was replaced or written to. Empty: one is missing."""
    found = []
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            return ()
        found.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


class ModelStore:
    """A folder of such copies, of one coordinator alone. Close it: what is in it is for as long as it runs.

    Args:
        folder: made if it is not there; what an earlier coordinator left in it, which was killed, is deleted.

    Raises:
        InvalidInput: another coordinator uses it, or it can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: int | None = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                f"{folder}: another coordinator keeps its models there; give another `ledger`"
            ) from error
        except OSError as error:
            raise InvalidInput(f"{folder}: can't be written: {error.strerror}; give another `ledger`") from error
        self._empty()

    def take(self, source: Source) -> ServedModel:
        """Copies a version of a model, and reads what there is to know of it from the copy alone.

        Raises:
            InvalidInput: no ONNX model, its spec is missing or wrong, the files changed meanwhile, or the disk is full.
        """
        try:
            files = source.files()
            stamp = stamp_of(files)
            with room_for(self.folder):
                folder = self.folder / f"{next(self._numbers)}.part"
                folder.mkdir()
                try:
                    return self._kept(self._copied(source, files, stamp, folder), folder)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
        except FileNotFoundError as error:
            raise InvalidInput(f"{source.path}: {error.filename} is not there any more") from error

    def drop(self, model: ServedModel) -> None:
        """Deletes a copy; one that is gone is fine."""
        shutil.rmtree(model.path.parent, ignore_errors=True)

    def close(self) -> None:
        """Deletes everything; closing twice is fine."""
        if self._lock is not None:
            self._empty()
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        """Is open already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Deletes everything."""
        self.close()

    def _copied(self, source: Source, files: Sequence[Path], stamp: Stamp, folder: Path) -> ServedModel:
        path = folder / source.path.name
        for file in files:
            copy = path.with_suffix(".toml") if file == source.spec else folder / file.relative_to(source.path.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        if stamp_of(files) != stamp:
            raise InvalidInput(f"{source.path}: is being written; it is read once it stays as it is")
        try:
            spec = read_source_spec(source, path=path, toml=path.with_suffix(".toml"))
            found = digest(path)
        except InvalidInput as error:
            text = str(error).replace(str(folder), str(source.path.parent))
            raise InvalidInput(text) from error
        version = str(source.version) if source.version else spec.version
        size_bytes = sum(size for _, _, size, _ in stamp)
        return ServedModel(spec.name, version, found, spec, path, source, stamp, size_bytes)

    def _kept(self, model: ServedModel, part: Path) -> ServedModel:
        """Moves a copy to where it stays: under its digest, and the file under the model's name."""
        folder = self.folder / f"{model.digest}-{part.stem}"
        part.rename(folder)
        path = folder / f"{model.name}.onnx"
        beside = folder / model.path.name
        beside.rename(path)
        if beside.with_suffix(".toml").is_file():
            # As it was written, comments and all: that is what a rollback puts back.
            beside.with_suffix(".toml").rename(folder / ORIGINAL_SPEC)
        # What it is called, and what else was said of it elsewhere, stands beside it from now on.
        path.with_suffix(".toml").write_text(spec_toml(model.spec), encoding="utf-8")
        return replace(model, path=path)

    def _empty(self) -> None:
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def read_source_spec(source: Source, *, path: Path | None = None, toml: Path | None = None) -> ModelSpec:
    """The spec of a version of a model.

    Args:
        source: the version.
        path: a copy of its file; None: the file itself.
        toml: a copy of its TOML; None: that itself, if there is one.

    Raises:
        InvalidInput: there is none, or it is wrong.
    """
    if source.spec is None:
        spec = spec_in_file(path or source.path)
    else:
        named = {"name": source.name or source.path.stem}
        spec = parse_spec({**named, **read_toml(toml or source.spec)}, where=str(source.spec))
        spec = filled(spec, path or source.path)
    if source.name and spec.name != source.name:
        # A version's folder says what it is called: the same file may have been exported under another name.
        spec = spec.model_copy(update={"name": source.name})
    return spec


def spec_toml(spec: ModelSpec) -> str:
    """A spec as the TOML of a file beside a model."""
    data = spec.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    lines = [f"{key} = {_toml(value)}" for key, value in data.items() if not isinstance(value, Mapping)]
    for section, values in data.items():
        if isinstance(values, Mapping):
            lines += ["", f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """JSON's spelling of texts, numbers and lists is TOML's; of tables it is not."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
