"""How models lie in the folder that is served, and how what an operator brings or takes back gets there."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InvalidInput
from ..files import replacing, room_for
from ..models.spec import files_beside
from .model_store import ORIGINAL_SPEC, ModelStore, ServedModel, stamp_of
from .repository import MODEL_FILE, SPEC_FILE, Repository, set_current


def keep(model: ServedModel, served: ServedModel | None, home: Path, *, newest: bool) -> ServedModel:
    """Moves what was brought to where it stays, and says where the model comes from now."""
    with room_for(home):
        if served is not None and not served.source.version:
            place = place_of(served)
            source = replace(model.source, path=place, spec=_beside(place, model), name="")
            put_back(replace(model, source=source))
            shutil.rmtree(model.source.path.parent)
        else:
            home.parent.mkdir(exist_ok=True)
            model.source.path.parent.chmod(0o755)
            model.source.path.parent.rename(home)
            set_current(home.parent, None if newest else int(home.name))
            spec = home / SPEC_FILE if model.source.spec is not None else None
            source = replace(model.source, path=home / MODEL_FILE, spec=spec)
    return replace(model, source=source, stamp=stamp_of(source.files()))


def older_version(now: ServedModel, repository: Repository, store: ModelStore) -> ServedModel:
    """The next older version in the folder.

    Raises:
        InvalidInput: there is none, or it can't be read.
    """
    if now.source.version:
        sources = repository.sources().get(now.source.path.parents[1], [])
        older = [source for source in sources if source.version < now.source.version]
        if older:
            return store.take(older[-1])
    raise InvalidInput(f"{now.name}: there is no version before {now.version} ({now.digest}) to go back to")


def place_of(model: ServedModel) -> Path:
    """Where a model lies in the folder: its file, or the folder of its versions."""
    return model.source.path.parents[1] if model.source.version else model.source.path


def _beside(place: Path, model: ServedModel) -> Path | None:
    return place.with_suffix(".toml") if model.source.spec is not None else None


def put_back(model: ServedModel) -> None:
    """Writes a copy's files to where a flat model lies, in the place of what is there."""
    place, original = model.source.path, model.path.with_name(ORIGINAL_SPEC)
    for copy in files_beside(model.path, model.path.with_suffix(".toml")):
        _copy(copy, place.parent / copy.relative_to(model.path.parent))
    if model.source.spec is not None:
        _copy(original, model.source.spec)
    else:
        place.with_suffix(".toml").unlink(missing_ok=True)
    # Last: what is looked for first is there when it is whole.
    _copy(model.path, place)


def delete_files(files: Sequence[Path], others: Sequence[ServedModel]) -> None:
    """Deletes a flat model's files, but for those that others need, too: a tokenizer may be that of several."""
    kept = {path for model in others for path, *_ in model.stamp}
    for path in files:
        if str(path) not in kept:
            path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as part:
        shutil.copyfile(source, part)
