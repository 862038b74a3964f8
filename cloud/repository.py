"""The coordinator's models: which versions lie in their folder, and which of them is served.

A model is one file, `NAME.onnx`, or a folder with its versions, `NAME/1/model.onnx`, `NAME/2/model.onnx`. Of these the
one with the highest number is served, unless `NAME/current` names another.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import InvalidInput
from ..files import replacing
from ..models.spec import ModelSpec, digest
from ..models.split.spec import PartitionSpec, is_part, read_partition
from .model_store import ModelStore, ServedModel, Source, read_source_spec, stamp_of

MODEL_FILE, SPEC_FILE, CURRENT = "model.onnx", "model.toml", "current"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def check_name(name: str) -> str:
    """A name that a model may be given: it is a folder's, and stands in addresses.

    Files that lie flat may be called as their spec says, with capitals, too.

    Raises:
        InvalidInput: it is none.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"model name {name[:40]!r}: at most 128 of a to z, 0 to 9, `_`, `.`, `-`, beginning with a letter or digit"
        )
    return name


class Repository:
    """A folder of models, and those of them that are served.

    Attributes:
        folder: the folder.
        models: what is served of each, by name.
        paths: each served model's file, by name, but of those that are served by their tensors alone.
        specs: the specs of these, also those of virtual models, which have no file.
        digests: each served file's digest, which is the version of the model's outputs.
        tail: the cut whose feature maps are its inputs, where the only model is a partitioned model's second part.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: dict[str, ServedModel] = {}
        self.paths: dict[str, Path] = {}
        self.specs: dict[str, ModelSpec] = {}
        self.digests: dict[str, str] = {}
        self.tail: PartitionSpec | None = None

    @classmethod
    def open(cls, folder: Path, store: ModelStore | None = None) -> "Repository":
        """Reads every spec.

        Args:
            folder: the models' folder.
            store: keeps a private copy of each; None: they run from where they are.

        Raises:
            InvalidInput: there is no folder or no model in it, a spec is missing or invalid, two have one name, or a
                second part stands beside other models.
        """
        repository = cls(folder)
        if not folder.is_dir():
            raise InvalidInput(f"{folder}: there is no such folder of models")
        found: list[ServedModel] = []
        for sources in repository.sources().values():
            source = repository.current(sources)
            model = store.take(source) if store is not None else _in_place(source)
            same = next((other for other in found if other.name == model.name), None)
            if same is not None:
                raise InvalidInput(
                    f"{source.path} and {same.source.path} are both called {model.name!r}; give one another `name`"
                )
            found.append(model)
        if not found:
            raise InvalidInput(f"{folder}: holds no .onnx file and no NAME/VERSION/{MODEL_FILE}")
        for model in sorted(found, key=lambda model: model.name):
            repository.put(model)
        repository.tail = repository._only_tail()
        return repository

    def put(self, model: ServedModel) -> None:
        """Serves a model, in the place of the version that was served of it."""
        self.models[model.name], self.digests[model.name] = model, model.digest
        if model.spec.serve == "site":
            self.paths[model.name], self.specs[model.name] = model.path, model.spec

    def remove(self, name: str) -> None:
        """Serves a model no more."""
        for each in (self.models, self.paths, self.specs, self.digests):
            each.pop(name, None)

    @property
    def tensors(self) -> dict[str, ServedModel]:
        """The models that are served by their tensors alone: neither devices nor links speak of them."""
        return {name: model for name, model in self.models.items() if model.spec.serve == "tensors"}

    def with_virtual(self, specs: Mapping[str, ModelSpec]) -> "Repository":
        """The same with models that nothing runs for: links answer for them."""
        self.specs.update(specs)
        return self

    def sources(self) -> dict[Path, list[Source]]:
        """What lies in the folder: by a flat model's file, or a model's folder, its versions, the newest last."""
        found: dict[Path, list[Source]] = {}
        with suppress(FileNotFoundError):
            for path in sorted(self.folder.iterdir()):
                if path.suffix == ".onnx" and path.is_file():
                    found[path] = [Source(path, _existing(path.with_suffix(".toml")))]
                elif _NAME.fullmatch(path.name) and path.is_dir() and (versions := _versions(path)):
                    found[path] = versions
        return found

    def current(self, sources: list[Source]) -> Source:
        """Which of a model's versions is to be served.

        Raises:
            InvalidInput: `current` names a version that is not there.
        """
        wanted = current_version(sources[-1])
        if wanted is None:
            return sources[-1]
        for source in sources:
            if source.version == wanted:
                return source
        there = ", ".join(str(source.version) for source in sources)
        raise InvalidInput(f"{sources[-1].path.parents[1] / CURRENT}: names {wanted}, and there is only {there}")

    def _only_tail(self) -> PartitionSpec | None:
        parts = [name for name, model in self.models.items() if model.spec.input is None and is_part(model.path)]
        if parts and len(self.models) > 1:
            raise InvalidInput(
                f"{self.folder}: holds the second part of {', '.join(parts)} beside other models, and no input is both "
                "a map and a picture: give each second part a folder, and a coordinator, of its own"
            )
        return read_partition(self.paths[parts[0]], "tail") if parts else None


def current_version(source: Source) -> int | None:
    """The version that the `current` beside a model's versions names; None: there is none, or they lie flat.

    Raises:
        InvalidInput: it holds anything but a number.
    """
    if not source.version:
        return None
    path = source.path.parents[1] / CURRENT
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    if not _NUMBER.fullmatch(text):
        raise InvalidInput(f"{path}: must hold a version's number, not {text[:20]!r}")
    return int(text)


def set_current(folder: Path, version: int | None) -> None:
    """Says which version of a model's folder is served; None: the newest."""
    path = folder / CURRENT
    if version is None:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as part:
        part.write_text(f"{version}\n", encoding="ascii")


def _versions(folder: Path) -> list[Source]:
    """A model's versions; each with the spec beside it, or else that of all of them."""
    shared = _existing(folder / SPEC_FILE)
    found = [
        Source(path / MODEL_FILE, _existing(path / SPEC_FILE) or shared, folder.name, int(path.name))
        for path in folder.iterdir()
        if _NUMBER.fullmatch(path.name) and (path / MODEL_FILE).is_file()
    ]
    return sorted(found, key=lambda source: source.version)


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _in_place(source: Source) -> ServedModel:
    """A model that runs from where it is."""
    spec, files = read_source_spec(source), source.files()
    version = str(source.version) if source.version else spec.version
    return ServedModel(spec.name, version, digest(source.path), spec, source.path, source, stamp_of(files))
