"""A coordinator whose models run on a card: the card's process, whose own memory is taken for the card's."""

import asyncio

import numpy as np
import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.runtime.meter import Reading
from infilink.errors import OutOfMemory
from infilink.models import providers

from .made import write_number

MIB = 2**20
FRAME = np.full((16, 16, 3), 100, np.uint8)


class ProcessMeter:
    """Takes what the card's process takes for what the card does."""

    total_bytes = 2**30
    process = None

    def read(self):
        return Reading(whole_bytes=0 if self.process is None else self.process.memory_bytes())


@pytest.fixture
def on_card(tmp_path, monkeypatch):
    """Runs a story with a coordinator whose models `a`, `b` and `c` run on the card, and `host` does not."""
    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: there)
    for at, name in enumerate("abc"):
        write_number(tmp_path / "models" / f"{name}.onnx", at, size_bytes=24 * MIB)
    write_number(tmp_path / "models" / "host.onnx", 9.0)

    def run(story, **settings):
        meter = ProcessMeter()
        values = {
            "models": tmp_path / "models",
            "ledger": tmp_path / "ledger.sqlite",
            "watch_models_s": 0,
            "providers": ["cuda"],
            "model": {"host": {"providers": ["cpu"]}},
            "reserve": {"cuda": "32MiB"},
            **settings,
        }

        async def whole():
            site = Coordinator(CloudConfig.model_validate(values), meters={"cuda:0": meter})
            meter.process = site.machine.cards["cuda:0"].process
            try:
                await site.start()
                await story(site)
            finally:
                await site.close()

        asyncio.run(whole())

    return run


async def says(site, name):
    return float((await site.pool.queue.run(name, FRAME)).value[0])


def test_models_on_a_card_share_its_process_and_its_budget(on_card):
    async def story(site):
        card = site.machine.cards["cuda:0"]
        assert [await says(site, name) for name in ("a", "b", "c", "host")] == [0.0, 1.0, 2.0, 9.0]
        assert site.workers["a"].pid == site.workers["c"].pid == card.process.pid != site.workers["host"].pid
        assert card.budget.reserved == {"a", "b", "c"} and card.process.models == 3
        assert site.memory.need("host") > 0 and site.memory.need("cuda:0") >= 72 * MIB
        write_number(site.repository.folder / "b.onnx", 5.0, size_bytes=8 * MIB)
        await site.deployments.look()
        await site.deployments.look()
        assert await says(site, "b") == 5.0 and card.budget.need("b") < 16 * MIB and card.process.models == 3

    on_card(story)


def test_what_a_card_has_no_room_for_is_an_error_where_everything_is_to_run(on_card):
    with pytest.raises(OutOfMemory, match="on cuda:0 needs"):
        on_card(None, budget={"cuda:0": "64MiB"})


def test_under_a_schedule_models_take_turns_on_the_card(on_card):
    async def story(site):
        card = site.machine.cards["cuda:0"]
        assert site.machine.main_place("abc") == "cuda:0"
        loaded = site.pool.queue.loaded
        assert "host" in loaded and 1 <= len(loaded - {"host"}) < 3
        (left, *_) = sorted({"a", "b", "c"} - loaded)
        await site.deployments.pin(left)
        assert await says(site, left) == float("abc".index(left)) and await says(site, "host") == 9.0
        assert card.budget.stats().violations == 0 and card.taken_bytes() <= 80 * MIB
        # Loading frees a little of what the process held before.
        assert site.schedule.costs["a"].memory_bytes >= 0.9 * 24 * MIB

    on_card(story, answers="hold", budget={"cuda:0": "80MiB", "host": "1GiB"})
