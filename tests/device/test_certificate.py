"""A device's certificate is renewed in time, and only by what fits it; what can't be is said."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from infilink.cloud.fleet.authority import Authority, make_authority
from infilink.device.certificate import make_key, make_request, renew
from infilink.device.config import DeviceConfig
from infilink.protos import fleet_pb2, fleet_pb2_grpc

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Coordinator(fleet_pb2_grpc.EnrollmentServicer):
    """Gives what a test says for a request."""

    def __init__(self, gives: Callable[[bytes], bytes]) -> None:
        self.gives = gives
        self.asked = 0

    def Renew(self, request: fleet_pb2.RenewRequest, context: grpc.ServicerContext) -> fleet_pb2.EnrollReply:  # noqa: N802
        self.asked += 1
        return fleet_pb2.EnrollReply(certificate=self.gives(request.certificate_request))


class Site:
    """An authority, a device's files, and a coordinator that is reached without TLS."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.authority = Authority(*make_authority(folder / "authority"))
        self.cert, self.key = folder / "door.pem", folder / "door.key"
        self.key.write_bytes(make_key())
        self.cert.write_bytes(self.signed(make_request(self.key.read_bytes())))
        self.coordinator = Coordinator(lambda request: self.signed(request, since=NOW))
        self.address = ""
        monkeypatch.setattr(
            "infilink.protos.channel.open_channel", lambda _, **tls: grpc.insecure_channel(self.address)
        )

    def signed(self, request: bytes, name: str = "door", *, since: datetime = NOW - timedelta(days=20)) -> bytes:
        """A certificate for 30 days."""
        return self.authority.sign(request, name, days=30, now=since)[0]

    def renew(self, now: datetime = NOW) -> str:
        """What comes of it."""
        server = grpc.server(ThreadPoolExecutor(1))
        fleet_pb2_grpc.add_EnrollmentServicer_to_server(self.coordinator, server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            config = DeviceConfig(
                name="door",
                source="camera.mp4",
                coordinator=self.address,
                tls_ca=self.cert,
                tls_cert=self.cert,
                tls_key=self.key,
            )
            return renew(config, now=lambda: now)
        finally:
            server.stop(None).wait()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def test_it_is_renewed_once_a_third_of_its_time_is_left(site: Site) -> None:
    before = site.cert.read_bytes()
    assert site.renew(NOW - timedelta(days=1)) == "" and site.coordinator.asked == 0
    assert site.cert.read_bytes() == before
    assert site.renew() == "" and site.coordinator.asked == 1
    after = x509.load_pem_x509_certificate(site.cert.read_bytes())
    assert after.not_valid_after_utc == NOW + timedelta(days=30)
    own = load_pem_private_key(site.key.read_bytes(), None).public_key()
    plain = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert after.public_key().public_bytes(*plain) == own.public_bytes(*plain)
    assert site.renew() == "" and site.coordinator.asked == 1


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        (lambda site, request: site.signed(request, "yard"), "not for this device's key and name"),
        (lambda site, request: site.signed(make_request(make_key())), "not for this device's key and name"),
        (lambda site, request: b"", "can't be renewed"),
        (lambda site, request: b"no certificate", "can't be renewed"),
    ],
)
def test_what_does_not_fit_replaces_nothing(site: Site, gives: Callable, says: str) -> None:
    before = site.cert.read_bytes()
    site.coordinator.gives = lambda request: gives(site, request)
    assert says in site.renew()
    assert site.cert.read_bytes() == before


def test_an_older_coordinator_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Coordinator, "Renew", fleet_pb2_grpc.EnrollmentServicer.Renew)
    said = site.renew()
    assert "ends on 2026-06-11" in said and "too old for that: enroll this device anew" in said
