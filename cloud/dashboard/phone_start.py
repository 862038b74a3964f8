"""How a phone comes in: its page before anything is trusted or known, and the certificate to trust."""

import plistlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ...errors import InfilinkError
from ..phones.address import PAGE
from .access import Access, closed
from .page_files import base

if TYPE_CHECKING:
    from ..phones.authority import LocalAuthority


class PhoneStart:
    """`/phone/start`, for everybody: it says nothing that is not in the certificate.

    Args:
        access: knows who is known already.
        render: makes a page of a template and its values.
        authority: who has signed the certificate, if that is this machine's own; None: there is nothing to install.
    """

    def __init__(self, access: Access, render: Callable[..., Response], authority: "LocalAuthority | None") -> None:
        self.access = access
        self.render = render
        self.authority = authority

    def routes(self) -> list[BaseRoute]:
        """Its addresses."""
        routes: list[BaseRoute] = [Route(PAGE, self.show, methods=["GET"])]
        if self.authority is not None:
            routes += [
                Route("/phone/authority.crt", self.certificate, methods=["GET"]),
                Route("/phone/authority.mobileconfig", self.profile, methods=["GET"]),
            ]
        return routes

    async def show(self, request: Request) -> Response:
        """The page; its script takes the code, which is behind the `#` and never comes here by itself."""
        try:
            known = self.access.caller(request, "device").only_device is not None
        except InfilinkError:
            known = False
        fingerprint = "" if self.authority is None else self.authority.fingerprint
        name = "" if self.authority is None else self.authority.name
        values = {"known": known, "fingerprint": fingerprint, "authority": name, "static": base(), "who": ""}
        return closed(self.render("phone_start.html.j2", here="phone", **values))

    async def certificate(self, request: Request) -> Response:
        """What to trust, as Android and computers take it."""
        assert self.authority is not None, "routes"
        headers = {"content-disposition": 'attachment; filename="infilink.crt"'}
        return closed(Response(self.authority.der, media_type="application/x-x509-ca-cert", headers=headers))

    async def profile(self, request: Request) -> Response:
        """What to trust, as iPhones and iPads take it: a profile that installs it."""
        assert self.authority is not None, "routes"
        made = _profile(self.authority)
        return closed(Response(made, media_type="application/x-apple-aspen-config"))


def _profile(authority: "LocalAuthority") -> bytes:
    """The same for the same authority: who installs it again has it once."""

    def known_as(kind: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"infilink {kind} {authority.fingerprint}")).upper()

    certificate = {
        "PayloadType": "com.apple.security.root",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"infilink.authority.{known_as('root')}",
        "PayloadUUID": known_as("root"),
        "PayloadDisplayName": authority.name,
        "PayloadContent": authority.der,
    }
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"infilink.{known_as('profile')}",
            "PayloadUUID": known_as("profile"),
            "PayloadDisplayName": authority.name,
            "PayloadDescription": "Lets this device trust the certificate of one machine in your network.",
            "PayloadContent": [certificate],
        }
    )
