"""How a phone comes in: by a code that counts once; and what of the page may be kept."""

import json
import plistlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from infilink.cloud.dashboard.page_files import base, version
from infilink.cloud.phones.authority import LocalAuthority
from infilink.cloud.phones.host import this_host
from infilink.cloud.phones.invitation import invite
from infilink.cloud.security.caller import ANYONE
from infilink.cloud.security.tokens import begin_tokens, read_tokens

from .conftest import Site


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.toml"
    begin_tokens(path)
    return path


async def code_for(site: Site, device: str) -> str:
    made = await site.coordinator.enrollment.new_code(device, ANYONE)
    return made.text.partition(".")[0]


def test_a_code_lets_one_phone_in_with_a_token_and_a_name_of_its_own(visit: Callable, tokens: Path) -> None:
    async def story(site: Site) -> None:
        site.client.headers["origin"] = str(site.client.base_url).rstrip("/")
        code = await code_for(site, "phone-1")
        sent = {"token": code.lower(), "to": "/phone"}
        let_in = await site.client.post("/login", data=sent)
        assert (let_in.status_code, let_in.headers["location"]) == (303, "/phone")
        cookie = let_in.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "infilink_token=infilink_" in cookie
        page = await site.client.get("/phone")
        assert 'data-named="phone-1"' in page.text and "set-cookie" in page.headers, "kept for as long again"
        assert read_tokens(tokens)["phone-1"].devices == ("phone-1",)
        assert (await site.client.get("/site")).headers["location"].startswith("/login"), "a device's, and no more"
        assert 'data-known="yes"' in (await site.client.get("/phone/start")).text
        site.client.cookies.clear()
        again = await site.client.post("/login", data=sent, follow_redirects=True)
        assert "was used already" in again.text and "infilink enroll NAME --phone" in again.text
        while "wait a minute" not in again.text:
            again = await site.client.post("/login", data=sent, follow_redirects=True)
        assert site.coordinator.enrollment.unused_name("phone") == "phone-2"

    visit(story, tokens=tokens)


def test_a_token_that_looks_like_a_code_is_a_token(visit: Callable) -> None:
    async def story(site: Site) -> None:
        let_in = await site.client.post("/login", data={"token": "0123-4567-89AB-CDEF", "to": "/phone"})
        assert let_in.headers["location"] == "/phone" and "0123-4567-89AB-CDEF" in let_in.headers["set-cookie"]

    visit(story, token="0123-4567-89AB-CDEF")


def test_another_site_s_page_can_t_use_a_code(visit: Callable, tokens: Path) -> None:
    async def story(site: Site) -> None:
        sent = {"token": await code_for(site, "phone-1"), "to": "/phone"}
        refused = await site.client.post("/login", data=sent, headers={"origin": "https://elsewhere.example"})
        assert refused.status_code == 403 and "set-cookie" not in refused.headers

    visit(story, tokens=tokens)


def test_the_authority_is_handed_out_as_phones_take_it(visit: Callable, tokens: Path, tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path / "authority", this_host(), datetime.now(UTC))

    async def story(site: Site) -> None:
        start = await site.client.get("/phone/start")
        assert (
            authority.fingerprint in start.text.replace("<wbr>", "")
            and "script-src 'self';" in start.headers["content-security-policy"]
        )
        root = await site.client.get("/phone/authority.crt")
        assert root.headers["content-type"] == "application/x-x509-ca-cert"
        assert x509.load_der_x509_certificate(root.content).extensions.get_extension_for_class(x509.NameConstraints)
        profile = await site.client.get("/phone/authority.mobileconfig")
        assert profile.headers["content-type"] == "application/x-apple-aspen-config"
        (certificate,) = plistlib.loads(profile.content)["PayloadContent"]
        assert certificate["PayloadType"] == "com.apple.security.root"
        assert certificate["PayloadContent"] == root.content
        assert "PRIVATE" not in start.text + root.text + profile.text
        made = await site.coordinator.enrollment.new_code("phone-1", ANYONE)
        assert made.phone_page == f"{site.client.base_url}/phone/start".replace("//phone", "/phone")
        enrollment, here = site.coordinator.enrollment, "0.0.0.0:7420"
        told = await invite(enrollment, authority, listen=here, shows_code=True)
        address = re.search(rf"{made.phone_page}#(\S+)\n", told)
        assert address is not None and authority.fingerprint in told and "--coordinator 127.0.0.1:7420" in told
        assert enrollment.codes.find(address.group(1), "").device == "phone-1"
        assert "#" not in await invite(enrollment, authority, listen=here, shows_code=False)

    visit(story, authority=authority, tokens=tokens)


def test_without_an_authority_of_its_own_there_is_nothing_to_install(visit: Callable, tokens: Path) -> None:
    async def story(site: Site) -> None:
        assert "authority.crt" not in (await site.client.get("/phone/start")).text
        assert (await site.client.get("/phone/authority.crt")).status_code == 404
        assert (await site.coordinator.enrollment.new_code("door", ANYONE)).phone_page == "", "without TLS"

    visit(story, tokens=tokens, dashboard_listen="127.0.0.1:0")


def test_files_may_be_kept_by_their_version_and_the_worker_names_them_all(visit: Callable) -> None:
    async def story(site: Site) -> None:
        page = await site.client.get("/phone")
        assert page.headers["x-infilink-version"] == version()
        assert "manifest-src 'self'" in page.headers["content-security-policy"]
        worker = await site.client.get("/phone/worker.js")
        assert worker.headers["service-worker-allowed"] == "/phone" and worker.headers["cache-control"] == "no-store"
        kept = json.loads(re.search(r"const FILES = (\[.*\]);", worker.text).group(1))
        for path in kept:
            found = await site.client.get(path)
            assert found.status_code == 200 and "immutable" in found.headers["cache-control"]
        of_page = set(re.findall(rf'(?:href|src)="({base()}/[^"]+)"', page.text))
        assert of_page and of_page <= set(kept)
        name = of_page.pop().removeprefix(base())
        assert (await site.client.get(f"/static/@0123456789abcdef{name}")).status_code == 404
        assert "immutable" not in (await site.client.get(f"/static{name}")).headers.get("cache-control", "")
        app = (await site.client.get("/phone/app.webmanifest")).json()
        for icon in app["icons"]:
            assert (await site.client.get(icon["src"])).headers["content-type"] == icon["type"]

    visit(story)
