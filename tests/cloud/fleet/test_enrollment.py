"""New devices come to be known by a code: what they get, and what it is worth after they are revoked."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from infilink.cloud.fleet.authority import Authority, make_authority, read_request
from infilink.cloud.security.caller import ANYONE
from infilink.cloud.security.tokens import add_token, read_tokens
from infilink.errors import InvalidInput, NotAllowed
from infilink.protos import fleet_pb2

from .conftest import Site, bearer

PEM = serialization.Encoding.PEM


def a_request(key: object = None, name: str = "whatever it says") -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    key = key or ec.generate_private_key(ec.SECP256R1())
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256()).public_bytes(PEM)


@pytest.fixture
def operator(tmp_path: Path) -> tuple[Path, str]:
    """A file of tokens, and an operator's."""
    tokens = tmp_path / "tokens.toml"
    return tokens, add_token(tokens, "ann", scopes=("operator",), devices=(), days=None)


async def code_for(site: Site, device: str, token: str) -> str:
    reply = await site.fleet.NewCode(fleet_pb2.NewCodeRequest(name=device), metadata=bearer(token))
    assert reply.gives == "token"
    return reply.code


async def refusal(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details()


def test_a_new_device_gets_a_token_of_its_own_by_a_code_that_counts_once(run: Callable, operator) -> None:
    tokens, token = operator

    async def story(site: Site) -> None:
        code = await code_for(site, "door", token)
        reply = await site.enrollment.Enroll(fleet_pb2.EnrollRequest(code=code))
        assert reply.name == "door" and reply.token.startswith("infilink_") and not reply.certificate
        line = await site.connect("door", token=reply.token)
        assert line.welcome.HasField("welcome")
        await line.leave()
        refused = await site.connect("yard", token=reply.token)
        assert "may send as door" in (await refused.ended())[1]
        again = await refusal(site.enrollment.Enroll(fleet_pb2.EnrollRequest(code=code)))
        assert again[0] == grpc.StatusCode.UNAUTHENTICATED and "used already" in again[1]
        assert reply.token not in tokens.read_text() and code not in tokens.read_text()
        entry = site.coordinator.fleet.entries.of("door")
        assert (entry.enrolled, entry.by) == ("token", "ann")

    run(story, tokens=tokens)


def test_who_enrolls_again_replaces_what_the_name_had_and_what_is_revoked_is_over(run: Callable, operator) -> None:
    tokens, token = operator

    async def story(site: Site) -> None:
        async def enroll() -> str:
            code = await code_for(site, "door", token)
            return (await site.enrollment.Enroll(fleet_pb2.EnrollRequest(code=code))).token

        first = await enroll()
        line = await site.connect("door", token=first)
        revoke = fleet_pb2.ChangeDevice(name="door", action=fleet_pb2.FLEET_ACTION_REVOKE)
        await site.fleet.Change(revoke, metadata=bearer(token))
        status, text = await line.ended()
        assert status in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED) and "revoked" in text
        assert "door" not in read_tokens(tokens)
        second = await enroll()
        back = await site.connect("door", token=second)
        assert back.welcome.HasField("welcome")
        await back.leave()
        assert site.coordinator.fleet.entries.of("door").state == ""
        refused = await site.connect("door", token=first)
        assert (await refused.ended())[0] == grpc.StatusCode.UNAUTHENTICATED

    run(story, tokens=tokens)


def test_a_code_is_an_operators_to_make_and_a_revoked_devices_holds_no_more(run: Callable, operator) -> None:
    tokens, token = operator
    reader = add_token(tokens, "bob", scopes=("reader",), devices=(), days=None)

    async def story(site: Site) -> None:
        new = fleet_pb2.NewCodeRequest(name="door")
        assert (await refusal(site.fleet.NewCode(new, metadata=bearer(reader))))[0] == grpc.StatusCode.PERMISSION_DENIED
        code = await code_for(site, "door", token)
        revoke = fleet_pb2.ChangeDevice(name="door", action=fleet_pb2.FLEET_ACTION_REVOKE)
        await site.fleet.Change(revoke, metadata=bearer(token))
        refused = await refusal(site.enrollment.Enroll(fleet_pb2.EnrollRequest(code=code)))
        assert refused[0] == grpc.StatusCode.UNAUTHENTICATED
        for name in ("", "<b>", "a b"):
            wrong = fleet_pb2.NewCodeRequest(name=name)
            assert "`name`" in (await refusal(site.fleet.NewCode(wrong, metadata=bearer(token))))[1]

    run(story, tokens=tokens)


