"""The pages and what they ask for, as one web application: `dashboard_listen`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from ...errors import InvalidInput
from ...models.inputs.payload import Payload
from ...protos import edge_pb2
from ...settings import is_loopback
from ..ledger.rows import Answered
from ..security.caller import current_caller
from ..security.guard import Guard
from ..sent.decoding import SentPictures
from ..sent.settings import pictures_path
from ..sent.store import Sent
from ..services.edge import EdgeService
from .access import PHONE, Access, closed
from .board import PAGE, Board, Choose, only, page_of
from .event_counts import EventCounts
from .exports import Exports
from .fleet import FleetPage
from .page_files import PageFiles
from .phone import PhonePage
from .phone_start import PhoneStart
from .pictures import WIDTHS, Pictures
from .plan import PlanPage
from .shown import Shown
from .stream_data import StreamData
from .timeline import Timeline
from .tuner import Tuner

if TYPE_CHECKING:
    from ..coordinator import Coordinator
    from ..phones.authority import LocalAuthority

_MOST_FIND = 100
_WRONG = {
    "": "",
    "token": "That token is not known here, or its time is over.",
    "scope": "That token may not do this: it needs the scope {scope}.",
    "code": "That code is wrong, was used already, or its time is over: ask for another one.",
    "wait": "Too many wrong codes came lately: wait a minute.",
    "certificate": "Devices get certificates here, which a browser can't take: a phone needs a token.",
}


class Dashboard:
    """The coordinator's web pages.

    Args:
        coordinator: whose.
        shown: the newest answers.
        guard: knows who calls.
        edge: serves devices; also those that speak from a browser.
        sent: what was sent, of before, too; None: that is not kept.
        authority: who has signed the certificate, if that is this machine's own.
    """

    def __init__(
        self,
        coordinator: "Coordinator",
        shown: Shown,
        guard: Guard,
        edge: EdgeService,
        sent: Sent | None = None,
        authority: "LocalAuthority | None" = None,
    ) -> None:
        self.coordinator = coordinator
        self.authority = authority
        self.events = EventCounts(coordinator.ledger.database)
        self.board = Board(coordinator, shown, self.events)
        self.pictures = Pictures(shown)
        self.guard = guard
        self.edge = edge
        config = coordinator.config
        only_here = config.dashboard_listen is None or is_loopback(config.dashboard_listen)
        secure = config.tls_cert is not None
        self.access = Access(guard, coordinator.enrollment, secure=secure, only_here=only_here)
        self.sent = None if sent is None else SentPictures(sent)
        coordinator.filters.foresight.pictures = self.sent
        self.stream_data = StreamData(Timeline(coordinator.ledger.database, sent), self.sent, self.access)
        loader = PackageLoader(__package__ or "infilink.cloud.dashboard")
        self._pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
        self.tuner = Tuner(coordinator, self.access, self._page)

    def routes(self) -> list[BaseRoute]:
        """The addresses of pages, of what they ask for, and of the files they are made of."""
        page, data = self.access.page, self.access.data
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/login", self.login, methods=["GET"]),
            Route("/login", self.access.log_in, methods=["POST"]),
            Route("/logout", self.access.log_out, methods=["POST"]),
            Route("/site", page(self.site), methods=["GET"]),
            Route("/stream/{name:path}", page(self.stream), methods=["GET"]),
            Route("/updates", data(self.updates), methods=["GET"]),
            Route("/picture/{name:path}", data(self.picture), methods=["GET"]),
            *FleetPage(self.coordinator, self.access, self._page).routes(),
            *PlanPage(self.coordinator, self.access, self._page).routes(),
            *self.tuner.routes(),
            *self.stream_data.routes(),
            *Exports(self.coordinator, self.sent, self.access).routes(),
            *PhoneStart(self.access, self._page, self.authority).routes(),
            *PhonePage(self.coordinator, self.edge, self.access, self._page, self.authority).routes(),
            Mount("/static", PageFiles()),
            Route("/{path:path}", self.nothing, methods=["GET"]),
        ]

    async def home(self, request: Request) -> Response:
        """The first page."""
        return RedirectResponse("/site", 303)

    async def login(self, request: Request) -> Response:
        """Asks for a token."""
        to, wrong = request.query_params.get("to", "/site"), request.query_params.get("wrong", "")
        scope = "device" if to == PHONE else "reader"
        told = _WRONG.get(wrong, "").format(scope=scope)
        return closed(self._page("login.html.j2", to=to, wrong=told, scope=scope, who=""))

    async def site(self, request: Request) -> Response:
        """All streams as tiles, and how the site is."""
        sessions = self.board.sessions()
        names, found = _chosen_page(request)(sessions)
        return self._page(
            "site.html.j2",
            here="site",
            start=_json(
                {
                    "site": self.board.head(),
                    "tiles": {name: self.board.tile(sessions[name]) for name in names},
                    "streams": {"names": names, "found": found, "all": len(sessions)},
                    "page": _page_number(request),
                    "size": PAGE,
                }
            ),
            find=_find(request),
            wrong=_wrong(request),
        )

    async def stream(self, request: Request) -> Response:
        """One stream."""
        name = request.path_params["name"]
        session = self.board.sessions().get(name)
        if session is None and not await self.stream_data.knows(name):
            what = f"There is no stream called “{name}”"
            why = "It was not here lately. What it said is in the ledger:"
            command = f"infilink results query --device {name}"
            return self._gone(what, why, to="/site", there="All streams", command=command)
        tiles = {} if session is None else {name: self.board.tile(session)}
        return self._page("stream.html.j2", name=name, start=_json({"tiles": tiles}))

    async def nothing(self, request: Request) -> Response:
        """What is told of an address that leads nowhere."""
        what, why = "There is no such page", "The address may be mistyped, or of another version of infilink."
        return closed(self._gone(what, why, to="/site", there="All streams", who=""))

    def close(self) -> None:
        """Ends what decodes pictures; closing twice is fine."""
        self.coordinator.filters.foresight.pictures = None
        if self.sent is not None:
            self.sent.close()

    async def updates(self, request: Request) -> Response:
        """What changes on a page, as server-sent events.

        Raises:
            Overloaded: too many pages are open.
        """
        self.board.check_room()
        name = request.query_params.get("stream", "")
        choose = only(name) if name else _chosen_page(request)
        may = partial(self.access.may, request, "reader")
        return StreamingResponse(self.board.watch(choose, may), media_type="text/event-stream")

    async def picture(self, request: Request) -> Response:
        """A stream's newest picture, as small as it is shown.

        Raises:
            InvalidInput: `width` is none of those there are, or the picture can't be decoded.
        """
        width = request.query_params.get("width", str(WIDTHS[0]))
        if not width.isdecimal():
            raise InvalidInput(f"`width` is one of {', '.join(map(str, WIDTHS))}, not {width!r}")
        jpeg = await self.pictures.newest(request.path_params["name"], int(width))
        if not jpeg:
            return JSONResponse({"error": "no picture of this stream has come yet"}, 404)
        # Its address names the moment it is of: the same one need not be fetched again.
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def _gone(self, what: str, why: str, *, to: str, there: str, **values: object) -> HTMLResponse:
        return self._page("gone.html.j2", 404, what=what, why=why, to=to, there=there, **{"command": "", **values})

    def _page(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        values.setdefault("here", "")
        values.setdefault("static", "/static")
        values.setdefault("closed", not self.guard.open)
        values.setdefault("who", "" if self.guard.open else current_caller().name)
        return HTMLResponse(self._pages.get_template(template).render(values), status)


def _chosen_page(request: Request) -> Choose:
    """The streams that an address asks for."""
    return page_of(_page_number(request), _find(request), wrong=_wrong(request))


def _find(request: Request) -> str:
    return request.query_params.get("find", "")[:_MOST_FIND]


def _wrong(request: Request) -> bool:
    return bool(request.query_params.get("wrong", ""))


def _page_number(request: Request) -> int:
    """Which page of tiles is asked for, from 0.

    Raises:
        InvalidInput: it is no number.
    """
    text = request.query_params.get("page", "0")
    if not text.isdecimal() or len(text) > 4:
        raise InvalidInput(f"`page` is a number from 0 on, not {text[:20]!r}")
    return int(text)


def _json(value: object) -> str:
    """JSON for an attribute of a page."""
    return json.dumps(value, separators=(",", ":"))


@contextmanager
def open_dashboard(
    coordinator: "Coordinator", guard: Guard, edge: EdgeService, authority: "LocalAuthority | None" = None
) -> Iterator[Dashboard]:
    """The web pages of a coordinator, which is told to show them what is answered."""
    config, shown = coordinator.config, Shown()
    sent = None
    if config.pictures.keep_bytes:
        sent = Sent(pictures_path(config.ledger), config.pictures, keep_days=config.keep_days)
    dashboard = Dashboard(coordinator, shown, guard, edge, sent, authority)

    def take(answered: Answered, message: edge_pb2.Input, picture: Payload | None, at_us: int) -> None:
        # Each time that a payload is asked for it is copied.
        payload = message.payload
        shown.take(answered, message, picture, at_us, payload=payload)
        if sent is not None:
            sent.take(answered, message, picture, at_us, payload=payload)

    coordinator.show = take
    coordinator.ledger.listeners.append(dashboard.events.take)
    try:
        yield dashboard
    finally:
        coordinator.ledger.listeners.remove(dashboard.events.take)
        coordinator.show = None
        dashboard.close()
        if sent is not None:
            sent.close()
