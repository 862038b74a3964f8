"""The fleet page: each device, how it is, and what an operator may say becomes of it."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ...errors import InfilinkError, UnknownModel
from ..fleet.devices import Device, devices_of
from ..fleet.fleet import Action
from ..phones.scanned import as_svg, with_code
from ..security.caller import current_caller
from ..services.http_server import http_status
from ..sessions.session import Session
from .access import Access
from .fleet_filters import FilterPages

if TYPE_CHECKING:
    from ..coordinator import Coordinator

_MOST_BYTES = 4096
_ASKS: dict[Action, tuple[str, str]] = {
    "pause": (
        "Pause",
        "It stays connected and holds its inputs: with a spool they wait on its disk, without one only the newest. "
        "What is on its way is answered. It stays paused, also when the coordinator or the device starts anew, until "
        "it is resumed.",
    ),
    "drain": (
        "Drain",
        "What is on its way is answered, then its connections end and it stays away: with a spool its inputs wait on "
        "its disk. It stays drained, also when the coordinator or the device starts anew, until it is resumed.",
    ),
    "resume": (
        "Resume",
        "It goes on: after a pause within some seconds, after a drain within a minute and a half, when it asks again.",
    ),
    "revoke": (
        "Revoke",
        "Its connections end now, and what it proves itself with (its certificate, its token) holds no more. Only a "
        "new enrollment brings it back; where nobody can enroll, an operator.",
    ),
}


class FleetPage:
    """`/fleet`, and what it asks for.

    Args:
        coordinator: whose devices.
        access: lets viewers in.
        render: makes a page of a template and its values.
    """

    def __init__(
        self,
        coordinator: "Coordinator",
        access: Access,
        render: Callable[..., Response],
    ) -> None:
        self.coordinator = coordinator
        self.access = access
        self.render = render
        self.filters = FilterPages(coordinator, access, render)

    def routes(self) -> list[BaseRoute]:
        """Its addresses."""
        page, data = self.access.page, self.access.data
        return [
            Route("/fleet", page(self.show), methods=["GET"]),
            Route("/fleet/state", data(self.state), methods=["GET"]),
            Route("/fleet/enroll", page(self.ask_name, "operator"), methods=["GET"]),
            Route("/fleet/enroll", page(self.new_code, "operator"), methods=["POST"]),
            *self.filters.routes(),
            Route("/fleet/{action}/{device}", page(self.confirm, "operator"), methods=["GET"]),
            Route("/fleet/{action}/{device}", page(self.change, "operator"), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page."""
        operator = self.access.may(request, "operator")
        return self.render(
            "fleet.html.j2",
            here="fleet",
            operator=operator,
            start=json.dumps(
                {"devices": self._devices(), "operator": operator, "enrolls": self.coordinator.fleet.enrolls()},
                separators=(",", ":"),
            ),
        )

    async def state(self, request: Request) -> Response:
        """How each device is now."""
        return JSONResponse({"devices": self._devices()})

    async def confirm(self, request: Request) -> Response:
        """Asks whether that is really meant; nothing is changed by it.

        Raises:
            UnknownModel: there is no such action.
        """
        action = _action(request)
        title, told = _ASKS[action]
        device = request.path_params["device"]
        return self.render("fleet_confirm.html.j2", here="fleet", device=device, action=action, title=title, told=told)

    async def change(self, request: Request) -> Response:
        """Does it.

        Raises:
            UnknownModel: there is no such action.
            InfilinkError: it can't be done; all stays as it was.
        """
        await self.coordinator.fleet.change(request.path_params["device"], _action(request), current_caller())
        return RedirectResponse("/fleet", 303)

    async def ask_name(self, request: Request) -> Response:
        """Asks what the new device is to be called."""
        return self._enroll_page(request.query_params.get("name", "")[:100])

    async def new_code(self, request: Request) -> Response:
        """A code, shown this once."""
        body = (
            await request.body()
            if int(request.headers.get("content-length") or _MOST_BYTES + 1) <= _MOST_BYTES
            else b""
        )
        name = parse_qs(body.decode(errors="replace")).get("name", [""])[0].strip()
        try:
            code = await self.coordinator.enrollment.new_code(name, current_caller())
        except InfilinkError as error:
            return self._enroll_page(name[:100], wrong=str(error), status=http_status(error))
        address = f"{request.url.hostname or 'HOST'}:{code.port}"
        expires_us = int(code.expires_s * 1e6)
        phone = with_code(code.phone_page, code.text) if code.phone_page else ""
        drawn = Markup(as_svg(phone)) if phone else ""
        return self._enroll_page(
            name,
            code=code.text,
            address=address,
            expires_us=expires_us,
            gives=code.gives,
            phone=phone,
            drawn=drawn,
        )

    def _enroll_page(self, name: str, *, status: int = 200, **values: object) -> Response:
        told = {
            "wrong": "",
            "code": "",
            "address": "",
            "expires_us": 0,
            "gives": "",
            "phone": "",
            "drawn": "",
            **values,
        }
        secure = self.coordinator.config.tls_cert is not None
        return self.render("fleet_enroll.html.j2", status, here="fleet", name=name, secure=secure, **told)

    def _devices(self) -> list[dict[str, Any]]:
        filters = self.filters.plain()
        found = []
        for device in devices_of(self.coordinator):
            streams = [{**_stream(each), "filter": filters[each.key.name]} for each in device.streams]
            found.append({**_plain(device), "streams": streams})
        return found


def _action(request: Request) -> Action:
    """What is to be done.

    Raises:
        UnknownModel: there is no such action.
    """
    action: Action = request.path_params["action"]
    if action not in get_args(Action):
        raise _NoSuchAction(f"there is no such action; there are: {', '.join(get_args(Action))}")
    return action


class _NoSuchAction(InfilinkError):
    """An address that is none."""

    code = UnknownModel.code


def _plain(device: Device) -> dict[str, Any]:
    entry = device.entry
    newest = max(device.streams, key=lambda each: each.heard_us, default=None)
    report = None if newest is None else newest.report
    own: dict[str, Any] = {}
    if report is not None:
        for key in ("temperature_c", "disk_free_bytes", "memory_free_share", "cpu_share", "lost_share"):
            own[key] = getattr(report, key) if report.HasField(key) else None
    return {
        "name": device.name,
        "state": entry.state,
        "by": entry.by,
        "since_us": entry.since_us,
        "connected_us": device.connected_us,
        "heard_us": device.heard_us,
        "version": device.version,
        "enrolled": entry.enrolled,
        "enrolled_us": entry.enrolled_us,
        "expires_us": entry.expires_us,
        "faults": device.faults(),
        **own,
    }


def _stream(session: Session) -> dict[str, Any]:
    report = session.report
    return {
        "name": session.key.name,
        "stream": session.key.stream,
        "kind": session.form.modality,
        "connected": session.connection is not None,
        "inputs": report.frames or session.inputs,
        "level": report.level,
        "level_reason": report.level_reason,
        "round_trip_s": report.round_trip_s if report.HasField("round_trip_s") else None,
        "spool": None
        if not report.spool_state
        else [report.spooled, report.spooled_bytes, report.spool_oldest_s, report.spool_state],
        "gate": report.gate_name,
        "gate_digest": report.gate_digest,
    }
