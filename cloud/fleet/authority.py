"""Who signs the certificates of devices: an authority of one's own, made once, and what it signs for new devices."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ...errors import InvalidInput
from ...files import write_secret

_YEARS = 10
_LEAST_RSA_BITS = 2048
_MOST_REQUEST_BYTES = 16 * 2**10
_PLAIN = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Authority:
    """Signs with a key that lies on this machine.

    Args:
        cert: the authority's certificate, in PEM; of several the one whose key it is.
        key: its key.

    Raises:
        InvalidInput: they can't be read, or do not belong together.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        try:
            certificates = x509.load_pem_x509_certificates(cert.read_bytes())
            loaded = load_pem_private_key(key.read_bytes(), None)
        except (OSError, TypeError, ValueError) as error:
            raise InvalidInput(f"{cert}, {key}: can't be used to sign certificates: {error}") from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise InvalidInput(f"{key}: must be a key of an elliptic curve, or of RSA")
        if key.stat().st_mode & 0o077:
            raise InvalidInput(f"{key}: others on this machine can read it, and could sign with it: `chmod 600 {key}`")
        self._key = loaded
        public = loaded.public_key().public_bytes(*_PLAIN)
        own = [each for each in certificates if each.public_key().public_bytes(*_PLAIN) == public]
        if not own:
            raise InvalidInput(f"{key}: is not the key of {cert}")
        self._own = own[0]

    def sign(self, request: bytes, device: str, *, days: float, now: datetime) -> tuple[bytes, datetime]:
        """A device's certificate, in PEM, and until when it holds.

        Args:
            request: what the device asks with, in PEM; nothing of it counts but its key.
            device: the common name.
            days: how long it holds; no longer than the authority's own.
            now: from when on.

        Raises:
            InvalidInput: that is no such request, or its key is too weak.
        """
        asked = read_request(request)
        ends = min(now + timedelta(days=days), self._own.not_valid_after_utc)
        if ends <= now:
            raise InvalidInput(f"the authority is over since {self._own.not_valid_after_utc:%Y-%m-%d}: make another")
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
            .issuer_name(self._own.subject)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM), ends


def read_request(request: bytes) -> x509.CertificateSigningRequest:
    """A request for a certificate, checked.

    Raises:
        InvalidInput: it is none, or its key is too weak.
    """
    if not request:
        raise InvalidInput("`certificate_request`: this coordinator gives certificates, and needs a request for one")
    if len(request) > _MOST_REQUEST_BYTES:
        raise InvalidInput(f"`certificate_request`: at most {_MOST_REQUEST_BYTES} bytes, not {len(request)}")
    try:
        asked = x509.load_pem_x509_csr(request)
        key = asked.public_key()
    except ValueError as error:
        raise InvalidInput("`certificate_request`: is no request for a certificate in PEM") from error
    known = isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS
    )
    if not known:
        raise InvalidInput(f"`certificate_request`: a key of an elliptic curve, or of RSA with {_LEAST_RSA_BITS} bits")
    if not asked.is_signature_valid:
        raise InvalidInput("`certificate_request`: is not signed with its own key")
    return asked


def make_authority(folder: Path) -> tuple[Path, Path]:
    """A new authority in a folder: `ca.pem`, and `ca.key`, which nobody but its user can read.

    Raises:
        InvalidInput: there is one already.
    """
    cert, key = folder / "ca.pem", folder / "ca.key"
    for path in (cert, key):
        if path.exists():
            raise InvalidInput(f"{path}: is there already; give another --out")
    made, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC).replace(microsecond=0)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "infilink devices")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(made, hashes.SHA256())
    )
    write_secret(key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    cert.write_bytes(signed.public_bytes(Encoding.PEM))
    return cert, key
