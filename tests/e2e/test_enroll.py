"""A new device enrolls with a real coordinator by a code, sends as itself, and is ended when it is revoked."""

import shlex
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from infilink.cloud.fleet.authority import Authority
from infilink.files import write_secret

from .conftest import TOKEN, Agent, infilink, wait_until, write_toml
from .test_fleet import LIVE

PEM = serialization.Encoding.PEM


def signed_by(authority: Path, name: str, folder: Path, *, since: timedelta = timedelta(0)) -> tuple[Path, Path]:
    """A certificate for a day, and its key, by the devices' authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    signer = Authority(authority / "ca.pem", authority / "ca.key")
    made, _ = signer.sign(request.public_bytes(PEM), name, days=1, now=datetime.now(UTC).replace(microsecond=0) - since)
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made)
    plain = (PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(paths[1], key.private_bytes(*plain))
    return paths


@pytest.fixture
def live(tmp_path: Path) -> str:
    (tmp_path / "live.py").write_text(LIVE)
    return f"call({tmp_path / 'live.py'}:frames)"


def enroll(printed: str, config: Path) -> None:
    """Does on the device what the operator was shown."""
    command = shlex.split(printed)
    assert command[:3] == ["infilink", "device", "enroll"]
    done = infilink(*command[1:], "--config", config)
    assert done.returncode == 0, done.stderr
    again = infilink(*command[1:], "--config", config)
    assert again.returncode == 2 and "used already" in again.stderr


@pytest.fixture
def signing(start_daemon, make_certificate, tmp_path):
    """Starts a daemon that signs devices' certificates: gives it, its own certificate, and the authority's folder."""

    def start(**more):
        authority, server = tmp_path / "authority", make_certificate("localhost")
        assert infilink("init", "authority", "--out", authority).returncode == 0
        daemon = start_daemon(
            tls_cert=str(server.cert),
            tls_key=str(server.key),
            tls_client_ca=str(authority / "ca.pem"),
            tls_client_ca_key=str(authority / "ca.key"),
            enroll_listen="127.0.0.1:0",
            **more,
        )
        return daemon, server, authority

    return start


def test_a_device_gets_a_certificate_of_its_own_and_loses_it(signing, tmp_path, live):
    (tmp_path / "tokens.toml").write_text('[ann]\nscopes = ["operator"]\ncertificate = "Ann"\n')
    (tmp_path / "tokens.toml").chmod(0o600)
    daemon, server, authority = signing(tokens="tokens.toml")
    ann = signed_by(authority, "Ann", tmp_path)
    how = ("--coordinator", daemon.address, "--tls-ca", server.cert, "--tls-cert", ann[0], "--tls-key", ann[1])
    made = infilink("enroll", "door", *how)
    assert made.returncode == 0 and "certificate of its own" in made.stderr, made.stderr
    folder = tmp_path / "device"
    folder.mkdir()
    config = write_toml(folder / "device.toml", {"name": "camera-1", "source": live, "coordinator": "127.0.0.1:1"})
    enroll(made.stdout, config)
    assert (folder / "door.key").stat().st_mode & 0o077 == 0 and config.stat().st_mode & 0o077 == 0
    settings = tomllib.loads(config.read_text())
    assert settings["source"] == live and "token" not in settings
    assert (settings["name"], settings["coordinator"], settings["tls_cert"]) == ("door", daemon.address, "door.pem")
    agent = Agent(config)
    try:
        wait_until(lambda: "connected to" in agent.said(), "its connection")
        assert infilink("fleet", "revoke", "door", *how).returncode == 0
        assert "revoked" in agent.refusal()
    finally:
        agent.close()
    other = Agent(config)
    try:
        assert "revoked" in other.refusal()
    finally:
        other.close()


def test_a_device_renews_its_certificate_before_it_ends(signing, tmp_path, live):
    daemon, server, authority = signing()
    cert, key = signed_by(authority, "door", tmp_path, since=timedelta(hours=20))
    before, key_before = x509.load_pem_x509_certificate(cert.read_bytes()), key.read_bytes()
    settings = {"name": "door", "source": live, "coordinator": daemon.address, "tls_ca": str(server.cert)}
    config = write_toml(tmp_path / "device.toml", settings | {"tls_cert": str(cert), "tls_key": str(key)})
    agent = Agent(config)
    try:
        wait_until(lambda: "was renewed" in agent.said(), "its next certificate")
    finally:
        agent.close()
    after = x509.load_pem_x509_certificate(cert.read_bytes())
    assert (after.subject, after.public_key()) == (before.subject, before.public_key())
    assert after.not_valid_after_utc - before.not_valid_after_utc > timedelta(days=300)
    assert key.read_bytes() == key_before
    other = Agent(config)
    try:
        wait_until(lambda: "connected to" in other.said(), "its connection with the next certificate")
    finally:
        other.close()


def test_without_tls_a_device_gets_a_token_of_its_own(start_daemon, tmp_path, live):
    (tmp_path / "tokens.toml").write_text("")
    (tmp_path / "tokens.toml").chmod(0o600)
    daemon = start_daemon(tokens="tokens.toml", token=TOKEN)
    made = infilink("enroll", "door", "--coordinator", daemon.address, "--token", TOKEN)
    assert made.returncode == 0 and "token of its own" in made.stderr, made.stderr
    config = tmp_path / "new" / "device.toml"
    enroll(made.stdout, config)
    settings = tomllib.loads(config.read_text())
    assert settings["token"].startswith("infilink_") and config.stat().st_mode & 0o077 == 0
    text = config.read_text()
    config.write_text(text.replace(f'source = "{settings["source"]}"', f'source = "{live}"'))
    agent = Agent(config)
    try:
        daemon.answered(3)
        agent.terminate()
        assert agent.finish()["answered"] >= 3
    finally:
        agent.close()


def test_a_code_that_is_for_another_certificate_is_sent_to_nobody(start_daemon, make_certificate, tmp_path):
    server = make_certificate("localhost")
    daemon = start_daemon(tls_cert=str(server.cert), tls_key=str(server.key), token=TOKEN)
    done = infilink("device", "enroll", "--coordinator", daemon.address, "--code", "AAAA-BBBB.zzzz")
    assert done.returncode == 2 and "Nothing was sent to it" in done.stderr
