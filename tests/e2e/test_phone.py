"""`infilink cloud --phone`: a phone and a device come in by what it makes, and who trusts nobody does not."""

import re
import ssl
import tomllib
from pathlib import Path

import httpx
import pytest

from .conftest import infilink, write_toml


def trusting(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))


def test_a_phone_and_a_device_come_in(start_daemon, start_agent, tmp_path: Path) -> None:
    daemon = start_daemon("--phone", dashboard_listen="0.0.0.0:0")
    made, tokens = tmp_path / "ledger.sqlite.authority", tmp_path / "tokens.toml"
    token = infilink("token", "new", "ops", "--scope", "operator", "--tokens", tokens).stdout.strip()
    how = ("--coordinator", daemon.address, "--tls-ca", made / "devices.pem", "--token", token)
    shown = infilink("enroll", "phone-1", "--phone", *how)
    assert shown.returncode == 0 and "scan it with the phone" in shown.stderr, shown.stderr
    *drawn, address = shown.stdout.strip().splitlines()
    assert len(drawn) > 15 and set("".join(drawn)) <= set("█▀▄ ")
    found = re.fullmatch(r"https://[^/]+:(\d+)/phone/start#([0-9A-Z-]{19})", address)
    assert found is not None, address
    here = f"https://127.0.0.1:{found.group(1)}"
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{here}/phone/start")
    with httpx.Client(base_url=here, verify=trusting(made / "phones.pem"), follow_redirects=True) as phone:
        root = phone.get("/phone/authority.crt").content
        assert ssl.DER_cert_to_PEM_cert(root) == (made / "phones.pem").read_text()
        let_in = phone.post("/login", data={"token": found.group(2), "to": "/phone"}, headers={"origin": here})
        assert let_in.url.path == "/phone" and 'data-named="phone-1"' in let_in.text
        assert phone.get("/phone/filters").json() == {"filters": {}, "folder": False}
    device = write_toml(
        tmp_path / "device.toml", {"name": "camera-1", "source": "none.avi", "coordinator": "127.0.0.1:1"}
    )
    code = infilink("enroll", "door", *how).stdout.split()[-1]
    enrolled = infilink("device", "enroll", "--coordinator", daemon.address, "--code", code, "--config", device)
    assert enrolled.returncode == 0, enrolled.stderr
    settings = tomllib.loads(device.read_text())
    # Not the certificate, which is renewed, but who signs it.
    assert (tmp_path / settings["tls_ca"]).read_bytes() == (made / "devices.pem").read_bytes()
    sent = start_agent(daemon.address, name="door", token=settings["token"], tls_ca=str(tmp_path / settings["tls_ca"]))
    assert sent.finish()["answered"] == 120
    daemon.terminate()
    told = daemon.wait()
    assert "infilink enroll NAME --phone" in told and "SHA-256" in told
    assert "#" not in told and "█" not in told, "what is kept has no code in it"
