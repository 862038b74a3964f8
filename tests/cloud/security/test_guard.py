"""The guard: who calls is known before a message is read, and may do what the scopes say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.endpoint import EndpointConfig, Entrance
from infilink.cloud.security.caller import ANYONE, Caller, current_caller
from infilink.cloud.security.guard import Guard
from infilink.cloud.security.scopes import PUBLIC, SCOPE_OF, scope_of
from infilink.cloud.security.tokens import add_token, remove_token
from infilink.errors import NotAllowed, NotKnown
from infilink.protos import edge_pb2, edge_pb2_grpc, federation_pb2, fleet_pb2, models_pb2, open_inference_pb2
from infilink.protos.channel import open_channel


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_scopes_say_what_a_caller_may_do() -> None:
    device, operator = Caller("door", frozenset({"device"})), Caller("ops", frozenset({"operator"}))
    for scope in ("device", "reader", "operator"):
        operator.require(scope)
    device.require("device")
    with pytest.raises(NotAllowed, match="door has the scope 'device', and this needs 'operator'"):
        device.require("operator")


def test_a_caller_sends_as_the_devices_it_is_bound_to_and_no_other() -> None:
    yard = Caller("yard", frozenset({"device"}), (("yard-*",),))
    yard.check_device("yard-1")
    with pytest.raises(NotAllowed, match="yard may send as yard-\\*, not as 'door'"):
        yard.check_device("door")
    with pytest.raises(NotAllowed, match="as yard-2, not as 'yard-1'"):
        yard.bound_to(["yard-2"]).check_device("yard-1")
    ANYONE.check_device("whatever")


def test_what_nobody_has_named_needs_an_operator() -> None:
    assert scope_of("/infilink.v1.Edge/Connect") == "device"
    assert scope_of("/infilink.v1.Edge/GetStatus") == "reader"
    assert scope_of("/infilink.v1.Edge/WhateverComesNext") == "operator"


def test_without_tokens_and_certificates_anyone_is_let_in() -> None:
    assert Guard().identify("", "here") is ANYONE
    assert Guard().identify(bearer("any"), "here") is ANYONE


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic right", "right", "Bearer ri\udcffght"]
)
def test_who_has_no_token_is_not_known(given: str) -> None:
    with pytest.raises(NotKnown, match="missing or wrong"):
        Guard(token="right").identify(given, "there")


def test_one_token_for_everything_stands_beside_a_file(tokens: Path) -> None:
    door = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)
    guard = Guard(token="right", tokens=tokens)
    assert guard.identify(bearer("right"), "here").scopes >= {"operator"}
    assert guard.identify(f"bearer {door}", "here").name == "door"


def test_a_token_that_is_over_says_so(tokens: Path) -> None:
    token = add_token(tokens, "door", scopes=("device",), devices=("door",), days=-1.0)
    with pytest.raises(NotKnown, match="door: is over since 20"):
        Guard(tokens=tokens).identify(bearer(token), "here")


def test_a_certificates_name_is_the_devices_unless_the_file_says_more(tokens: Path) -> None:
    ops = '[ops]\nscopes = ["operator"]\ncertificate = "Ann"\n'
    tokens.write_text(ops)
    tokens.chmod(0o600)
    guard = Guard(token="right", tokens=tokens, certificates=True)
    caller = guard.identify("", "here", certificate="door")
    assert (caller.scopes, caller.bindings) == ({"device"}, (("door",),))
    assert guard.identify("", "here", certificate="Ann").scopes == {"operator"}
    both = guard.identify(bearer("right"), "here", certificate="door")
    with pytest.raises(NotAllowed, match="not as 'yard'"):
        both.check_device("yard")
    every = guard.identify("", "here", certificate="*")
    with pytest.raises(NotAllowed):
        every.check_device("door")
    with pytest.raises(NotKnown):
        guard.identify("", "here")


def test_refusals_are_logged_with_the_peer_and_not_without_end(caplog) -> None:
    clock = Clock()
    guard = Guard(token="right", clock=clock)
    for peer in ("ipv4:10.0.0.7", "ipv4:10.0.0.8"):
        for _attempt in range(100):
            with pytest.raises(NotKnown):
                guard.identify(bearer("guess"), peer)
    clock.now_s = 11.0
    with pytest.raises(NotKnown):
        guard.identify(bearer("guess"), "ipv4:10.0.0.7")
    told = [record.message for record in caplog.records]
    assert told[:2] == [f"refused ipv4:10.0.0.{n}: the token is missing or wrong (`token`)" for n in (7, 8)]
    assert told[2:] == ["refused ipv4:10.0.0.7: the token is missing or wrong (`token`) (99 more since the last time)"]
    assert "guess" not in caplog.text


class Echo(edge_pb2_grpc.EdgeServicer):
    """Says who calls, once a message."""

    def __init__(self) -> None:
        self.read = 0
        self.go_on = asyncio.Semaphore(0)

    async def Connect(self, messages, context) -> None:  # noqa: N802
        async for _message in messages:
            self.read += 1
            notice = edge_pb2.Notice(text=current_caller().name)
            await context.write(edge_pb2.CoordinatorMessage(notice=notice))

    async def Subscribe(self, request, context) -> None:  # noqa: N802
        for number in range(3):
            await context.write(edge_pb2.Published(device=current_caller().name, sequence=number))
            await self.go_on.acquire()

    async def GetStatus(self, request, context) -> edge_pb2.StatusReply:  # noqa: N802
        return edge_pb2.StatusReply(version=current_caller().name)


@pytest.fixture
def served() -> Callable:
    """Runs a story with a stub of a service behind a guard."""

    def run(guard: Guard, story: Callable, *, echo: Echo | None = None, **tls: Path) -> Echo:
        echo = echo or Echo()

        async def whole() -> None:
            server = grpc.aio.server(interceptors=[guard])
            edge_pb2_grpc.add_EdgeServicer_to_server(echo, server)
            entrance = Entrance(EndpointConfig(listen="127.0.0.1:0", **tls))
            entrance.open(server)
            await server.start()
            try:
                if tls:
                    return await asyncio.to_thread(story, entrance.address)
                async with grpc.aio.insecure_channel(entrance.address) as channel:
                    await story(channel, edge_pb2_grpc.EdgeStub(channel))
            finally:
                await server.stop(None)

        asyncio.run(whole())
        return echo

    return run


async def ended(call) -> tuple[grpc.StatusCode, str]:
    """How a call ends, of which no answer is read."""
    return await call.code(), await call.details()


def test_every_call_is_asked_who_makes_it_and_nothing_is_read_before(served: Callable, tokens: Path) -> None:
    door = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)
    ann = add_token(tokens, "ann", scopes=("reader",), devices=(), days=None)

    async def story(channel, stub) -> None:
        async def messages() -> AsyncIterator[edge_pb2.DeviceMessage]:
            yield edge_pb2.DeviceMessage()

        def metadata(token: str) -> tuple:
            return (("authorization", bearer(token)),)

        assert (await stub.GetStatus(edge_pb2.StatusRequest(), metadata=metadata(ann))).version == "ann"
        told = [each.notice.text async for each in stub.Connect(messages(), metadata=metadata(door))]
        assert told == ["door"]
        for call, code in (
            (stub.Connect(messages()), grpc.StatusCode.UNAUTHENTICATED),
            (stub.Connect(messages(), metadata=metadata("x")), grpc.StatusCode.UNAUTHENTICATED),
            (stub.Connect(messages(), metadata=metadata(ann)), grpc.StatusCode.PERMISSION_DENIED),
            (stub.GetStatus(edge_pb2.StatusRequest(), metadata=metadata(door)), grpc.StatusCode.PERMISSION_DENIED),
            (stub.GetStatus(edge_pb2.StatusRequest()), grpc.StatusCode.UNAUTHENTICATED),
        ):
            assert (await ended(call))[0] == code

    assert served(Guard(tokens=tokens), story).read == 1


def test_bytes_that_are_no_message_end_the_call_by_name_and_leave_no_traceback(served: Callable, caplog) -> None:
    async def story(channel, stub) -> None:
        raw = channel.stream_stream("/infilink.v1.Edge/Connect")

        async def messages() -> AsyncIterator[bytes]:
            yield b"\x0a\xff\xff"

        code, details = await ended(raw(messages()))
        assert code == grpc.StatusCode.INVALID_ARGUMENT and "3 bytes are no message of Connect" in details
        code, details = await ended(channel.unary_unary("/infilink.v1.Edge/GetStatus")(b"\x0a\xff\xff"))
        assert code == grpc.StatusCode.INVALID_ARGUMENT and "3 bytes are no message of GetStatus" in details

    served(Guard(), story)
    assert "Traceback" not in caplog.text


def test_a_token_that_is_removed_ends_the_streams_that_it_began(served: Callable, tokens: Path) -> None:
    clock = Clock()
    door = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)

    async def story(channel, stub) -> None:
        call = stub.Connect(metadata=(("authorization", bearer(door)),))
        await call.write(edge_pb2.DeviceMessage())
        assert (await call.read()).notice.text == "door"
        add_token(tokens, "yard", scopes=("device",), devices=("yard",), days=None)
        clock.now_s += 2.0
        await call.write(edge_pb2.DeviceMessage())
        assert (await call.read()).notice.text == "door", "another's token is nothing to it"
        remove_token(tokens, "door")
        clock.now_s += 2.0
        await call.write(edge_pb2.DeviceMessage())
        assert await call.code() == grpc.StatusCode.UNAUTHENTICATED

    served(Guard(tokens=tokens, clock=clock), story)


def test_who_only_listens_hears_nothing_more_once_the_token_is_removed(served: Callable, tokens: Path) -> None:
    clock = Clock()
    ann = add_token(tokens, "ann", scopes=("reader",), devices=(), days=None)

    async def story(channel, stub) -> None:
        call = stub.Subscribe(edge_pb2.SubscribeRequest(), metadata=(("authorization", bearer(ann)),))
        assert (await call.read()).device == "ann"
        remove_token(tokens, "ann")
        clock.now_s += 2.0
        echo.go_on.release()
        assert await call.code() == grpc.StatusCode.UNAUTHENTICATED

    echo = Echo()
    served(Guard(tokens=tokens, clock=clock), story, echo=echo)


def test_every_method_has_the_scope_that_was_meant() -> None:
    files = (edge_pb2, federation_pb2, fleet_pb2, models_pb2, open_inference_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    methods = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert {method for method in methods if method in PUBLIC} == {"/infilink.v1.Enrollment/Enroll"}
    operators = {method.rpartition("/")[2] for method in methods - PUBLIC if scope_of(method) == "operator"}
    fleet = {"Change", "NewCode", "PutFilter", "SetFilter"}
    assert operators == fleet | {"List", "Add", "RepositoryModelLoad", "RepositoryModelUnload"}
    known = {method for method in SCOPE_OF if not method.startswith("/grpc.")}
    assert known <= methods, "a method that is named here is gone, or was called something else"


def test_the_name_in_a_certificate_that_the_authority_signed_is_who_calls(
    served: Callable, make_certificate: Callable
) -> None:
    authority = make_certificate("authority")
    own, door = make_certificate("here", by=authority), make_certificate("door", by=authority)

    def story(address: str) -> None:
        tls = {"tls_ca": authority.cert, "tls_cert": door.cert, "tls_key": door.key}
        with open_channel(address, **tls) as channel:
            stub = edge_pb2_grpc.EdgeStub(channel)
            (answer,) = stub.Connect(iter([edge_pb2.DeviceMessage()]))
            assert answer.notice.text == "certificate 'door'"
            with pytest.raises(grpc.RpcError) as raised:
                stub.GetStatus(edge_pb2.StatusRequest())
            assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with open_channel(address, tls_ca=authority.cert) as channel, pytest.raises(grpc.RpcError) as raised:
            edge_pb2_grpc.EdgeStub(channel).GetStatus(edge_pb2.StatusRequest())
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE, "TLS itself lets nobody in without one"

    served(Guard(certificates=True), story, tls_cert=own.cert, tls_key=own.key, tls_client_ca=authority.cert)
