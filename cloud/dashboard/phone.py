"""The phone page: a phone's camera as a device, with the site's own filters in its browser."""

import asyncio
import json
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from ... import __version__
from ...protos.wire import NEWEST, OLDEST
from ..phones.address import PAGE
from ..security.caller import current_caller
from ..services.edge import EdgeService
from .access import Access, closed, policy
from .page_files import base, names, version
from .phone_filters import PhoneFilters
from .phone_uplink import PhoneUplink

if TYPE_CHECKING:
    from ..coordinator import Coordinator
    from ..phones.authority import LocalAuthority

_KEPT_S = 30 * 86400
_FILES = ("dashboard.css", "icon.svg", "theme.js", "tile.js", "words.js", "phone/*.js", "phone/*.css", "ort/*.mjs")
_RUNTIME = "ort/ort-wasm-simd-threaded.wasm"
_WORKER = files(__package__ or "infilink.cloud.dashboard") / "static" / "phone_worker.js"
_APP = {
    "id": "/phone",
    "name": "infilink phone",
    "short_name": "infilink",
    "description": "This phone as a camera of the site",
    "start_url": "/phone",
    # The page that asks for a token is a part of it, too.
    "scope": "/",
    "display": "standalone",
    "background_color": "#0a6c74",
    "theme_color": "#0a6c74",
    "icons": [
        {"src": "/static/icon-192.png", "sizes": "192x192", "type": "image/png", "purpose": "any maskable"},
        {"src": "/static/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
        {"src": "/static/icon.svg", "sizes": "any", "type": "image/svg+xml"},
    ],
}


class PhonePage:
    """`/phone`, and what it asks for.

    Args:
        coordinator: what is sent goes there.
        edge: serves the phone as a device.
        access: lets callers in.
        render: makes a page of a template and its values.
        authority: who has signed the certificate, if that is this machine's own.
    """

    def __init__(
        self,
        coordinator: "Coordinator",
        edge: EdgeService,
        access: Access,
        render: Callable[..., Response],
        authority: "LocalAuthority | None",
    ) -> None:
        self.how = "" if authority is None else PAGE
        self.access = access
        self.render = render
        self.filters = PhoneFilters(coordinator.config.phone_filters)
        self.uplink = PhoneUplink(edge, access)
        self._reading = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """Its addresses."""
        page, data = self.access.page, self.access.data
        return [
            Route("/phone", page(self.show, "device"), methods=["GET"]),
            Route("/phone/filters", data(self.listed, "device"), methods=["GET"]),
            Route("/phone/filter/{name}", data(self.file, "device"), methods=["GET"]),
            Route("/phone/worker.js", self.worker, methods=["GET"]),
            Route("/phone/app.webmanifest", self.manifest, methods=["GET"]),
            WebSocketRoute("/phone/edge", self.uplink.serve),
        ]

    async def show(self, request: Request) -> Response:
        """The page. It alone may compile WebAssembly, which its filters run in."""
        response = self.render(
            "phone.html.j2",
            here="phone",
            version=__version__,
            wire=NEWEST,
            wire_oldest=OLDEST,
            static=base(),
            named=current_caller().only_device or "",
            how=self.how,
        )
        response.headers["content-security-policy"] = policy("'wasm-unsafe-eval'", app=True)
        response.headers["x-infilink-version"] = version()
        self.access.keep(request, response)
        return response

    async def worker(self, request: Request) -> Response:
        """What starts the page where the coordinator can't be reached; another one for each version of the page."""
        told = {
            "VERSION": version(),
            "BASE": f"{base()}/",
            "FILES": [f"{base()}/{name}" for name in (*names(*_FILES), _RUNTIME)],
        }
        head = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in told.items())
        source = await asyncio.to_thread(_WORKER.read_text, encoding="utf-8")
        headers = {"service-worker-allowed": "/phone"}
        return closed(Response(head + source, media_type="text/javascript", headers=headers))

    async def manifest(self, request: Request) -> Response:
        """What the page is as an app."""
        return closed(JSONResponse(_APP, media_type="application/manifest+json"))

    async def listed(self, request: Request) -> Response:
        """The filters by name: what each decides by, or why a phone can't have it."""
        async with self._reading:
            found = await asyncio.to_thread(self.filters.found)
        told = {name: each.decides_by | {"why_not": each.why_not} for name, each in found.items()}
        return JSONResponse({"filters": told, "folder": self.filters.folder is not None})

    async def file(self, request: Request) -> Response:
        """A filter's file; one that is asked for by its digest, `?digest=`, the browser keeps.

        Raises:
            UnknownModel: there is none of this name, or a phone can't have it.
        """
        digest = request.query_params.get("digest", "")
        async with self._reading:
            found = await asyncio.to_thread(self.filters.file, request.path_params["name"], digest)
        headers = {"cache-control": f"private, max-age={_KEPT_S}, immutable"} if digest else None
        return Response(found, media_type="application/octet-stream", headers=headers)
