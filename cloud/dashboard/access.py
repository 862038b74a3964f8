"""Who may look: the same tokens as everywhere, given once to the login page and kept in a cookie."""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from ...errors import InfilinkError, InvalidInput, NotAllowed, NotKnown, Overloaded
from ...settings import is_loopback
from ..fleet.codes import is_code
from ..fleet.enrollment import Enrollment
from ..security.caller import Caller, Scope, called_by
from ..security.guard import Guard
from ..security.text import for_outside
from ..services.http_server import http_status

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]

COOKIE = "infilink_token"
PHONE = "/phone"
"""The page that is for devices: who logs in for it needs their scope, on all others a reader's."""
_KEPT_S = 30 * 24 * 3600
_MOST_BYTES = 4096
_ELSEWHERE = "another site's page asked for this"
_RENAMED = "without tokens only pages at 127.0.0.1 or localhost may change anything (`tokens`; docs/SECURITY.md)"


def policy(*scripts: str, app: bool = False) -> str:
    """What a page may load: from here alone.

    Args:
        scripts: what its scripts may do besides.
        app: whether it can be installed, by a manifest.
    """
    allowed = " ".join(("'self'", *scripts))
    manifest = "manifest-src 'self'; " if app else ""
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'self'; img-src 'self'; {manifest}"
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


_HEADERS = {
    "content-security-policy": policy(),
    "x-content-type-options": "nosniff",
    # With "no-referrer" a browser says of our own forms, too, that they come from "null".
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


class Access:
    """Lets callers in by token: in the `authorization` header, as programs give it, or in a cookie.

    Args:
        guard: knows who calls.
        secure: whether the pages travel by TLS: the cookie then never does without.
        enrollment: takes the codes of phones.
        only_here: whether nobody but this machine can call: then nobody needs a token, but a page of another site could
            call under a name of its own that leads here, and is to change nothing.
    """

    def __init__(self, guard: Guard, enrollment: Enrollment, *, secure: bool, only_here: bool = False) -> None:
        self.guard = guard
        self.enrollment = enrollment
        self.secure = secure
        self.only_here = only_here

    def page(self, handler: Handler, scope: Scope = "reader") -> Handler:
        """A handler of a page: who may not see it is asked for a token."""

        async def call(request: Request) -> Response:
            try:
                caller = self.caller(request, scope)
            except InfilinkError:
                where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return closed(RedirectResponse(f"/login?to={quote(where, safe='')}", 303))
            try:
                with called_by(caller):
                    return closed(await handler(request))
            except InfilinkError as error:
                return closed(PlainTextResponse(for_outside(str(error)), http_status(error)))

        return call

    def data(self, handler: Handler, scope: Scope = "reader") -> Handler:
        """A handler of what a page asks for; errors are told as JSON."""

        async def call(request: Request) -> Response:
            try:
                with called_by(self.caller(request, scope)):
                    return closed(await handler(request))
            except InfilinkError as error:
                return closed(JSONResponse({"error": for_outside(str(error))}, http_status(error)))

        return call

    def caller(self, request: HTTPConnection, scope: Scope) -> Caller:
        """Who calls, if they may; of a WebSocket who opens it.

        Raises:
            NotKnown: nobody who is known here.
            NotAllowed: they have not the scope, or a page of another site made the browser call.
        """
        given = request.headers.get("authorization", "")
        token = request.cookies.get(COOKIE, "")
        peer = request.client.host if request.client is not None else ""
        caller = self.guard.identify(given or (f"Bearer {token}" if token else ""), peer)
        caller.require(scope)
        # A WebSocket is opened by GET, and changes things all the same.
        if request.scope.get("method") not in ("GET", "HEAD"):
            if is_from_elsewhere(request):
                raise NotAllowed(_ELSEWHERE)
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
            if self.only_here and self.guard.open and not is_loopback(f"{host}:0"):
                raise NotAllowed(_RENAMED)
        return caller

    def may(self, request: Request, scope: Scope) -> bool:
        """Whether who called still may: a token may be removed, or its time be over."""
        try:
            self.caller(request, scope)
        except NotAllowed:
            return False
        return True

    async def log_in(self, request: Request) -> Response:
        """Takes a token, or the code of a phone; goes on to where somebody wanted to go."""
        if is_from_elsewhere(request):
            return _refused()
        body = bytearray()
        async for piece in request.stream():
            body += piece
            # Nobody is known yet: of what may have no end, no more is taken than a token needs.
            if len(body) > _MOST_BYTES:
                return closed(PlainTextResponse(f"more than {_MOST_BYTES} bytes are no token", 413))
        fields = parse_qs(body.decode(errors="replace"))
        token, to = fields.get("token", [""])[0].strip(), fields.get("to", ["/"])[0]
        peer = request.client.host if request.client is not None else ""
        # Who chose a token for everybody may have chosen one that looks like a code.
        if is_code(token) and not self.guard.knows(token):
            return await self._enroll(token, peer)
        try:
            self.guard.identify(f"Bearer {token}", peer).require("device" if _within(to) == PHONE else "reader")
        except NotKnown:
            return RedirectResponse(f"/login?wrong=token&to={quote(to, safe='')}", 303)
        except NotAllowed:
            return RedirectResponse(f"/login?wrong=scope&to={quote(to, safe='')}", 303)
        response = RedirectResponse(_within(to), 303)
        self._give(response, token)
        return closed(response)

    async def _enroll(self, code: str, peer: str) -> Response:
        """Gives a phone a token of its own for a code, which nobody has to type."""
        wrong = ""
        try:
            enrolled = await self.enrollment.enroll(code, b"", peer)
        except NotKnown as error:
            logger.warning("%s: %s", peer, error)
            wrong = "code"
        except Overloaded:
            wrong = "wait"
        except InvalidInput:
            wrong = "certificate"
        if wrong:
            return RedirectResponse(f"/login?wrong={wrong}&to={quote(PHONE, safe='')}", 303)
        response = RedirectResponse(PHONE, 303)
        self._give(response, enrolled.token)
        return closed(response)

    def keep(self, request: Request, response: Response) -> None:
        """Lets the browser keep its token for as long again: who comes now and then need not log in anew."""
        token = request.cookies.get(COOKIE, "")
        if token:
            self._give(response, token)

    def _give(self, response: Response, token: str) -> None:
        response.set_cookie(
            COOKIE, token, max_age=_KEPT_S, path="/", httponly=True, samesite="strict", secure=self.secure
        )

    async def log_out(self, request: Request) -> Response:
        """Forgets the token."""
        if is_from_elsewhere(request):
            return _refused()
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=self.secure)
        return closed(response)


def is_from_elsewhere(request: HTTPConnection) -> bool:
    """Whether a page of another site made the browser ask for this."""
    origin = request.headers.get("origin")
    # Programs send none; browsers always do with what changes something.
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")


def _refused() -> Response:
    return closed(PlainTextResponse(_ELSEWHERE, 403))


def _within(to: str) -> str:
    """Where to go on: a page of this site, whatever was asked for."""
    parts = urlsplit(to)
    inside = not parts.scheme and not parts.netloc and to.startswith("/") and not to.startswith(("//", "/\\"))
    return to if inside else "/"


def closed(response: Response) -> Response:
    """A response that a browser lets do no more than our pages need, and keeps no copy of."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
