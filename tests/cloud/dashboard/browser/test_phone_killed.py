"""A coordinator that is killed while a phone sends: what the phone kept is answered by the next one, each once."""

import asyncio
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ....e2e.conftest import Daemon, write_toml
from .conftest import WAIT_MS
from .test_phone_page import filters
from .test_phone_sends import ANSWERED, DRAINED, NEXT, WAITING

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

__all__ = ["filters"]


async def story(page: "Page", config: Path, address: str) -> int:
    """Films while the coordinator is killed and started anew; how many inputs were kept."""
    page.set_default_timeout(WAIT_MS)
    with closing(await asyncio.to_thread(Daemon, config)) as daemon:
        await page.goto(f"http://{address}/phone")
        await page.fill("#name", "phone")
        await page.click("#go:enabled")
        await page.wait_for_function(ANSWERED, arg=3)
        await asyncio.to_thread(daemon.kill)
        await page.locator("#link").filter(has_text="not connected").wait_for()
        await page.wait_for_function(WAITING, arg=3)
    with closing(await asyncio.to_thread(Daemon, config)):
        await page.locator("#link").filter(has_text="phone: connected").wait_for()
        await page.click("#go")
        # A picture may still be on its way to what waits.
        await page.locator("#note").filter(has_text="The camera is off.").wait_for()
        await page.wait_for_function(DRAINED)
        return int(await page.evaluate(NEXT))


def test_what_is_kept_outlives_a_coordinator_that_is_killed(
    browser: "Browser", run_async: Callable, tiny_models: Path, tmp_path: Path, filters: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ledger = tmp_path / "ledger.sqlite"
    values = {"listen": "127.0.0.1:0", "models": str(tiny_models), "ledger": str(ledger)}
    config = write_toml(tmp_path / "cloud.toml", values | {"dashboard_listen": address, "phone_filters": str(filters)})

    async def whole() -> int:
        page = await browser.new_page()
        try:
            return await story(page, config, address)
        finally:
            await page.close()

    kept = run_async(whole())
    with closing(sqlite3.connect(ledger)) as database:
        found = database.execute("SELECT session, sequence FROM answers ORDER BY sequence").fetchall()
    assert [sequence for _, sequence in found] == list(range(kept)) and kept >= 6
    assert len({session for session, _ in found}) == 1
