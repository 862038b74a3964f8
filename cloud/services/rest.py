"""The Open Inference Protocol over HTTP (`http_listen`): the same handlers as over gRPC, in the same event loop."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...errors import DeadlineExceeded, InfilinkError, InvalidInput, QueueFull
from ...protos import open_inference_pb2 as pb
from ...protos.tracing import following
from ..coordinator import Coordinator
from ..scrape import render
from ..security.caller import Scope, called_by
from ..security.guard import Guard
from ..security.text import for_outside
from .http_server import http_status
from .inference import InferenceService
from .rest_messages import HEADER, is_long, is_long_response, plain, read_object, read_request, write_response

logger = logging.getLogger(__name__)

# Beside the bytes of an input: what says what they are.
_HEAD_BYTES = 2**16
# One at a time: what long JSON takes of processors and memory others have, too.
_JSON = ThreadPoolExecutor(1, "json")
# How many times the largest body all of them may take, from their first byte until they are answered, and how long one
# may take to come: callers that begin and send no more are to hold neither for others.
_MOST_BODIES, _BODY_WITHIN_S = 64, 60.0

Handler = Callable[[Request], Awaitable[Response]]


class RestService:
    """Serves the protocol over HTTP.

    Args:
        service: what serves it over gRPC.
        guard: knows who calls.
        coordinator: what both ask.
    """

    def __init__(self, service: InferenceService, guard: Guard, coordinator: Coordinator) -> None:
        self.service = service
        self.guard = guard
        self.coordinator = coordinator
        self._most_bytes = coordinator.config.max_input_bytes + _HEAD_BYTES
        self._body_bytes = 0

    def app(self) -> Starlette:
        """The application alone."""
        return Starlette(routes=self.routes())

    def routes(self) -> list[BaseRoute]:
        """The protocol's addresses, and what Prometheus reads."""
        service = self.service
        named, versioned = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"

        def get(path: str, handler: Handler, scope: Scope = "reader") -> Route:
            return Route(path, self.guarded(handler, scope), methods=["GET"])

        def post(path: str, handler: Handler, scope: Scope) -> Route:
            return Route(path, self.guarded(handler, scope), methods=["POST"])

        def told(method: Callable[[Any], Awaitable[Any]], kind: type) -> Handler:
            async def told(request: Request) -> Response:
                return JSONResponse(plain(await method(kind(**request.path_params))))

            told.__name__ = method.__name__
            return told

        routes: list[BaseRoute] = [
            # Whoever balances load asks these without a token, as it does gRPC's health service.
            Route("/v2/health/live", self.live, methods=["GET"]),
            Route("/v2/health/ready", self.ready, methods=["GET"]),
            get("/v2", told(service.server_metadata, pb.ServerMetadataRequest)),
            get("/v2/models/stats", told(service.model_statistics, pb.ModelStatisticsRequest)),
            get("/metrics", self.metrics),
            post("/v2/repository/index", self.index, "reader"),
            post("/v2/repository/models/{name}/load", self.load, "operator"),
            post("/v2/repository/models/{name}/unload", self.unload, "operator"),
        ]
        for path in (named, versioned):
            routes += [
                get(path, told(service.model_metadata, pb.ModelMetadataRequest)),
                get(f"{path}/ready", self.model_ready),
                get(f"{path}/config", self.config_of),
                get(f"{path}/stats", told(service.model_statistics, pb.ModelStatisticsRequest)),
                post(f"{path}/infer", self.infer, "device"),
            ]
        return routes

    def guarded(self, handler: Handler, scope: Scope) -> Handler:
        """A handler that is called by whoever has a scope, and whose errors are told in the protocol's way."""

        async def call(request: Request) -> Response:
            response = await answered(request)
            self.coordinator.metrics.request("rest", handler.__name__, str(response.status_code))
            return response

        async def answered(request: Request) -> Response:
            try:
                caller = self.guard.identify(request.headers.get("authorization", ""), _host(request))
                caller.require(scope)
                with called_by(caller):
                    return await handler(request)
            except InfilinkError as error:
                told = {"error": for_outside(str(error))}
                return JSONResponse(told, http_status(error), headers=_retry_headers(error))
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception:
                logger.exception("a request failed")
                return JSONResponse({"error": "the other side failed; its log says how"}, 500)

        return call

    async def infer(self, request: Request) -> Response:
        """One model's outputs."""
        self.service.check_serving()
        async with self._body(request, most=self._most_bytes, setting=" (`max_input_bytes`)") as body:
            return await self._infer(request, body)

    async def _infer(self, request: Request, body: bytes) -> Response:
        self.coordinator.metrics.received("rest", len(body))
        names = request.path_params
        arguments = (body, request.headers.get(HEADER))

        def read() -> Any:
            return read_request(*arguments, model=names["name"], version=names.get("version", ""))

        loop = asyncio.get_running_loop()
        asked, binary = await loop.run_in_executor(_JSON, read) if is_long(*arguments) else read()
        tracing = self.coordinator.tracing
        with following(tracing, lambda: request.headers.get("traceparent", ""), "infer", model=names["name"]):
            response = await self._while_connected(request, self.service.answering.answer(asked, host=_host(request)))
        if is_long_response(response, binary):
            whole, size = await loop.run_in_executor(_JSON, write_response, response, binary)
        else:
            whole, size = write_response(response, binary)
        self.coordinator.metrics.sent("rest", len(whole))
        if size is None:
            return Response(whole, media_type="application/json")
        return Response(whole, headers={HEADER: str(size)}, media_type="application/octet-stream")

    async def live(self, _: Request) -> Response:
        """It answers."""
        return Response()

    async def ready(self, _: Request) -> Response:
        """Whether requests are answered."""
        return Response(status_code=200 if (await self.service.server_ready(pb.ServerReadyRequest())).ready else 400)

    async def model_ready(self, request: Request) -> Response:
        """Whether requests for a model are answered without loading it first."""
        found = await self.service.model_ready(pb.ModelReadyRequest(**request.path_params))
        return Response(status_code=200 if found.ready else 400)

    async def config_of(self, request: Request) -> Response:
        """What a model takes and gives, as a configuration."""
        found = await self.service.model_config(pb.ModelConfigRequest(**request.path_params))
        return JSONResponse(plain(found.config))

    async def index(self, request: Request) -> Response:
        """Every model, and whether it is ready."""
        async with self._body(request, most=_HEAD_BYTES) as body:
            ready = read_object(body).get("ready") is True
        found = await self.service.repository_index(pb.RepositoryIndexRequest(ready=ready))
        return JSONResponse([plain(each) for each in found.models])

    async def load(self, request: Request) -> Response:
        """Loads a model."""
        async with self._body(request, most=_HEAD_BYTES) as body:
            if read_object(body).get("parameters"):
                raise InvalidInput("`parameters`: a model's file and configuration are not sent with a call to load it")
        await self.service.repository_model_load(pb.RepositoryModelLoadRequest(model_name=request.path_params["name"]))
        return Response()

    async def unload(self, request: Request) -> Response:
        """Unloads a model."""
        name = request.path_params["name"]
        await self.service.repository_model_unload(pb.RepositoryModelUnloadRequest(model_name=name))
        return Response()

    async def metrics(self, request: Request) -> Response:
        """What Prometheus reads."""
        body, kind = await render(self.coordinator, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})

    @asynccontextmanager
    async def _body(self, request: Request, *, most: int, setting: str = "") -> AsyncIterator[bytes]:
        """The body, which never has more than `most` bytes, as the setting says; it counts while this lasts."""
        if (coding := request.headers.get("content-encoding", "identity")) != "identity":
            raise InvalidInput(f"`content-encoding` {coding[:40]!r}: a body is taken as it is, not compressed")
        parts, size = list[bytes](), 0
        try:
            try:
                async with asyncio.timeout(_BODY_WITHIN_S):
                    async for part in request.stream():
                        size += len(part)
                        self._body_bytes += len(part)
                        if size > most:
                            raise InvalidInput(f"the body has more than {most} bytes{setting}")
                        if self._body_bytes > _MOST_BODIES * self._most_bytes:
                            raise QueueFull(f"{self._body_bytes} bytes of bodies are here already", retry_after_s=1.0)
                        parts.append(part)
            except TimeoutError:
                raise DeadlineExceeded(f"the body did not come within {_BODY_WITHIN_S:g} s") from None
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            yield body
        finally:
            self._body_bytes -= size

    async def _while_connected(self, request: Request, work: Awaitable[Any]) -> Any:
        """What `work` gives; it is ended where its caller goes away."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
            return await task
        finally:
            gone.cancel()
            task.cancel()


def _retry_headers(error: InfilinkError) -> dict[str, str] | None:
    """When to try again: HTTP's own header knows whole seconds alone."""
    if not isinstance(error, QueueFull):
        return None
    return {"retry-after": str(math.ceil(error.retry_after_s)), "retry-after-ms": str(error.retry_after_ms)}


def _host(request: Request) -> str:
    return request.client.host if request.client is not None else ""
