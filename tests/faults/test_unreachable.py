"""Fault kind S: why there is no connection is said as what it is; a black hole is noticed; so is TLS that fails."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.uplink.client import Uplink
from infilink.errors import Unavailable
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos.channel import KEEPALIVE, open_channel

from ..device.coordinator import Coordinator

TIMEOUT_S = 60.0


@pytest.fixture
def start() -> Iterator[Callable[..., None]]:
    """Starts an agent's uplink."""
    made = []

    def begin(address: str, **settings) -> None:
        values = {"name": "yard", "source": "0", "coordinator": address, "connect_timeout_s": 1.0, **settings}
        made.append(Uplink(DeviceConfig(**values), session="s", on_answer=lambda answer: None, report=edge_pb2.Report))
        made[-1].start()

    yield begin
    for one in made:
        one.close()


def test_a_port_that_takes_connections_and_says_nothing_is_no_coordinator_that_is_away(start: Callable) -> None:
    told = "takes no connection: nothing comes back: the host is off or hangs"
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Unavailable, match=told):
        start(f"127.0.0.1:{listener.getsockname()[1]}", connect_timeout_s=0.1)


def test_a_certificate_that_is_not_trusted_is_told_as_that(start: Callable, make_certificate: Callable) -> None:
    own, other = make_certificate("here"), make_certificate("other")
    server = grpc.server(ThreadPoolExecutor(1))
    pair = (own.key.read_bytes(), own.cert.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        with pytest.raises(Unavailable, match="takes no connection: its certificate is not trusted"):
            start(f"127.0.0.1:{port}", tls_ca=other.cert)
        with pytest.raises(Unavailable, match="takes no connection: it ends connections without TLS"):
            start(f"127.0.0.1:{port}")
    finally:
        server.stop(None)


def test_a_coordinator_that_wants_certificates_is_shown_the_devices(
    start: Callable, make_certificate: Callable
) -> None:
    authority = make_certificate("authority")
    own, door = make_certificate("here", by=authority), make_certificate("door", by=authority)
    server = grpc.server(ThreadPoolExecutor(1))
    pair, trusted = (own.key.read_bytes(), own.cert.read_bytes()), authority.cert.read_bytes()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair], trusted, True))
    server.start()
    try:
        with pytest.raises(Unavailable, match="takes no connection: it wants a certificate of this side"):
            start(f"127.0.0.1:{port}", tls_ca=authority.cert)
        # It is let in, and this server has no service.
        with pytest.raises(Unavailable, match="is not an infilink coordinator"):
            start(f"127.0.0.1:{port}", tls_ca=authority.cert, tls_cert=door.cert, tls_key=door.key, connect_timeout_s=9)
    finally:
        server.stop(None)


def test_what_others_could_read_is_said(start: Callable, make_certificate: Callable, caplog) -> None:
    own = make_certificate("door")
    own.key.chmod(0o644)
    with pytest.raises(Unavailable):
        start("192.0.2.1:7420", token="secret", connect_timeout_s=0.1)
    with pytest.raises(Unavailable):
        start("127.0.0.1:9", tls_ca=own.cert, tls_cert=own.cert, tls_key=own.key, connect_timeout_s=0.1)
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        "the token travels to 192.0.2.1:7420 without TLS: all on the way can read it",
        f"{own.key}: others on this machine can read the key: `chmod 600` it",
    ]


class Line:
    """A line to a server that goes dead: it takes what is sent, and nothing arrives any more."""

    def __init__(self, port: int) -> None:
        self.dead = threading.Event()
        self._port = port
        self._ends: list[socket.socket] = [socket.create_server(("127.0.0.1", 0))]
        self.address = f"127.0.0.1:{self._ends[0].getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        pair = self._ends[0].accept()[0], socket.create_connection(("127.0.0.1", self._port))
        self._ends += pair
        for ends in (pair, pair[::-1]):
            self._threads.append(threading.Thread(target=self._carry, args=ends))
            self._threads[-1].start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):  # Whoever gives the line up may reset it.
            while data := one.recv(65536):
                if not self.dead.is_set():
                    other.sendall(data)

    def close(self) -> None:
        for end in self._ends[1:]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        for end in self._ends:
            end.close()


def test_a_line_that_goes_dead_is_noticed_as_its_questions_stay_unanswered() -> None:
    coordinator = Coordinator()
    line = Line(int(coordinator.address.rpartition(":")[2]))
    # As many questions as ours, ten times as often.
    options = [(name, value // 10 if name.endswith("_ms") else value) for name, value in KEEPALIVE]
    assert {name for name, _ in options} >= {"grpc.http2.ping_timeout_ms", "grpc.keepalive_timeout_ms"}
    over = threading.Event()

    def messages() -> Iterator[edge_pb2.DeviceMessage]:
        yield edge_pb2.DeviceMessage(hello=edge_pb2.Hello(device="yard", session="s"))
        over.wait(TIMEOUT_S)

    with open_channel(line.address, options=options) as channel:
        call = edge_pb2_grpc.EdgeStub(channel).Connect(messages())
        assert next(call).HasField("welcome")
        line.dead.set()
        with pytest.raises(grpc.RpcError) as raised:
            next(call)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        over.set()
    line.close()
    coordinator.close()
