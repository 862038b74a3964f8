"""Which models are served, by what lies in their folder and by what an operator asks for."""

import asyncio
import logging
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InfilinkError, InvalidInput, OutOfMemory, Overloaded, UnknownModel
from .model_entry import ModelEntry
from .model_folder import delete_files, keep, older_version, place_of, put_back
from .model_store import ServedModel, Source, Stamp, stamp_of
from .repository import MODEL_FILE, SPEC_FILE, check_name, set_current
from .rollout import Rollout

if TYPE_CHECKING:
    from .coordinator import Coordinator

logger = logging.getLogger(__name__)

_INCOMING = ".incoming-"


class Deployments:
    """Keeps what is served as the models' folder has it, and does what an operator asks for.

    Args:
        coordinator: whose models these are.
    """

    def __init__(self, coordinator: "Coordinator") -> None:
        self.coordinator = coordinator
        self.rollout = Rollout(coordinator)
        self.refused: dict[str, str] = {}
        """What lies in the folder and can't be served, by the model's name or file, and why."""
        self._before: dict[str, ServedModel] = {}
        self._changing = asyncio.Lock()
        self._unsettled: dict[Path, Stamp] = {}
        self._known: dict[Path, Stamp] = {}
        self._files: dict[Path, tuple[Stamp, tuple[Path, ...]]] = {}
        self._told = ""

    def index(self) -> list[ModelEntry]:
        """All models that are served, by name."""
        return [self._entry(model) for model in self.coordinator.repository.models.values()]

    def entry(self, name: str) -> ModelEntry:
        """What there is to know of one model.

        Raises:
            UnknownModel: there is none of that name.
        """
        return self._entry(self._served(name))

    async def watch(self, *, every_s: float) -> None:
        """Looks at the folder at intervals, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.look()
            except Exception:
                logger.exception("the models' folder can't be looked at; it is tried again")

    async def look(self) -> None:
        """Takes over what is new in the folder: what has not changed since the last look, as it may be half written."""
        async with self._changing:
            found = await asyncio.to_thread(self._found)
            if found is None:
                return
            for place, (source, stamp) in found.items():
                if stamp == self._known.get(place) or self._unsettled.get(place) != stamp:
                    continue
                try:
                    await self._deploy(place, source)
                    self._known[place] = stamp
                except OutOfMemory as error:
                    self._refuse(place, f"{error}: it is tried again")
                except (InfilinkError, OSError) as error:
                    self._known[place] = stamp
                    self._refuse(place, str(error))
            self._unsettled = {place: stamp for place, (_, stamp) in found.items()}
            for place in [place for place in self._known if place not in found]:
                await self._gone(place)

    async def load(self, name: str) -> None:
        """Loads a model now; the schedule may unload it when others are worth more.

        Raises:
            UnknownModel: there is none of that name.
            InfilinkError: it can't be loaded.
        """
        self._served(name)
        site = self.coordinator
        site.pool.parked.discard(name)
        async with site.pool.changing:
            if name not in site.pool.queue.loaded:
                await site.scheduler.make_room(name)
                began_s = time.monotonic()
                await site.pool.load(name)
                site.metrics.loaded(name, "operator", time.monotonic() - began_s)
                self._say(name, "loaded, as an operator asked for it")

    async def ensure(self, name: str) -> None:
        """Loads a model that is asked for and not there, in the place of what is worth less.

        Raises:
            UnknownModel: there is none of that name.
            Overloaded: an operator unloaded it.
            InfilinkError: it can't be loaded.
        """
        if name in self.coordinator.pool.parked:
            raise Overloaded(f"{name}: an operator unloaded it, until it is loaded again")
        await self.load(name)

    async def unload(self, name: str) -> None:
        """Unloads a model, and leaves it so until it is loaded or pinned again.

        Raises:
            UnknownModel: there is none of that name.
        """
        self._served(name)
        site = self.coordinator
        site.pool.pinned.discard(name)
        site.pool.parked.add(name)
        async with site.pool.changing:
            if name in site.pool.queue.loaded:
                await site.pool.unload(name)
                site.metrics.unloaded(name, "operator")
                self._say(name, "unloaded, as an operator asked for it")

    async def pin(self, name: str, *, pinned: bool = True) -> None:
        """Loads a model and keeps it loaded, whatever it is worth; or keeps it no longer.

        Raises:
            UnknownModel: there is none of that name.
            InfilinkError: it can't be loaded.
        """
        self._served(name)
        if pinned:
            await self.load(name)
            self.coordinator.pool.pinned.add(name)
        else:
            self.coordinator.pool.pinned.discard(name)

    async def rollback(self, name: str) -> ModelEntry:
        """Serves the version before again: the one that was served before, else the next older one in the folder.

        Raises:
            UnknownModel: there is none of that name.
            InvalidInput: there is no version before.
            InfilinkError: it can't be loaded; all stays.
        """
        async with self._changing:
            now = self._served(name)
            before = self._before.get(name)
            if before is None:
                before = await asyncio.to_thread(
                    older_version, now, self.coordinator.repository, self.coordinator.store
                )
            await self.rollout.replace(before)
            # The other way round from now on: a rollback of a rollback is the newer version again.
            self._before[name] = now
            if before.source.version:
                await asyncio.to_thread(set_current, before.source.path.parents[1], before.source.version)
            else:
                await asyncio.to_thread(put_back, before)
            self._settle(name)
            self._say(name, f"rolled back to version {before.version} ({before.digest})")
            return self.entry(name)

    async def add(self, name: str, folder: Path, *, version: int = 0) -> ModelEntry:
        """Serves a model that somebody brings: a new one, or a new version of one that is there.

        It is loaded and tried first; the models' folder has it only once it is served.

        Args:
            name: what it is called.
            folder: holds `model.onnx`, its data files, and `model.toml` if its spec is not inside; it is moved away.
            version: its number; 0: one more than the highest.

        Raises:
            InvalidInput: the name, the files or the spec are wrong, or the version is there already.
            InfilinkError: it can't be loaded; all stays.
        """
        async with self._changing:
            served = self.coordinator.repository.models.get(name)
            flat = served is not None and not served.source.version
            if not flat:
                check_name(name)
            home = self.coordinator.repository.folder / name
            versions = [] if flat else [each.version for each in self.coordinator.repository.sources().get(home, [])]
            number = 0 if flat else version or max(versions, default=0) + 1
            if number in versions:
                raise InvalidInput(f"{name}: version {number} is there already: remove it, or give another")
            spec = folder / SPEC_FILE
            source = Source(folder / MODEL_FILE, spec if spec.is_file() else None, name, number)
            model = await asyncio.to_thread(self.coordinator.store.take, source)
            await self._serve(model)
            try:
                kept = await asyncio.to_thread(
                    keep, model, served, home / str(number), newest=number > max(versions, default=0)
                )
            except (InfilinkError, OSError) as error:
                logger.warning("%s: can't be put into the models' folder: %s", name, error)
                if served is not None:
                    await self._serve(served)
                raise InvalidInput(f"{name}: can't be put into the models' folder, so all stays: {error}") from error
            self.coordinator.repository.put(kept)
            self._settle(name)
            self._say(name, f"version {kept.version} ({kept.digest}) was added by an operator")
            return self.entry(name)

    async def remove(self, name: str, *, version: int = 0) -> None:
        """Takes a model out of the folder and serves it no more; or only an older version out of the folder.

        Raises:
            UnknownModel: there is none of that name, or not that version.
            InvalidInput: it can't be done without.
        """
        async with self._changing:
            model = self._served(name)
            home = model.source.path.parents[1] if model.source.version else None
            if version and str(version) != model.version:
                if home is None or not (home / str(version)).is_dir():
                    raise UnknownModel(f"{name} version {version}")
                await asyncio.to_thread(shutil.rmtree, home / str(version))
                return
            await self.rollout.withdraw(name)
            repository, files = self.coordinator.repository, model.source.files()
            place = home if home is not None else model.source.path
            self._known.pop(place, None)
            if home is not None:
                await asyncio.to_thread(shutil.rmtree, home)
            else:
                delete_files(files, [each for each in repository.models.values() if each.name != name])
            self._forget(name)
            logger.info("%s: removed, as an operator asked for it", name)

    def incoming(self) -> Path:
        """A new folder to put a model's files into for `add`, on the disk of the models' folder.

        Raises:
            InvalidInput: the folder can't be written.
        """
        folder = self.coordinator.repository.folder
        try:
            return Path(tempfile.mkdtemp(prefix=_INCOMING, dir=folder))
        except OSError as error:
            raise InvalidInput(f"the models' folder can't be written: {error.strerror}") from error

    def clean(self) -> None:
        """Deletes what was on its way when an earlier coordinator was killed, and takes note of what is served."""
        for path in self.coordinator.repository.folder.glob(f"{_INCOMING}*"):
            shutil.rmtree(path, ignore_errors=True)
        for model in self.coordinator.repository.models.values():
            self._known[place_of(model)] = model.stamp

    def _served(self, name: str) -> ServedModel:
        models = self.coordinator.repository.models
        if name not in models:
            raise UnknownModel(name[:80], tuple(models))
        return models[name]

    def _entry(self, model: ServedModel) -> ModelEntry:
        site, name = self.coordinator, model.name
        versions: tuple[int, ...] = ()
        if model.source.version:
            home = model.source.path.parents[1]
            versions = tuple(source.version for source in site.repository.sources().get(home, []))
        before = self._before.get(name)
        older = [str(each) for each in versions if each < model.source.version]
        return ModelEntry(
            name,
            model.version,
            model.digest,
            site.workers[name].stats().state,
            site.scheduler.why.get(name, ""),
            site.machine.place(name),
            model.size_bytes,
            site.pool.budget_of(name).need(name),
            name in site.pool.pinned,
            name in site.pool.parked,
            versions,
            before.version if before is not None else older[-1] if older else "",
            self.refused.get(name, ""),
        )

    def _found(self) -> dict[Path, tuple[Source, Stamp]] | None:
        """What lies in the folder to be served, and what it looks like; None: the folder itself can't be read."""
        repository = self.coordinator.repository
        if not repository.folder.is_dir():
            self._tell_once(f"{repository.folder}: is not there any more: what is served goes on")
            return None
        found = {}
        for place, sources in repository.sources().items():
            try:
                source = repository.current(sources)
                found[place] = (source, stamp_of(self._files_of(source)))
            except (InvalidInput, OSError) as error:
                found[place] = (sources[-1], ())
                self._tell_once(str(error))
        return found

    def _files_of(self, source: Source) -> tuple[Path, ...]:
        """A source's files; their names in the model and its spec are read anew only where these were written to."""
        stamp = stamp_of((source.path, *([source.spec] if source.spec is not None else [])))
        known = self._files.get(source.path)
        files = known[1] if known is not None and known[0] == stamp else source.files()
        self._files[source.path] = (stamp, files)
        with_spec = [path for path in files if path != source.spec]
        return (*with_spec, *([source.spec] if source.spec is not None else []))

    async def _deploy(self, place: Path, source: Source) -> None:
        """Serves what lies in the folder.

        Raises:
            InfilinkError: it can't be read or loaded; what was served of it goes on.
        """
        model = await asyncio.to_thread(self.coordinator.store.take, source)
        served = self.coordinator.repository.models.get(model.name)
        if served is not None and place_of(served) != place:
            self.coordinator.store.drop(model)
            raise InvalidInput(f"{place.name}: is called {model.name!r}, as {place_of(served).name} is: rename one")
        await self._serve(model)
        for key in (model.name, place.name):
            self.refused.pop(key, None)
        self._say(model.name, f"version {model.version} ({model.digest}) is served, as it lies in the models' folder")

    async def _serve(self, model: ServedModel) -> None:
        served, began_s = self.coordinator.repository.models.get(model.name), time.monotonic()
        try:
            if served is None:
                await self.rollout.introduce(model)
            else:
                await self.rollout.replace(model)
            if model.name in self.coordinator.pool.queue.loaded:
                self.coordinator.metrics.loaded(model.name, "update", time.monotonic() - began_s)
        except InfilinkError as error:
            self.coordinator.store.drop(model)
            self.coordinator.metrics.load_failed(model.name)
            raise type(error)(model.told(error)) if type(error) is InvalidInput else error from error
        except BaseException:
            self.coordinator.store.drop(model)
            raise
        if served is not None:
            if (older := self._before.get(model.name)) is not None and older is not model:
                self.coordinator.store.drop(older)
            self._before[model.name] = served

    async def _gone(self, place: Path) -> None:
        """A model's files are not there any more: it is served no more, if it can be done without."""
        del self._known[place]
        self._unsettled.pop(place, None)
        name = next(
            (name for name, each in self.coordinator.repository.models.items() if place_of(each) == place), None
        )
        if name is None:
            self.refused.pop(place.name, None)
            return
        try:
            await self.rollout.withdraw(name)
            logger.info("%s: is gone from the models' folder and served no more", name)
            self._forget(name)
        except InfilinkError as error:
            logger.warning("%s: is gone from the models' folder, but goes on: %s", name, error)

    def _settle(self, name: str) -> None:
        """What is served of a model is what lies in the folder: only what is written from now on is new."""
        model = self.coordinator.repository.models[name]
        with suppress(InfilinkError, OSError):
            self._known[place_of(model)] = stamp_of(self._files_of(model.source))

    def _forget(self, name: str) -> None:
        before = self._before.pop(name, None)
        if before is not None:
            self.coordinator.store.drop(before)
        self.refused.pop(name, None)

    def _refuse(self, place: Path, why: str) -> None:
        names = [name for name, each in self.coordinator.repository.models.items() if place_of(each) == place]
        key = names[0] if names else place.name
        follows = ": the version before goes on" if names else ""
        if self.refused.get(key) != why:
            logger.warning("%s: what is new there can't be served%s: %s", key, follows, why)
        self.refused[key] = why

    def _say(self, name: str, why: str) -> None:
        self.coordinator.scheduler.why[name] = why
        logger.info("%s: %s", name, why)
        self.coordinator.ledger.journal("model", why, model=name)

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            logger.warning("%s", text)
        self._told = text
