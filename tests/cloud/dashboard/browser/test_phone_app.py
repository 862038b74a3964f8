"""The phone page as an app: it starts without the coordinator; where its certificate is not trusted it only works."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from infilink.cloud.phones.authority import LocalAuthority
from infilink.cloud.phones.host import this_host
from infilink.cloud.phones.scanned import with_code
from infilink.cloud.security.caller import ANYONE
from infilink.cloud.security.tokens import begin_tokens

from ..conftest import Site
from .conftest import WAIT_MS
from .test_phone_page import filters
from .test_phone_sends import ANSWERED, DRAINED, WAITING

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

__all__ = ["filters"]

KEPT = """
async () => {
  const kept = await caches.open("infilink.phone.filters");
  const { active } = await navigator.serviceWorker.getRegistration("/phone") ?? {};
  return active?.state === "activated" && await caches.match("/phone") && (await kept.keys()).length === 2;
}
"""


@asynccontextmanager
async def opened(browser: "Browser", **settings: object) -> "AsyncIterator[Page]":
    context = await browser.new_context(**settings)
    context.set_default_timeout(WAIT_MS)
    try:
        yield await context.new_page()
    finally:
        await context.close()


def test_it_starts_and_keeps_pictures_without_the_coordinator(
    visit: Callable, browser: "Browser", filters: Path
) -> None:
    async def story(site: Site) -> None:
        async with opened(browser, base_url=str(site.client.base_url)) as page:
            await page.goto("/phone")
            await page.fill("#name", "phone-1")
            await page.click("#go:enabled")
            await page.wait_for_function(ANSWERED, arg=1)
            await page.wait_for_function(KEPT)
            await page.context.set_offline(True)
            await page.reload()
            await page.click("#go:enabled")
            await page.wait_for_function(WAITING, arg=3)
            await page.context.set_offline(False)
            await page.locator("#link").filter(has_text="phone-1: connected").wait_for()
            await page.click("#go")
            await page.wait_for_function(DRAINED)

    visit(story, phone_filters=filters)


def flag(authority: LocalAuthority) -> str:
    """What lets a browser trust the server's key, as if it had been told to trust the authority."""
    own = x509.load_pem_x509_certificates(authority.server_cert.read_bytes())[0]
    key = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(key).digest()).decode()}"


async def scanned(site: Site, name: str) -> str:
    code = await site.coordinator.enrollment.new_code(name, ANYONE)
    return with_code(code.phone_page, code.text)


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority(tmp_path / "authority", this_host(), datetime.now(UTC))


def test_what_is_not_trusted_works_and_what_is_can_be_installed(
    visit: Callable, browser: "Browser", browser_path: str, filters: Path, authority: LocalAuthority, tmp_path: Path
) -> None:
    begin_tokens(tmp_path / "tokens.toml")

    async def story(site: Site) -> None:
        async with opened(browser, ignore_https_errors=True) as page:
            await page.goto(await scanned(site, "phone-1"))
            await page.locator("#steps").filter(has_text=authority.fingerprint).wait_for()
            await page.click("#login button")
            line = page.locator("#install").filter(has_text="does not trust the coordinator's certificate")
            assert await line.locator("a").get_attribute("href") == "/phone/start"
            await page.click("#go:enabled")
            await page.wait_for_function(ANSWERED, arg=1)
            assert await page.input_value("#name") == "phone-1"
        trusting = await browser.browser_type.launch(
            executable_path=browser_path, args=[flag(authority)], timeout=WAIT_MS
        )
        try:
            async with opened(trusting) as page:
                await page.goto(await scanned(site, "phone-2"))
                await page.locator("#install").filter(has_text="can be installed").wait_for()
                assert await page.input_value("#name") == "phone-2"
                scopes = "async () => (await navigator.serviceWorker.getRegistrations()).map((each) => each.scope)"
                assert await page.evaluate(scopes) == [f"{site.client.base_url}/phone".replace("//phone", "/phone")]
        finally:
            await trusting.close()

    visit(story, authority=authority, tokens=tmp_path / "tokens.toml", phone_filters=filters)
