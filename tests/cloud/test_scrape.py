"""What Prometheus reads of a real coordinator: at an address of its own, and as a page."""

import asyncio
import re
import urllib.request
from collections.abc import Callable

import pytest
from infilink import __version__
from infilink.cloud import scrape
from infilink.cloud.config import CloudConfig
from infilink.cloud.coordinator import Coordinator
from infilink.protos import edge_pb2
from pydantic import ValidationError

from .ledger.conftest import answered
from .messages import hello


def series(page: bytes) -> dict[str, float]:
    found = (line.rpartition(" ") for line in page.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def test_a_coordinator_is_read_where_it_listens_for_that(serve: Callable, caplog) -> None:
    caplog.set_level("INFO")

    async def story(coordinator: Coordinator) -> None:
        scrape.read_status(coordinator)
        async with scrape.serve_metrics(coordinator, "127.0.0.1:0"):
            address = next(found[1] for text in caplog.messages if (found := re.search(r"(http://\S+)", text)))
            page = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read())
        found = series(page)
        assert found['infilink_model_loaded{model="bright"}'] == 1.0
        assert found['infilink_load_seconds_count{model="bright",reason="plan"}'] == 1.0
        assert found['infilink_memory_bytes{place="host"}'] > 0
        assert found['infilink_memory_budget_bytes{place="host"}'] == 0
        assert found['infilink_inputs_total{outcome="answered"}'] == 0
        assert found['infilink_ledger_trouble{why="full"}'] == 0 and found["infilink_ledger_kept_total"] == 0
        assert found["process_resident_memory_bytes"] > 0

    serve(story)


def test_a_port_that_is_taken_is_named(serve: Callable, caplog) -> None:
    caplog.set_level("INFO")

    async def story(coordinator: Coordinator) -> None:
        async with scrape.serve_metrics(coordinator, "127.0.0.1:0"):
            taken = next(found[1] for text in caplog.messages if (found := re.search(r"http://(\S+)/metrics", text)))
            with pytest.raises(ValueError, match=r"`metrics_listen`"):
                await scrape.serve_metrics(coordinator, taken).__aenter__()

    serve(story)


def test_runs_of_one_name_are_one_device_and_devices_are_bounded(serve: Callable, monkeypatch) -> None:
    async def story(coordinator: Coordinator) -> None:
        scrape.read_status(coordinator)
        for number in range(4):
            session = coordinator.open_session(hello(device=f"yard-{number}", session="1"))
            session.take_report(edge_pb2.Report(frames=10, kept=number))
        again = coordinator.open_session(hello(device="yard-3", session="2"))
        again.take_report(edge_pb2.Report(frames=20, kept=5, audit_error=0.125))
        page, _ = await scrape.render(coordinator)
        found = series(page)
        ratios = {name: value for name, value in found.items() if name.startswith("infilink_device_filtering_ratio")}
        assert sorted(ratios.values()) == [0.75, 0.8, 0.9]
        assert found['infilink_device_filtering_ratio{device="yard-3"}'] == 0.75
        assert found['infilink_device_audit_loss_ratio{device="yard-3"}'] == 0.125
        assert found[f'infilink_device_info{{device="yard-1",version="{__version__}",wire="1"}}'] == 1
        assert found["infilink_devices"] == 0

    monkeypatch.setattr(scrape, "MOST_DEVICES", 3)
    serve(story)


@pytest.mark.parametrize("address", ["0.0.0.0:9420", "[::]:9420", "cloud.example:9420"])
def test_figures_are_read_without_a_token_only_on_the_machine_itself(tmp_path, address: str) -> None:
    with pytest.raises(ValidationError, match="no token is asked for there"):
        CloudConfig(models=tmp_path, metrics_listen=address)
    assert CloudConfig(models=tmp_path, metrics_listen="[::1]:9420").metrics_listen == "[::1]:9420"


def test_what_became_of_what_is_published_is_told(serve: Callable) -> None:
    """Nobody listens where the webhook posts to."""

    async def story(coordinator: Coordinator) -> None:
        scrape.read_status(coordinator)
        while not coordinator.hub._subscriptions:
            await asyncio.sleep(0)
        coordinator.hub.publish(answered(1))
        while not (found := series((await scrape.render(coordinator))[0]))[
            'infilink_publish_dropped_total{to="webhook"}'
        ]:
            await asyncio.sleep(0)
        assert found['infilink_publish_failures_total{to="webhook"}'] == 1
        assert found['infilink_published_total{to="webhook"}'] == found['infilink_publish_waiting{to="webhook"}'] == 0
        assert found['infilink_publish_connected{to="webhook"}'] == 0

    serve(story, webhook={"url": "http://127.0.0.1:1/", "tries": 1})
