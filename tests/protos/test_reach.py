"""Why the other side can't be reached, said of real servers."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable

import grpc
import pytest
from infilink.cloud.endpoint import EndpointConfig, Entrance
from infilink.protos.reach import why_unreachable


def asked(config: dict, *, host: str = "127.0.0.1", **given) -> str:
    """What is said of a gRPC server with such settings."""

    async def story() -> str:
        server = grpc.aio.server()
        entrance = Entrance(EndpointConfig(listen="127.0.0.1:0", **config))
        entrance.open(server)
        address = entrance.address.replace("127.0.0.1", host)
        await server.start()
        try:
            return await asyncio.to_thread(why_unreachable, address, timeout_s=10.0, **given)
        finally:
            await server.stop(None)

    return asyncio.run(story())


def test_nothing_is_wrong_with_a_server_that_is_called_as_it_wants(make_certificate: Callable) -> None:
    authority = make_certificate("authority")
    own, device = make_certificate("here", by=authority), make_certificate("door", by=authority)
    tls = {"tls_cert": own.cert, "tls_key": own.key}
    assert asked({}) == ""
    assert asked(tls, tls_ca=authority.cert) == ""
    shown = {"tls_cert": device.cert, "tls_key": device.key}
    assert asked({**tls, "tls_client_ca": authority.cert}, tls_ca=authority.cert, **shown) == ""


@pytest.mark.parametrize(
    ("own", "trusts", "text"),
    [
        ({"name": "here"}, "authority", ""),
        ({"name": "here"}, "stranger", "not trusted: .*`tls_ca` must be its certificate, or that of who signed it"),
        ({"name": "here", "days": (-9, -1)}, "authority", "certificate has expired; this machine's clock says 20"),
        ({"name": "here", "days": (1, 9)}, "authority", "not yet valid; this machine's clock says 20"),
        ({"name": "here"}, None, "ends connections without TLS: give the certificate to trust"),
        (None, "authority", "speaks no TLS: leave `tls_ca` out"),
    ],
    ids=["trusted", "another authority", "expired", "not yet valid", "TLS forgotten here", "TLS forgotten there"],
)
def test_what_is_wrong_with_tls_is_said(make_certificate: Callable, own, trusts, text) -> None:
    authorities = {name: make_certificate(name) for name in ("authority", "stranger")}
    config = {}
    if own is not None:
        pair = make_certificate(by=authorities["authority"], **own)
        config = {"tls_cert": pair.cert, "tls_key": pair.key}
    given = {} if trusts is None else {"tls_ca": authorities[trusts].cert}
    assert re.search(text, asked(config, **given)) and bool(asked(config, **given)) == bool(text)


def test_a_certificate_for_another_name_is_told_as_that(make_certificate: Callable) -> None:
    own = make_certificate("here")
    told = asked({"tls_cert": own.cert, "tls_key": own.key}, host="localhost", tls_ca=own.cert)
    assert told.endswith("it is for another name than the one in the address")


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (None, "wants a certificate of this side: give `tls_cert` and `tls_key`"),
        ({"days": (-9, -1)}, "does not take the certificate of this side .*: it is over, or"),
        ({"by": "stranger"}, "signed by somebody whom the other side does not trust"),
    ],
    ids=["none", "expired", "by another authority"],
)
def test_what_is_wrong_with_ones_own_certificate_is_said(make_certificate: Callable, shown, text) -> None:
    authorities = {name: make_certificate(name) for name in ("authority", "stranger")}
    own, given = make_certificate("here", by=authorities["authority"]), {"tls_ca": authorities["authority"].cert}
    if shown is not None:
        by = authorities[shown.pop("by", "authority")]
        device = make_certificate("door", by=by, **shown)
        given |= {"tls_cert": device.cert, "tls_key": device.key}
    config = {"tls_cert": own.cert, "tls_key": own.key, "tls_client_ca": authorities["authority"].cert}
    assert re.search(text, asked(config, **given))


def test_nobody_silence_and_strangers_are_told_apart() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert why_unreachable(address) == "nothing listens there"
        listener.listen()
        assert why_unreachable(address, timeout_s=0.1).startswith("nothing comes back: the host is off or hangs")

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        listener.accept()[0].close()

        def hang_up() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert why_unreachable(address, timeout_s=10.0).startswith("it ends every connection at once: what listens")
        thread.join()
        thread = threading.Thread(target=answer)
        thread.start()
        assert why_unreachable(address, timeout_s=10.0) == "what listens there is no gRPC server"
        thread.join()
    assert why_unreachable("no-such-host.invalid:7420").startswith("there is no host called 'no-such-host.invalid'")


def test_files_that_can_t_be_used_are_said(tmp_path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert "can't be used" in why_unreachable(address, tls_ca=tmp_path / "ca.pem")
