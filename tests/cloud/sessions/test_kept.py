"""What a stream leaves in the ledger beside its answers, and what becomes of its inputs while that can't be written."""

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.ledger.notes import read_audits, read_journal
from infilink.cloud.ledger.query import Wanted, find_results
from infilink.protos import edge_pb2

from ..messages import an_input, local_output
from .test_stream import talk


def test_each_result_is_kept_with_its_picture_its_classes_and_why_its_model_ran(serve: Callable, links: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        answers = await talk(
            coordinator, *(an_input(index, 20 + 200 * (index % 2), audit=index > 2) for index in range(6))
        )
        with coordinator.ledger.database.read() as connection:
            found = list(find_results(connection, Wanted()))
            audits = read_audits(connection, (), (), None, None)
        assert [each.sequence for each in found[::3]] == list(range(6))
        assert {(each.width, each.height, each.captured_ns) for each in found[:3]} == {(16, 16, 0)}
        sent = [output for answer in answers for output in answer.result.outputs]
        assert [each.output for each in found] == sent
        ran = [each for each in found if each.origin == "executed"]
        assert ran and all(each.why == "audit" or each.why.startswith("worth ") for each in ran)
        assert {each.why for each in found if each not in ran} <= {""}
        assert {each.classes for each in found if each.model == "light"} <= {("dark",), ("bright",)}
        assert sum(row.audits for row in audits) == sum(each.why == "audit" for each in ran) > 0
        assert all(0.0 <= row.agreed <= 1.0 for row in audits)

    serve(story, links=links, answers="links", budget="150MiB", answer_within_s=60.0)


def test_what_ran_on_the_device_is_kept_as_its_own(serve: Callable, links: Path, tiny_models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        digest = coordinator.repository.digests["bright"]
        output = local_output("bright", digest, np.asarray([70.0], np.float32))
        await talk(coordinator, an_input(0, outputs=[output]), local={"bright": digest})
        with coordinator.ledger.database.read() as connection:
            (found,) = find_results(connection, Wanted(origins=("local",)))
        assert (found.model, found.value[0], found.confidence, found.trusted) == ("bright", 70.0, 1.0, True)

    serve(story, links=links, answers="links", budget="150MiB")


def test_the_plan_and_each_load_stand_in_the_journal(serve: Callable, links: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        await talk(coordinator, an_input(0))
        await coordinator.ledger.tidy()
        with coordinator.ledger.database.read() as connection:
            rows = read_journal(connection, ("plan", "load"), (), (), None, None, newest=20)
        loads = {row.model: row.text for row in rows if row.kind == "load"}
        assert set(coordinator.initial.plan.resident) <= set(loads) and all(loads.values())
        (plan,) = (row for row in rows if row.kind == "plan")
        assert plan.text.startswith("loaded: ") and '"resident"' in plan.data

    serve(story, links=links, answers="links", budget="150MiB")


@pytest.mark.parametrize("full_disk", ["refuse", "answer"])
def test_while_the_disk_is_full_inputs_are_refused_or_answered_and_then_kept_again(
    serve: Callable, tiny_models: Path, full_disk: str, tmp_path: Path
) -> None:
    async def story(coordinator: Coordinator) -> None:
        coordinator.ledger.retry_s = 0.001
        (first,) = await talk(coordinator, an_input(0))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = max(path.stat().st_size for path in tmp_path.glob("ledger.sqlite*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            answers = await talk(coordinator, *(an_input(index) for index in range(1, 100)))
            (again,) = await talk(coordinator, an_input(0, 200))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert again == first, "what was kept is still there"
        last = answers[-1]
        if full_disk == "refuse":
            assert last.refused.code == edge_pb2.REFUSED_CODE_OVERLOADED and "the disk is full" in last.refused.message
        else:
            assert last.HasField("result") and coordinator.ledger.stats().unkept
        assert len(answers) == 99
        while coordinator.ledger.stats().trouble:
            await asyncio.sleep(0)
        (after,) = await talk(coordinator, an_input(200))
        assert after.HasField("result") and coordinator.ledger.stats().trouble == ""

    serve(story, models=tiny_models, full_disk=full_disk)
