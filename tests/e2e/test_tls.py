"""The wire with TLS: who has the certificate gets through, who has not is told what is wrong."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import TIMEOUT_S, TOKEN, infilink, write_toml

NAME = "/CN=localhost"
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signed itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", NAME, "-addext", NAMES]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True, timeout=TIMEOUT_S
    )
    return cert, key


def test_a_device_that_trusts_the_certificate_is_answered(start_daemon, start_agent, certificate):
    cert, key = certificate
    daemon = start_daemon(tls_cert=str(cert), tls_key=str(key), token=TOKEN)
    summary = start_agent(daemon.address, tls_ca=str(cert)).finish()
    assert summary["answered"] == summary["frames"] == 120


def test_a_certificate_that_is_not_there_is_one_line(start_agent):
    told = start_agent("127.0.0.1:9", tls_ca="/nowhere/ca.pem").refusal()
    assert told.count("\n") == 1 and "tls_ca" in told


def test_the_status_is_asked_for_with_the_same_certificate_and_token(start_daemon, certificate):
    cert, key = certificate
    daemon = start_daemon(tls_cert=str(cert), tls_key=str(key), token=TOKEN)
    done = infilink("status", daemon.address, "--tls-ca", cert, "--token", TOKEN)
    assert done.returncode == 0 and "no device has connected yet" in done.stdout
    assert infilink("status", daemon.address, "--token", TOKEN).returncode == 2


def test_a_coordinator_for_other_machines_needs_tls_and_tokens(tmp_path, models):
    config = write_toml(tmp_path / "cloud.toml", {"listen": "0.0.0.0:0", "models": str(models)})
    done = infilink("cloud", "--config", config)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "0.0.0.0:0 can be called by other machines" in done.stderr and "--insecure" in done.stderr
