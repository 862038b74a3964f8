"""What strangers send, by a seed: no traceback, no stream that hangs, and a healthy device is served meanwhile."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.security.guard import Guard
from infilink.cloud.security.message_size import CHECKS
from infilink.cloud.services.edge import EdgeService
from infilink.protos import edge_pb2_grpc

from ..bench.cloud.mutations import Mutations
from ..bench.cloud.strangers import Healthy, bad_ends, drive, serve_healthy
from ..cloud.conftest import links, run_async, serve  # noqa: F401
from ..kinds import KINDS, write_models

STREAMS = {
    of.form.model_dump_json(): [way for level in of.inputs for way in of.ways(level)]
    for kind, of in KINDS.items()
    if kind != "image"
}


@pytest.mark.parametrize("answers", ["full", "links"])
def test_what_strangers_send_harms_nobody(serve: Callable, links: Path, caplog, answers: str) -> None:  # noqa: F811
    """A hundred messages each; `tests/bench/cloud/fuzz_wire.py` sends 50,000 to a process of its own."""
    seen = Healthy()

    async def story(coordinator: Coordinator) -> None:
        guard = Guard.of(coordinator.config, CHECKS)
        server = grpc.aio.server(interceptors=[guard])
        edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(coordinator), server)
        address, stop = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", asyncio.Event()
        await server.start()
        healthy = asyncio.create_task(serve_healthy(address, seen, stop, session="1"))
        ends = await drive(address, Mutations(7, coordinator.repository.digests), 150, inference=False)
        stop.set()
        await healthy
        await server.stop(None)
        assert not bad_ends(ends) and ends["OK"] > 20 and ends["INVALID_ARGUMENT"] > 20
        assert seen.latencies_s and not seen.wrong

    serve(story, answers=answers, **({"links": links, "budget": "75MiB"} if answers == "links" else {}))
    assert not [record.message for record in caplog.records if record.exc_info]


def test_what_strangers_send_of_other_kinds_harms_nobody(serve: Callable, tmp_path: Path, caplog) -> None:  # noqa: F811
    """Sounds, signals, texts, maps, clips, several at once: changed in the fields and the bytes of their payloads."""
    seen = Healthy()

    async def story(coordinator: Coordinator) -> None:
        server = grpc.aio.server(interceptors=[Guard.of(coordinator.config, CHECKS)])
        edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(coordinator), server)
        address, stop = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", asyncio.Event()
        await server.start()
        healthy = asyncio.create_task(serve_healthy(address, seen, stop, session="1"))
        ends = await drive(address, Mutations(8, coordinator.repository.digests, STREAMS), 150, inference=False)
        stop.set()
        await healthy
        await server.stop(None)
        assert not bad_ends(ends) and ends["OK"] > 20
        assert seen.latencies_s and not seen.wrong

    serve(story, models=write_models(tmp_path / "models"))
    assert not [record.message for record in caplog.records if record.exc_info]
