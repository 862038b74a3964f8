"""The gRPC service `inference.GRPCInferenceService`: the Open Inference Protocol, with Triton's extensions."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from ... import __version__
from ...errors import InfilinkError, InvalidInput, QueueFull, Unavailable
from ...protos import open_inference_pb2 as pb
from ...protos.inference_wire import join_response, join_stream_response, request_id
from ...protos.tracing import following
from ..coordinator import Coordinator
from ..endpoint import abort_on_error
from ..inference.answering import Answering
from ..inference.catalogue import Catalogue, Model
from ..inference.request import InferRequest, InferResponse
from ..security.guard import host_of
from ..security.text import for_outside
from .inference_messages import (
    config_message,
    metadata_message,
    read_request,
    response_message,
    statistics_message,
    write_response,
)

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics")
# Requests of one stream that are answered at once: more wait at the client.
_AT_ONCE = 8
_FINAL = "triton_enable_empty_final_response"
_STOPPING = "the coordinator is stopping"


class InferenceService:
    """Serves the protocol from one coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.catalogue = Catalogue(coordinator)
        self.answering = Answering(coordinator, self.catalogue)
        self._readers: set[asyncio.Task[None]] = set()

    def add_to(self, server: Any) -> None:
        """Has a server serve this."""
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))

    def stop(self) -> None:
        """Reads no further requests of streams; those that were read are still answered."""
        for reader in self._readers:
            reader.cancel()

    def check_serving(self) -> None:
        """Makes sure that requests are still taken.

        Raises:
            Unavailable: the coordinator is stopping: what it has taken is answered, and nothing else.
        """
        if self.coordinator.stopping:
            raise Unavailable(_STOPPING)

    def _handlers(self) -> dict[str, Any]:
        plain: dict[str, tuple[Callable[[Any], Coroutine[Any, Any, Any]], Any]] = {
            "ServerLive": (self.server_live, pb.ServerLiveRequest),
            "ServerReady": (self.server_ready, pb.ServerReadyRequest),
            "ModelReady": (self.model_ready, pb.ModelReadyRequest),
            "ServerMetadata": (self.server_metadata, pb.ServerMetadataRequest),
            "ModelMetadata": (self.model_metadata, pb.ModelMetadataRequest),
            "ModelConfig": (self.model_config, pb.ModelConfigRequest),
            "ModelStatistics": (self.model_statistics, pb.ModelStatisticsRequest),
            "RepositoryIndex": (self.repository_index, pb.RepositoryIndexRequest),
            "RepositoryModelLoad": (self.repository_model_load, pb.RepositoryModelLoadRequest),
            "RepositoryModelUnload": (self.repository_model_unload, pb.RepositoryModelUnloadRequest),
        }
        return {
            name: grpc.unary_unary_rpc_method_handler(
                self._guarded(name, method), kind.FromString, lambda message: message.SerializeToString()
            )
            for name, (method, kind) in plain.items()
        } | {
            # Messages as bytes: what is large in them is not copied by protobuf.
            "ModelInfer": grpc.unary_unary_rpc_method_handler(self.model_infer),
            "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(self.model_stream_infer),
        }

    async def model_infer(self, data: bytes, context: Any) -> bytes:
        """One model's outputs."""
        async with abort_on_error(context):
            self.check_serving()
            tracing = self.coordinator.tracing
            with self._counted("ModelInfer"), following(tracing, lambda: _traceparent(context), "ModelInfer"):
                return await self._infer(data, context)
        raise AssertionError("abort raises")

    async def model_stream_infer(self, messages: AsyncIterator[bytes], context: Any) -> None:
        """One response for each request, in their order; an error ends its request alone."""
        async with abort_on_error(context):
            self.check_serving()
            waiting: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()
            # There is room for a request before it is read: whenever reading ends, what was read is among the waiting.
            room = asyncio.Semaphore(_AT_ONCE)

            async def read() -> None:
                try:
                    await room.acquire()
                    async for data in messages:
                        waiting.put_nowait(asyncio.create_task(self._answer_of_stream(data, context)))
                        await room.acquire()
                finally:
                    waiting.put_nowait(None)

            reader = asyncio.create_task(read())
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
            try:
                while (task := await waiting.get()) is not None:
                    await context.write(await task)
                    room.release()
                if self.coordinator.stopping:
                    # Not by a status: with one that is none of success, clients drop what they have not looked at yet.
                    await context.write(_failed(Unavailable(_STOPPING)))
                else:
                    await reader
            finally:
                reader.cancel()
                while not waiting.empty():
                    if (task := waiting.get_nowait()) is not None:
                        task.cancel()

    async def _infer(self, data: bytes, context: Any) -> bytes:
        metrics = self.coordinator.metrics
        metrics.received("grpc", len(data))
        request, raw = read_request(data, most_bytes=self.coordinator.config.max_input_bytes)
        sent = write_response(await self._answer(request, context), raw=raw)
        metrics.sent("grpc", len(sent))
        return sent

    async def _answer(self, request: InferRequest, context: Any) -> InferResponse:
        # Who sends it is only asked for where that matters.
        host = host_of(context.peer()) if self.coordinator.quotas.limited else ""
        return await self.answering.answer(request, left_s=_left(context), host=host)

    async def _answer_of_stream(self, data: bytes, context: Any) -> bytes:
        self.coordinator.metrics.received("grpc", len(data))
        name, tracing = "ModelStreamInfer", self.coordinator.tracing
        try:
            with self._counted(name):
                request, raw = read_request(data, most_bytes=self.coordinator.config.max_input_bytes)
                # The call has one trace for all, so that a request may name its own.
                with following(tracing, lambda: request.traceparent or _traceparent(context), name):
                    response = await self._answer(request, context)
        except InfilinkError as error:
            return _failed(error, data)
        message, contents = response_message(response, raw=raw)
        if request.parameters.get(_FINAL):
            message.parameters["triton_final_response"].bool_param = True
        return join_stream_response(join_response(message, contents))

    async def server_live(self, _: pb.ServerLiveRequest) -> pb.ServerLiveResponse:
        """It answers."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: pb.ServerReadyRequest) -> pb.ServerReadyResponse:
        """Whether requests are answered."""
        return pb.ServerReadyResponse(ready=not self.coordinator.stopping)

    async def model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        """Whether requests for a model are answered without loading it first; no model of that name is not ready."""
        try:
            model = self.catalogue.find(request.name, request.version)
        except InfilinkError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self.catalogue.is_ready(model.name))

    async def server_metadata(self, _: pb.ServerMetadataRequest) -> pb.ServerMetadataResponse:
        """What this is."""
        return pb.ServerMetadataResponse(name="infilink", version=__version__, extensions=EXTENSIONS)

    async def model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        """What a model takes and gives."""
        return metadata_message(self.catalogue.find(request.name, request.version))

    async def model_config(self, request: pb.ModelConfigRequest) -> pb.ModelConfigResponse:
        """The same as a configuration."""
        return pb.ModelConfigResponse(config=config_message(self.catalogue.find(request.name, request.version)))

    async def model_statistics(self, request: pb.ModelStatisticsRequest) -> pb.ModelStatisticsResponse:
        """What came of the requests so far, of one model or of all."""
        models = [self.catalogue.find(request.name, request.version)] if request.name else list(self.catalogue)
        return pb.ModelStatisticsResponse(
            model_stats=[
                statistics_message(each, self.catalogue.count(each.name), self._memory(each)) for each in models
            ]
        )

    async def repository_index(self, request: pb.RepositoryIndexRequest) -> pb.RepositoryIndexResponse:
        """Every model, its version, and whether it is ready."""
        _check_repository(request.repository_name)
        found = [self._entry(model) for model in self.catalogue]
        return pb.RepositoryIndexResponse(
            models=[entry for entry in found if not request.ready or entry.state == "READY"]
        )

    async def repository_model_load(self, request: pb.RepositoryModelLoadRequest) -> pb.RepositoryModelLoadResponse:
        """Loads a model, or serves the version that lies in its place now."""
        _check_repository(request.repository_name)
        if request.parameters:
            raise InvalidInput("`parameters`: a model's file and configuration are not sent with a call to load it")
        await self.catalogue.load(request.model_name)
        return pb.RepositoryModelLoadResponse()

    async def repository_model_unload(
        self, request: pb.RepositoryModelUnloadRequest
    ) -> pb.RepositoryModelUnloadResponse:
        """Unloads a model once what runs on it has ended."""
        _check_repository(request.repository_name)
        await self.catalogue.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    def _guarded(
        self, name: str, method: Callable[[Any], Coroutine[Any, Any, Any]]
    ) -> Callable[[Any, Any], Coroutine[Any, Any, Any]]:
        async def call(request: Any, context: Any) -> Any:
            async with abort_on_error(context):
                with self._counted(name):
                    return await method(request)
            raise AssertionError("abort raises")

        return call

    @contextmanager
    def _counted(self, method: str) -> Iterator[None]:
        """Counts a request by how it ends."""
        code = "INTERNAL"
        try:
            yield
            code = "OK"
        except InfilinkError as error:
            code = error.code.name
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        finally:
            self.coordinator.metrics.request("grpc", method, code)

    def _memory(self, model: Model) -> int:
        worker = self.coordinator.workers.get(model.name)
        return 0 if worker is None else worker.stats().memory_bytes

    def _entry(self, model: Model) -> pb.RepositoryIndexResponse.ModelIndex:
        state, reason = self.catalogue.state(model.name)
        return pb.RepositoryIndexResponse.ModelIndex(name=model.name, version=model.version, state=state, reason=reason)


def _left(context: Any) -> float:
    """How long the caller waits."""
    left_s = context.time_remaining()
    return math.inf if left_s is None else float(left_s)


def _traceparent(context: Any) -> str:
    """What a client's tracing calls the request; empty: nothing."""
    return str(dict(context.invocation_metadata() or ()).get("traceparent", ""))


def _failed(error: InfilinkError, data: bytes = b"") -> bytes:
    """What a stream's request is told that was not answered; without one, the stream is."""
    response = pb.ModelInferResponse(id=request_id(data))
    if isinstance(error, QueueFull):
        response.parameters["retry_after_ms"].int64_param = error.retry_after_ms
    message = pb.ModelStreamInferResponse(error_message=for_outside(str(error)), infer_response=response)
    return bytes(message.SerializeToString())


def _check_repository(name: str) -> None:
    if name:
        raise InvalidInput(f"`repository_name`: there is one repository, without a name, and none called {name[:40]!r}")
