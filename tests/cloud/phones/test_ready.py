"""What `--phone` makes where it is missing, what it leaves as it is, and where the phone is sent."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.phones import ready
from infilink.cloud.phones.address import reached_by
from infilink.cloud.phones.authority import LocalAuthority
from infilink.cloud.phones.host import Host, this_host
from infilink.cloud.phones.ready import kept_renewed, ready_for_phones
from infilink.errors import InvalidInput


def config(tmp_path: Path, **settings: object) -> CloudConfig:
    return CloudConfig.model_validate({"models": tmp_path, "ledger": tmp_path / "l.sqlite", "phone": True, **settings})


def test_what_is_missing_is_made_beside_the_ledger(tmp_path: Path) -> None:
    made, authority = ready_for_phones(config(tmp_path))
    assert authority is not None and authority.folder == tmp_path / "l.sqlite.authority"
    assert (made.tls_cert, made.tls_key) == (authority.server_cert, authority.server_key)
    assert made.tokens == tmp_path / "tokens.toml" and made.tokens.stat().st_mode & 0o777 == 0o600
    assert made.dashboard_listen == "0.0.0.0:7480" and made.listen == "127.0.0.1:7420"
    again, same = ready_for_phones(config(tmp_path))
    assert again == made and same is not None and same.fingerprint == authority.fingerprint


def test_what_is_set_is_used(tmp_path: Path, make_certificate: Callable) -> None:
    own, tokens = make_certificate("coordinator.example"), tmp_path / "mine.toml"
    tokens.touch(mode=0o600)
    given = config(tmp_path, tls_cert=own.cert, tls_key=own.key, tokens=tokens, dashboard_listen="[::]:7000")
    made, authority = ready_for_phones(given)
    assert made == given and authority is None and not given.authority.exists()
    assert reached_by(own.cert, Host(("localhost",), (ip_address("127.0.0.1"),))) == "coordinator.example"


def test_where_everybody_has_to_show_a_certificate_phones_are_refused(
    tmp_path: Path, make_certificate: Callable
) -> None:
    own = make_certificate("coordinator")
    given = config(tmp_path, tls_cert=own.cert, tls_key=own.key, tls_client_ca=own.cert)
    with pytest.raises(InvalidInput, match="`tls_client_ca`"):
        ready_for_phones(given)


def test_the_certificate_is_renewed_while_the_coordinator_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Host(("localhost",), ()), this_host()
    authority = LocalAuthority(tmp_path, old, datetime.now(UTC))
    before, looked = authority.server_cert.read_bytes(), asyncio.Event()

    async def story() -> None:
        loop = asyncio.get_running_loop()

        def look() -> Host:
            loop.call_soon_threadsafe(looked.set)
            return new

        monkeypatch.setattr(ready, "this_host", look)
        async with kept_renewed(authority, every_s=0.0):
            await looked.wait()
            while authority.server_cert.read_bytes() == before:
                await asyncio.sleep(0)

    asyncio.run(story())
    assert reached_by(authority.server_cert, new) != "localhost"
