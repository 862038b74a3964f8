"""Certificates as an operator makes them: an authority, and what it has signed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Pair(NamedTuple):
    """A certificate and its key, as files."""

    cert: Path
    key: Path


@pytest.fixture
def make_certificate(tmp_path: Path) -> Callable[..., Pair]:
    """Makes a certificate that an authority signed, or itself; valid from and to so many days from now."""
    made: dict[Path, tuple[x509.Certificate, ec.EllipticCurvePrivateKey]] = {}

    def make(name: str, *, by: Pair | None = None, days: tuple[float, float] = (-1, 100), file: str = "") -> Pair:
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer, signer = (subject, key) if by is None else (made[by.cert][0].subject, made[by.cert][1])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        )
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = builder.add_extension(names, critical=False).sign(signer, hashes.SHA256())
        pair = Pair(tmp_path / f"{file or name}.pem", tmp_path / f"{file or name}.key")
        pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(key.private_bytes(*plain))
        made[pair.cert] = (certificate, key)
        return pair

    return make
