"""Fault kind S: why there is no connection is said as what it is, also where it is TLS that fails."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.uplink.client import Uplink
from infilink.errors import Unavailable
from infilink.protos import edge_pb2


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
