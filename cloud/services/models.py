"""The gRPC service `infilink.v1.Models`: an operator sees and changes what is served."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import InvalidInput
from ...protos import models_pb2, models_pb2_grpc
from ...units import format_bytes
from ..coordinator import Coordinator
from ..endpoint import abort_on_error
from ..model_entry import ModelEntry
from ..repository import MODEL_FILE, SPEC_FILE
from ..security.text import for_outside

_PIECE_TIMEOUT_S = 60.0
_MOST_FILES = 1000
_MOST_SPEC_BYTES = 2**20
_ROOM_LEFT_BYTES = 64 * 2**20


class ModelsService(models_pb2_grpc.ModelsServicer):
    """Serves one coordinator's models to operators."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator

    async def List(self, _: models_pb2.ListModels, context: Any) -> models_pb2.ModelList:  # noqa: N802
        """All models, and what can't be served."""
        async with abort_on_error(context):
            deployments = self.coordinator.deployments
            entries = await asyncio.to_thread(deployments.index)
            refused = {name: for_outside(why) for name, why in deployments.refused.items()}
            return models_pb2.ModelList(models=[_message(entry) for entry in entries], refused=refused)
        raise AssertionError("abort raises")

    async def Add(self, pieces: AsyncIterator[models_pb2.ModelPiece], context: Any) -> models_pb2.ServedModel:  # noqa: N802
        """A model, or a new version of one."""
        async with abort_on_error(context):
            first = await _next(pieces)
            if first is None or not first.HasField("new"):
                raise InvalidInput("the first piece must be `new`, which says what follows")
            deployments = self.coordinator.deployments
            folder = await asyncio.to_thread(deployments.incoming)
            try:
                await self._take(first.new, folder, pieces)
                return _message(await deployments.add(first.new.name, folder, version=first.new.version))
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise AssertionError("abort raises")

    async def Change(self, request: models_pb2.ChangeModel, context: Any) -> models_pb2.ServedModel:  # noqa: N802
        """Loads, unloads, pins, rolls back or removes a model."""
        async with abort_on_error(context):
            deployments, name, action = self.coordinator.deployments, request.name, request.action
            if action == models_pb2.MODEL_ACTION_LOAD:
                await deployments.load(name)
            elif action == models_pb2.MODEL_ACTION_UNLOAD:
                await deployments.unload(name)
            elif action in (models_pb2.MODEL_ACTION_PIN, models_pb2.MODEL_ACTION_UNPIN):
                await deployments.pin(name, pinned=action == models_pb2.MODEL_ACTION_PIN)
            elif action == models_pb2.MODEL_ACTION_ROLLBACK:
                await deployments.rollback(name)
            elif action == models_pb2.MODEL_ACTION_REMOVE:
                await deployments.remove(name, version=request.version)
                if name not in self.coordinator.repository.models:
                    return models_pb2.ServedModel(name=name, state="removed")
            else:
                raise InvalidInput("`action` must be one of the ModelAction")
            return _message(await asyncio.to_thread(deployments.entry, name))
        raise AssertionError("abort raises")

    async def _take(self, new: models_pb2.NewModel, folder: Path, pieces: AsyncIterator[models_pb2.ModelPiece]) -> None:
        """Writes the files as they come, never more than was said before."""
        paths = _places(new, folder)
        total_bytes = sum(file.size_bytes for file in new.files)
        most_bytes, free_bytes = self.coordinator.config.max_model_bytes, shutil.disk_usage(folder).free
        if total_bytes > most_bytes:
            raise InvalidInput(
                f"the model has {format_bytes(total_bytes)}; at most {format_bytes(most_bytes)} are taken"
            )
        if total_bytes > free_bytes - _ROOM_LEFT_BYTES:
            raise InvalidInput(
                f"the model has {format_bytes(total_bytes)}, and the models' disk has {format_bytes(free_bytes)} free"
            )
        if new.spec:
            (folder / SPEC_FILE).write_text(new.spec, encoding="utf-8")
        content = b""
        for file, path in zip(new.files, paths, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            left_bytes = file.size_bytes
            with path.open("wb") as out:
                while left_bytes:
                    if not content:
                        content = await _content(pieces)
                    part, content = content[:left_bytes], content[left_bytes:]
                    await asyncio.to_thread(out.write, part)
                    left_bytes -= len(part)
        if content or await _next(pieces) is not None:
            raise InvalidInput("more came than `files` says")


def _places(new: models_pb2.NewModel, folder: Path) -> list[Path]:
    if not new.files or len(new.files) > _MOST_FILES:
        raise InvalidInput(f"`files` must name 1 to {_MOST_FILES} files, the model first")
    if len(new.spec) > _MOST_SPEC_BYTES:
        raise InvalidInput(f"`spec` must have at most {_MOST_SPEC_BYTES} letters")
    places = [folder / MODEL_FILE]
    for file in new.files[1:]:
        path = PurePosixPath(file.path)
        wrong = not path.parts or path.is_absolute() or ".." in path.parts or "\0" in file.path or len(file.path) > 200
        if wrong or folder / path in (*places, folder / SPEC_FILE):
            raise InvalidInput(f"`files` names {file.path[:80]!r}: must be a file beside the model, each once")
        places.append(folder / path)
    return places


async def _content(pieces: AsyncIterator[models_pb2.ModelPiece]) -> bytes:
    piece = await _next(pieces)
    if piece is None or not piece.content:
        raise InvalidInput("less came than `files` says")
    return bytes(piece.content)


async def _next(pieces: AsyncIterator[models_pb2.ModelPiece]) -> models_pb2.ModelPiece | None:
    try:
        async with asyncio.timeout(_PIECE_TIMEOUT_S):
            return await anext(aiter(pieces))
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise InvalidInput(f"nothing came for {_PIECE_TIMEOUT_S:g} s") from None


def _message(entry: ModelEntry) -> models_pb2.ServedModel:
    fields = {name: getattr(entry, name) for name in models_pb2.ServedModel.DESCRIPTOR.fields_by_name}
    told = {name: for_outside(fields[name]) for name in ("reason", "refused")}
    return models_pb2.ServedModel(**{**fields, **told})
