"""The guard at the door of every service: it knows who calls, before a message is read, and what they may do."""

import hmac
import inspect
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

import grpc
from cryptography import x509
from google.protobuf.message import DecodeError

from ...errors import InvalidInput, NotAllowed, NotKnown, Unavailable
from ..endpoint import EndpointConfig, abort_on_error
from .caller import ANYONE, SCOPES, Caller, called_by
from .scopes import PUBLIC, scope_of
from .text import for_outside
from .tokens import TokenFile

logger = logging.getLogger(__name__)

_TELLS_EVERY_S = 10.0
_MOST_PEERS = 1000
_WRONG = "the token is missing or wrong (`token`)"

Check = Callable[[bytes], None]


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Knows callers by token and certificate, and lets each do what its scopes say.

    Whose token is removed or over is told so at the next message of a stream that it began.

    Args:
        token: the one token that may do everything; empty: none.
        tokens: the file of tokens; None: none.
        certificates: whether callers show certificates, signed by one that is trusted here.
        checks: by method, what makes sure that a message's bytes may be read at all.
        clock: seconds that never go back.

    Attributes:
        revoked_s: up to which second of Unix time what a device was given proves nothing any more; 0: none was.

    Raises:
        InvalidInput: the file of tokens can't be used.
    """

    def __init__(
        self,
        *,
        token: str = "",
        tokens: Path | None = None,
        certificates: bool = False,
        checks: Mapping[str, Check] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = token
        self.tokens = None if tokens is None else TokenFile(tokens, clock=clock)
        self.certificates = certificates
        self.checks = dict(checks or {})
        self.revoked_s: Callable[[str], float] = lambda device: 0.0
        self._refusals = _Refusals(clock)

    @classmethod
    def of(cls, config: EndpointConfig, checks: Mapping[str, Check] | None = None) -> Self:
        """By a service's settings."""
        certificates = config.tls_client_ca is not None
        return cls(token=config.token, tokens=config.tokens, certificates=certificates, checks=checks)

    @property
    def open(self) -> bool:
        """Whether anyone may do anything."""
        return not self.token and self.tokens is None and not self.certificates

    def identify(self, authorization: str, peer: str, *, certificate: str = "", since_s: float = 0.0) -> Caller:
        """Who calls; what is refused goes into the log, at most every ten seconds for each peer.

        Args:
            authorization: "Bearer TOKEN", or what else was given as such.
            peer: the address it comes from, for the log.
            certificate: the name in the certificate that was shown; empty: none was.
            since_s: Unix time when that was made.

        Raises:
            NotKnown: nobody who is known here.
        """
        if self.open:
            return ANYONE
        try:
            caller = self._caller(authorization, certificate, since_s)
            self._check_revoked(caller)
            return caller
        except NotKnown as error:
            self._refusals.tell(peer, str(error))
            raise

    def knows(self, token: str) -> bool:
        """Whether a token is somebody's, whatever it may do."""
        return self._of_token(token) is not None

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Puts the guard before a method's handler."""
        handler = await continuation(details)
        if handler is None or details.method in PUBLIC:
            return handler
        plain = not handler.request_streaming and not handler.response_streaming
        if plain and not self.certificates:
            caller = self._known(details)
            if caller is not None:
                return _answering(handler, details.method, caller, self.checks.get(details.method))

        async def guarded(_: AsyncIterator[bytes], context: Any) -> Any:
            return await self._serve(handler, details.method, context)

        # Requests are read as a stream, and as bytes: none is before its caller is known.
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(guarded, request_deserializer=None, response_serializer=handler.response_serializer)

    def _known(self, details: Any) -> Caller | None:
        """Who makes a call, by its metadata alone, if they may: what most calls go by, as it costs least."""
        if self.open:
            return ANYONE
        try:
            caller = self._caller(str(dict(details.invocation_metadata or ()).get("authorization", "")), "")
            self._check_revoked(caller)
            caller.require(scope_of(details.method))
        except NotAllowed:
            return None
        return caller

    async def _serve(self, handler: Any, method: str, context: Any) -> Any:
        async with abort_on_error(context):
            caller = self._admit(method, context)
            with called_by(caller):
                messages = self._messages(handler.request_deserializer, method, context, caller)
                if handler.request_streaming:
                    return await _answered(_behaviour(handler)(messages, context), context)
                request = await _only(messages)
                # Nothing more is read of such a call: whether its caller may still hear is asked where it is answered.
                watched = _Watched(context, partial(self._still, caller, method, context))
                return await _answered(_behaviour(handler)(request, watched), watched)
        return None

    def _admit(self, method: str, context: Any) -> Caller:
        """Who makes a call, if they may."""
        metadata, peer = dict(context.invocation_metadata() or ()), host_of(context.peer())
        shown = shown_certificate(context) if self.certificates else _NONE
        authorization = str(metadata.get("authorization", ""))
        caller = self.identify(authorization, peer, certificate=shown.name, since_s=shown.since_s)
        try:
            caller.require(scope_of(method))
        except NotAllowed as error:
            self._refusals.tell(peer, f"{method}: {error}")
            raise
        return caller

    def _still(self, caller: Caller, method: str, context: Any) -> Caller:
        """Makes sure that whoever began a stream may go on with it; returns who that is now."""
        self._check_revoked(caller)
        if caller.expires_s > time.time() and (self.tokens is None or not self.tokens.is_newer_than(caller)):
            return caller
        now = self._admit(method, context)
        if (now.name, now.scopes, now.bindings) != (caller.name, caller.scopes, caller.bindings):
            raise Unavailable(f"what {caller.name} may do has changed: connect again")
        return now

    async def _messages(
        self, parse: Callable[[bytes], Any] | None, method: str, context: Any, caller: Caller
    ) -> AsyncIterator[Any]:
        """The messages of a call, each looked at as bytes before it is parsed."""
        check = self.checks.get(method)
        # Read one by one: gRPC's iterator would keep the last one for as long as anything remembers the call.
        while (data := await context.read()) is not grpc.aio.EOF:
            caller = self._still(caller, method, context)
            message, data = _taken(check, parse, data, method), None
            if isinstance(message, InvalidInput):
                raise message
            yield message
            message = None

    def _check_revoked(self, caller: Caller) -> None:
        """Makes sure that what a device shows is not from before it was revoked.

        Raises:
            NotKnown: it is.
        """
        if caller.scopes != {"device"}:
            return
        for names in caller.bindings:
            if all(self.revoked_s(name) > 0.0 and caller.since_s <= self.revoked_s(name) for name in names):
                raise NotKnown(
                    f"{caller.name}: {', '.join(names)} was revoked since that was given to it: enroll it anew"
                )

    def _caller(self, authorization: str, certificate: str, since_s: float = 0.0) -> Caller:
        holder = None
        if certificate:
            listed = None if self.tokens is None else self.tokens.of_certificate(certificate)
            holder = listed or Caller(f"certificate {certificate!r}", frozenset({"device"}), ((escape(certificate),),))
            holder = replace(holder, since_s=since_s)
        kind, _, token = authorization.partition(" ")
        if not token or kind.lower() != "bearer":
            if holder is None:
                raise NotKnown(_WRONG)
            return _valid(holder)
        caller = self._of_token(token)
        if caller is None:
            raise NotKnown(_WRONG)
        for patterns in () if holder is None else holder.bindings:
            caller = caller.bound_to(patterns)
        return _valid(caller if holder is None else replace(caller, since_s=min(caller.since_s, since_s)))

    def _of_token(self, token: str) -> Caller | None:
        if self.token and hmac.compare_digest(token.encode(errors="replace"), self.token.encode()):
            return Caller("the token", frozenset(SCOPES))
        return None if self.tokens is None else self.tokens.of_token(token)