def test_where_nobody_proves_anything_there_is_nothing_to_give(run: Callable) -> None:
    async def story(site: Site) -> None:
        _, text = await refusal(site.fleet.NewCode(fleet_pb2.NewCodeRequest(name="door")))
        assert "`tokens`" in text and "`tls_client_ca_key`" in text

    run(story)


def test_an_authority_signs_a_devices_key_and_nothing_else_of_what_it_asks(tmp_path: Path):
    cert, key = make_authority(tmp_path / "authority")
    assert key.stat().st_mode & 0o077 == 0
    own, now = ec.generate_private_key(ec.SECP256R1()), datetime(2026, 12, 1, tzinfo=UTC)
    made, ends = Authority(cert, key).sign(a_request(own, "root"), "door", days=30, now=now)
    signed = x509.load_pem_x509_certificate(made)
    assert signed.subject.rfc4514_string() == "CN=door" and signed.public_key() == own.public_key()
    assert (signed.not_valid_before_utc, (ends - now).days) == (now, 30)
    signed.verify_directly_issued_by(x509.load_pem_x509_certificate(cert.read_bytes()))
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(InvalidInput, match="is there already"):
        make_authority(tmp_path / "authority")
    key.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        Authority(cert, key)


@pytest.mark.parametrize("request_", [b"", b"x" * 20_000, b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", b"\xff\0"])
def test_what_is_no_request_is_refused(request_: bytes):
    with pytest.raises(InvalidInput, match="`certificate_request`"):
        read_request(request_)


def test_a_weak_key_and_a_forged_request_are_refused():
    weak = a_request(rsa.generate_private_key(65537, 1024))
    with pytest.raises(InvalidInput, match="2048 bits"):
        read_request(weak)
    der = bytearray(x509.load_pem_x509_csr(a_request()).public_bytes(serialization.Encoding.DER))
    at = bytes(der).index(b"whatever")
    der[at] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(PEM)
    with pytest.raises(InvalidInput, match="its own key"):
        read_request(forged)


def test_devices_that_enroll_at_one_moment_take_one_code_once(run: Callable, operator) -> None:
    tokens, token = operator

    async def story(site: Site) -> None:
        request = fleet_pb2.EnrollRequest(code=await code_for(site, "door", token))
        done = await asyncio.gather(*(site.enrollment.Enroll(request) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(each, fleet_pb2.EnrollReply) for each in done) == 1

    run(story, tokens=tokens)


def test_only_a_certificate_that_still_counts_is_renewed(run: Callable, tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        fleet, enrollment = site.coordinator.fleet, site.coordinator.enrollment
        status, text = await refusal(site.enrollment.Renew(fleet_pb2.RenewRequest(certificate_request=a_request())))
        assert status == grpc.StatusCode.INVALID_ARGUMENT and "shows no certificate" in text
        with pytest.raises(InvalidInput, match="`tls_client_ca_key`"):
            await enrollment.renew("door", a_request(), since_s=1.0)
        await fleet.renewed("door", since_s=1.0, expires_s=2e9)
        assert fleet.entries.of("door").expires_us == 2 * 10**15
        await fleet.change("door", "revoke", ANYONE)
        before = fleet.entries.of("door")
        with pytest.raises(NotAllowed, match="was revoked since"):
            await fleet.renewed("door", since_s=1.0, expires_s=3e9)
        assert fleet.entries.of("door") == before

    run(story)
