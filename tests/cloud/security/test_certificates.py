"""A service's own certificate: checked, told of, and taken up when it is renewed."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.endpoint import EndpointConfig, Entrance
from infilink.cloud.security.certificates import ServerCertificate
from infilink.cloud.services.http_server import serve_http
from infilink.errors import InvalidInput

from ...tls import Pair


def test_a_good_certificate_is_said_nothing_of(make_certificate: Callable, caplog) -> None:
    own = make_certificate("localhost")
    ServerCertificate(*own).credentials()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ((-10, -1), "the certificate is over since"),
        ((1, 10), "the certificate is valid only from"),
        ((-1, 5), "the certificate ends at"),
    ],
    ids=["over", "not yet", "soon over"],
)
def test_a_certificate_that_nobody_will_trust_is_said(make_certificate: Callable, caplog, days, text) -> None:
    ServerCertificate(*make_certificate("localhost", days=days))
    assert f"localhost.pem: {text}" in caplog.text


def test_a_key_that_others_can_read_is_said(make_certificate: Callable, caplog) -> None:
    own = make_certificate("localhost")
    own.key.chmod(0o644)
    ServerCertificate(*own)
    assert "localhost.key: others on this machine can read the key: `chmod 600" in caplog.text


def test_what_can_t_be_used_is_named(make_certificate: Callable, tmp_path) -> None:
    own, other = make_certificate("localhost"), make_certificate("other")
    with pytest.raises(InvalidInput, match=r"other.key: is not the key of .*localhost.pem"):
        ServerCertificate(own.cert, other.key)
    with pytest.raises(InvalidInput, match=r"localhost.key: is no certificate in PEM"):
        ServerCertificate(own.key, own.key)
    with pytest.raises(InvalidInput, match=r"localhost.pem: is no key in PEM"):
        ServerCertificate(own.cert, own.cert)
    with pytest.raises(InvalidInput, match=r"none.pem: can't be read"):
        ServerCertificate(tmp_path / "none.pem", own.key)
    with pytest.raises(InvalidInput, match=r"localhost.key: is no certificate in PEM"):
        ServerCertificate(*own, own.key)


def test_a_renewed_certificate_is_taken_up_and_half_a_one_is_not(make_certificate: Callable, caplog) -> None:
    own = make_certificate("localhost")
    certificate = ServerCertificate(*own)
    assert certificate._renewed() is None, "nothing has changed"
    new = make_certificate("localhost", file="new")
    shutil.copy(new.cert, own.cert)
    assert certificate._renewed() is None and certificate._renewed() is None
    assert caplog.text.count("is not the key of") == 1, "told once"
    shutil.copy(new.key, own.key)
    assert certificate._renewed() is not None
    assert certificate._renewed() is None


def served_name(address: str, trusted) -> str:
    """The name in the certificate that a server shows, to somebody who trusts these."""
    host, port = address.split(":")
    context = ssl.create_default_context(cafile=str(trusted))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as one:
        return dict(each[0] for each in one.getpeercert()["subject"])["commonName"]


@asynccontextmanager
async def grpc_server(own: Pair) -> AsyncIterator[str]:
    server = grpc.aio.server()
    entrance = Entrance(EndpointConfig(listen="127.0.0.1:0", tls_cert=own.cert, tls_key=own.key))
    entrance.open(server)
    await server.start()
    try:
        yield entrance.address
    finally:
        await server.stop(None)


def web_server(own: Pair) -> AbstractAsyncContextManager[str]:
    config = CloudConfig(models=own.cert.parent, tls_cert=own.cert, tls_key=own.key)
    return serve_http([], "127.0.0.1:0", config, setting="http_listen")


@pytest.mark.parametrize("serve", [grpc_server, web_server])
def test_a_running_server_shows_the_renewed_certificate_to_the_next_who_connects(
    make_certificate: Callable, serve: Callable[[Pair], AbstractAsyncContextManager[str]]
) -> None:
    authority = make_certificate("authority")
    own = make_certificate("first", by=authority)

    async def story() -> None:
        async with serve(own) as address:
            assert await asyncio.to_thread(served_name, address, authority.cert) == "first"
            new = make_certificate("second", by=authority)
            shutil.copy(new.cert, own.cert)
            shutil.copy(new.key, own.key)
            assert await asyncio.to_thread(served_name, address, authority.cert) == "second"

    asyncio.run(story())