class _Watched:
    """A call's context that looks before each answer whether its caller may have it."""

    def __init__(self, context: Any, look: Callable[[], Caller]) -> None:
        self._context = context
        self._look = look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        """Sends one message."""
        self._look()
        await self._context.write(message)


class _Refusals:
    """Logs who was refused: each peer at most every ten seconds, however often it tries."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._told: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def tell(self, peer: str, text: str) -> None:
        now_s = self.clock()
        told_s, untold = self._told.get(peer, (-_TELLS_EVERY_S, 0))
        if now_s - told_s < _TELLS_EVERY_S:
            self._told[peer] = (told_s, untold + 1)
            return
        more = f" ({untold} more since the last time)" if untold else ""
        logger.warning("refused %s: %s%s", peer, text, more)
        self._told[peer] = (now_s, 0)
        self._told.move_to_end(peer)
        while len(self._told) > _MOST_PEERS:
            self._told.popitem(last=False)


def _valid(caller: Caller) -> Caller:
    if caller.expires_s <= time.time():
        raise NotKnown(f"{caller.name}: is over since {time.strftime('%Y-%m-%d', time.gmtime(caller.expires_s))}")
    return caller


def _answering(handler: Any, method: str, caller: Caller, check: Check | None) -> Any:
    """A handler of one request and one answer, for a caller that may call it."""

    def read(data: bytes) -> Any:
        return _taken(check, handler.request_deserializer, data, method)

    async def answer(request: Any, context: Any) -> Any:
        if isinstance(request, InvalidInput):
            await context.abort(request.code, for_outside(str(request)))
        if caller is ANYONE:
            return await handler.unary_unary(request, context)
        with called_by(caller):
            return await handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=read, response_serializer=handler.response_serializer
    )


def _taken(check: Check | None, parse: Callable[[bytes], Any] | None, data: bytes, method: str) -> Any:
    """The message in some bytes; or what is wrong with them, returned: raised here it would hold them."""
    try:
        if check is not None:
            check(data)
        return data if parse is None else parse(data)
    except InvalidInput as error:
        return InvalidInput(str(error))
    except DecodeError:
        return _unreadable(data, method)


def _unreadable(data: bytes, method: str) -> InvalidInput:
    return InvalidInput(f"{len(data)} bytes are no message of {method.rpartition('/')[2]}")


def _behaviour(handler: Any) -> Callable[[Any, Any], Any]:
    kinds = {
        (False, False): handler.unary_unary,
        (False, True): handler.unary_stream,
        (True, False): handler.stream_unary,
        (True, True): handler.stream_stream,
    }
    behaviour: Callable[[Any, Any], Any] = kinds[handler.request_streaming, handler.response_streaming]
    return behaviour


async def _answered(answer: Any, context: Any) -> Any:
    """What a handler gives: one answer, or many that it yields; those that it writes itself are sent already."""
    if not inspect.isasyncgen(answer):
        return await answer
    async for message in answer:
        await context.write(message)
    return None


async def _only(messages: AsyncIterator[Any]) -> Any:
    async for message in messages:
        return message
    raise InvalidInput("the call carries no message")


class Shown(NamedTuple):
    """The certificate that a caller has shown: its name, and since when it holds."""

    name: str
    since_s: float


_NONE = Shown("", 0.0)


def shown_certificate(context: Any) -> Shown:
    """The common name in the caller's certificate; its first other name where it has none."""
    shown = context.auth_context()
    since_s = 0.0
    for data in shown.get("x509_pem_cert", ()):
        with suppress(ValueError):
            since_s = x509.load_pem_x509_certificate(data).not_valid_before_utc.timestamp()
    for key in ("x509_common_name", "x509_subject_alternative_name"):
        for name in shown.get(key, ()):
            return Shown(str(name, "utf-8", "replace"), since_s)
    return _NONE


def host_of(peer: str) -> str:
    """Of "ipv4:10.0.0.7:4242" the address: each connection has another port."""
    return unquote(peer).rpartition(":")[0] or peer
