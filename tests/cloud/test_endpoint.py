"""Where a service listens: to other machines only with TLS and tokens, or when told to without."""

import asyncio
import socket
from pathlib import Path

import grpc
import pytest
from infilink.cloud.endpoint import EndpointConfig, Entrance, check_exposed
from infilink.errors import InvalidInput
from pydantic import ValidationError

PAIR = {"tls_cert": Path("c.pem"), "tls_key": Path("k.pem")}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "without TLS .*without tokens .*--insecure"),
        ({"token": "t"}, "can be called by other machines: without TLS .*read and change what travels. Give"),
        (PAIR, "can be called by other machines: without tokens"),
    ],
    ids=["neither", "a token without TLS", "TLS without a token"],
)
def test_off_loopback_it_needs_tls_and_who_calls_unless_told_to(settings: dict, text: str, caplog) -> None:
    config = EndpointConfig(**settings)
    check_exposed("127.0.0.1:7420", config)
    with pytest.raises(InvalidInput, match=text):
        check_exposed("0.0.0.0:7420", config)
    check_exposed("0.0.0.0:7420", config.model_copy(update={"insecure": True}))
    assert "0.0.0.0:7420 can be called by other machines" in caplog.text


@pytest.mark.parametrize("who", [{"token": "t"}, {"tokens": Path("t")}, {"tls_client_ca": Path("ca.pem")}])
def test_with_both_it_is_said_nothing_of(who: dict, caplog) -> None:
    check_exposed("0.0.0.0:7420", EndpointConfig(**PAIR, **who))
    assert caplog.text == ""


def test_certificates_of_callers_need_tls() -> None:
    with pytest.raises(ValidationError, match="`tls_client_ca` needs `tls_cert`"):
        EndpointConfig(tls_client_ca=Path("ca.pem"))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_is_taken_at_once_and_lets_nobody_in_before_it_is_opened(host: str) -> None:
    async def story() -> None:
        entrance = Entrance(EndpointConfig(listen=f"{host}:0", insecure=True))
        address = ("127.0.0.1", int(entrance.address.rpartition(":")[2]))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        entrance.open(server)
        await server.start()
        socket.create_connection(address).close()
        with pytest.raises(InvalidInput, match=r"can't listen on .*: Address already in use; stop what listens there"):
            Entrance(EndpointConfig(listen=entrance.address, insecure=True))
        await server.stop(None)

    asyncio.run(story())


def test_a_port_that_is_not_opened_is_given_up() -> None:
    entrance = Entrance(EndpointConfig(listen="127.0.0.1:0"))
    entrance.close()
    Entrance(EndpointConfig(listen=entrance.address)).close()
