"""This machine's own authority: what it speaks for, and what it never can; made once, and renewed by itself."""

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from infilink.cloud.phones.authority import LocalAuthority
from infilink.cloud.phones.host import Host, names_of
from infilink.errors import InvalidInput

NOW = datetime(2026, 12, 1, tzinfo=UTC)
HOST = Host(
    ("localhost", "box-1", "box-1.local"),
    tuple(map(ip_address, ("127.0.0.1", "192.168.1.5", "203.0.113.9", "fd00::5"))),
)


def served(authority: LocalAuthority) -> x509.Certificate:
    return x509.load_pem_x509_certificates(authority.server_cert.read_bytes())[0]


def speaks_for(authority: LocalAuthority) -> set[str]:
    named = served(authority).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in named}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_made_once_and_its_keys_are_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    first = LocalAuthority(folder, HOST, NOW)
    made = files(folder)
    assert {"phones.pem", "devices.pem", "issuer.pem", "issuer.key", "pages.pem", "server.pem", "server.key"} == set(
        made
    )
    assert [path.stat().st_mode & 0o777 for path in sorted(folder.glob("*.key"))] == [0o600, 0o600]
    assert LocalAuthority(folder, HOST, NOW + timedelta(days=1)).fingerprint == first.fingerprint
    assert files(folder) == made
    assert speaks_for(first) == {*HOST.names, *map(str, HOST.addresses)}
    own = served(first)
    assert own.not_valid_after_utc - own.not_valid_before_utc <= timedelta(days=397)
    assert own.not_valid_before_utc < NOW


def test_it_renews_the_certificate_as_addresses_change_and_before_its_end(tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path, HOST, NOW)
    before, key = served(authority), authority.server_key.read_bytes()
    moved = Host(HOST.names, (ip_address("127.0.0.1"), ip_address("10.0.0.7"), ip_address("8.8.8.8")))
    assert authority.renew(moved, NOW) and not authority.renew(moved, NOW)
    assert speaks_for(authority) == {*HOST.names, "127.0.0.1", "10.0.0.7"}, "8.8.8.8 is somebody's"
    soon = served(authority).not_valid_after_utc - timedelta(days=29)
    assert not authority.renew(moved, soon - timedelta(days=2)) and authority.renew(moved, soon)
    assert authority.renew(moved, NOW - timedelta(days=500)), "the clock was wrong"
    assert served(authority).serial_number != before.serial_number
    assert authority.server_key.read_bytes() == key
    with pytest.raises(InvalidInput, match="is over since"):
        authority.renew(HOST, NOW + timedelta(days=4000))


def forged(authority: LocalAuthority, *names: x509.GeneralName) -> Path:
    """What somebody makes who has the authority's key."""
    folder = authority.folder
    issuer = x509.load_pem_x509_certificate((folder / "issuer.pem").read_bytes())
    signer = load_pem_private_key((folder / "issuer.key").read_bytes(), None)
    own = served(authority)
    made = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )
    path = folder / "forged.pem"
    path.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (made, issuer)))
    return path


def trusts(trusted: Path, cert: Path, key: Path, name: str) -> bool:
    """Whether who trusts one certificate talks to who shows another."""
    ours, theirs = ssl.create_default_context(cafile=str(trusted)), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(cert, key)
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = ours.wrap_bio(here, there, server_hostname=name), theirs.wrap_bio(there, here, server_side=True)
    try:
        is_done = False
        while not is_done:
            # Each in its turn, also where one of them waits.
            told = tuple(map(_goes_on, sides))
            is_done = all(told)
    except ssl.SSLCertVerificationError:
        return False
    return True


def _goes_on(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@pytest.mark.parametrize("trusted", ["phones.pem", "devices.pem"])
def test_who_trusts_it_is_shown_this_machine(tmp_path: Path, trusted: str) -> None:
    authority = LocalAuthority(tmp_path, HOST, datetime.now(UTC))
    for name in speaks_for(authority):
        assert trusts(tmp_path / trusted, authority.pages_cert, authority.server_key, name)
    assert not trusts(tmp_path / trusted, authority.pages_cert, authority.server_key, "other.local")


@pytest.mark.parametrize("name", ["bank.example", "other.local", "box-1", "8.8.8.8", "2001:db8::1"])
def test_a_phone_is_never_deceived_about_others_even_by_who_has_the_key(tmp_path: Path, name: str) -> None:
    authority = LocalAuthority(tmp_path, HOST, datetime.now(UTC))
    named = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    is_own = name in HOST.names
    assert trusts(authority.for_phones, forged(authority, named), authority.server_key, name) == is_own
    bounds = [served_bounds(tmp_path / file) for file in ("phones.pem", "issuer.pem")]
    assert bounds[0] == bounds[1], "not every system looks for them in what it trusts itself"


def served_bounds(path: Path) -> Iterable[x509.GeneralName]:
    own = x509.load_pem_x509_certificate(path.read_bytes())
    found = own.extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    return found.value.permitted_subtrees or []


def test_what_can_t_be_used_is_named_with_what_to_do(tmp_path: Path) -> None:
    LocalAuthority(tmp_path, HOST, NOW)
    key = tmp_path / "issuer.key"
    key.chmod(0o644)
    with pytest.raises(InvalidInput, match=r"issuer.key: others on this machine can read it: `chmod 600"):
        LocalAuthority(tmp_path, HOST, NOW)
    key.write_bytes((tmp_path / "server.key").read_bytes())
    key.chmod(0o600)
    with pytest.raises(InvalidInput, match=r"it is not the key of issuer.pem. Bring it back, or remove"):
        LocalAuthority(tmp_path, HOST, NOW)
    key.unlink()
    with pytest.raises(InvalidInput, match=r"issuer.key: can't be used"):
        LocalAuthority(tmp_path, HOST, NOW)


@pytest.mark.parametrize(
    ("hostname", "names"),
    [
        ("box-1", ("localhost", "box-1", "box-1.local")),
        ("Box-1.example.org", ("localhost", "box-1.example.org", "box-1.local")),
        ("mac.local", ("localhost", "mac.local")),
        ("dev", ("localhost", "dev.local")),
        ("localhost", ("localhost",)),
        ("under_score", ("localhost",)),
        ("", ("localhost",)),
    ],
)
def test_a_machine_s_names_are_none_that_could_be_a_domain_of_many(hostname: str, names: tuple[str, ...]) -> None:
    assert names_of(hostname) == names
