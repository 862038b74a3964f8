"""The coordinator, mostly without a network: it starts by its plan, knows its devices, and ends in order."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.runtime.meter import Reading
from infilink.cloud.services.edge import EdgeService
from infilink.cloud.services.inference import InferenceService
from infilink.cloud.sessions.session import REQUESTS, SessionKey
from infilink.cloud.telemetry import status_reply
from infilink.errors import InvalidInput, Overloaded, UnknownModel
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos import open_inference_pb2_grpc as pb_grpc

from .asking import asking, picture
from .messages import hello

DARK, BRIGHT = np.asarray([0.9, 0.1], np.float32), np.asarray([0.1, 0.9], np.float32)
TURNS = {"answers": "links", "budget": "75MiB"}


class Connected:
    """A connection that remembers whether it was stopped."""

    stopped = False
    waiting = 0

    def stop(self) -> None:
        self.stopped = True


def test_residents_are_loaded_and_measured_at_the_start_and_gone_at_the_end(serve: Callable) -> None:
    pids = []

    async def story(coordinator: Coordinator) -> None:
        pids.extend(worker.pid for worker in coordinator.workers.values())
        stats = coordinator.memory.stats()
        assert stats.samples >= 3 and stats.peak_bytes >= stats.memory_bytes > 3 * 2**20
        assert {worker.stats().state for worker in coordinator.workers.values()} == {"loaded"}

    serve(story)
    assert len(pids) == 3 and not any(map(psutil.pid_exists, pids))


def test_a_site_begins_with_the_plan_and_its_budgets(serve: Callable, links: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        assert coordinator.schedule is not None and coordinator.schedule.compute_cores == 0.5
        assert coordinator.initial.host_bytes == 75 * 2**20
        assert coordinator.pool.queue.loaded == set(coordinator.initial.plan.resident)
        stats = coordinator.memory.stats()
        assert stats.memory_bytes <= stats.peak_bytes <= stats.limit_bytes == 75 * 2**20

    serve(story, links=links, compute="0.5", **TURNS)


def test_a_model_that_no_longer_fits_beside_those_that_have_grown_is_left_to_the_schedule(
    serve: Callable, links: Path
) -> None:
    async def story(coordinator: Coordinator) -> None:
        coordinator.memory.sample(Reading({"bright": 150 * 2**20}))
        for name in [*coordinator.pool.queue.loaded]:
            await coordinator.pool.unload(name)
        for name in ("bright", "corner"):
            await coordinator._begin_with(name)
        assert coordinator.pool.queue.loaded == {"bright"}
        assert "but model 'corner' needs" in coordinator.scheduler.why["corner"]

    serve(story, links=links, answers="links", budget="180MiB")


def test_a_device_is_greeted_with_the_models_and_its_plan(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        digest = coordinator.repository.digests["light"]
        welcome = coordinator.welcome(coordinator.open_session(hello(local={"light": digest})))
        assert sorted(welcome.specs) == ["bright", "corner", "light"] and welcome.local == ["light"]
        assert json.loads(welcome.plan)["resident"] == ["bright", "corner", "light"]
        assert welcome.max_in_flight == 5

    serve(story, max_in_flight=5)


def test_a_session_is_one_run_of_a_device_over_all_its_connections(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        first = coordinator.open_session(hello())
        assert coordinator.open_session(hello()) is first
        assert coordinator.open_session(hello(session="2")) is not first
        assert coordinator.open_session(hello(device="other")) is not first
        with pytest.raises(UnknownModel, match="dark"):
            coordinator.open_session(hello(session="3", models=["dark"]))
        with pytest.raises(InvalidInput, match="runs model 'bright' with digest 0"):
            coordinator.open_session(hello(session="3", local={"bright": "0"}))
        assert len(coordinator.sessions) == 3, "one that is refused leaves nothing"

    serve(story)


def test_one_device_too_many_is_refused_until_another_leaves(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        first = coordinator.open_session(hello(device="first"))
        first.connection = Connected()
        with pytest.raises(Overloaded, match=r"places taken: 1 of 1 streams of devices are .* raise `max_devices`"):
            coordinator.open_session(hello(device="second"))
        assert coordinator.open_session(hello(device="first")) is first
        first.connection = None
        coordinator.open_session(hello(device="second"))

    serve(story, max_devices=1)


def test_only_the_newest_sessions_that_ended_are_remembered(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        for device in ("a", "b", "a", "c"):
            coordinator.open_session(hello(device=device))
        assert list(coordinator.sessions) == [SessionKey("a", "1"), SessionKey("c", "1")]

    serve(story, max_devices=1)


def test_stopping_stops_every_connection(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        connected = [Connected(), Connected()]
        for device, connection in zip(("first", "second"), connected, strict=True):
            coordinator.open_session(hello(device=device)).connection = connection
        coordinator.open_session(hello(device="gone"))
        coordinator.stop()
        assert coordinator.stopping and all(connection.stopped for connection in connected)

    serve(story)


def test_a_camera_is_served_by_its_own_links_and_one_that_is_new_by_all_of_them(
    serve: Callable, links: Path, tmp_path: Path
) -> None:
    shutil.copytree(links, tmp_path / "links")
    shutil.copytree(links, tmp_path / "links" / "cameras" / "door")

    async def story(coordinator: Coordinator) -> None:
        graph = coordinator.initial.graph
        assert graph is not None and graph.cameras == ("door",)
        for device in ("door", "yard"):
            session = coordinator.open_session(hello(device=device))
            assert (session.serving.graph is graph) == (device == "yard")
            told = coordinator.stream(session)._notices
            assert told == (
                [] if device == "door" else ["the links know no camera 'yard': it begins with what all of them taught"]
            )

    serve(story, links=tmp_path / "links", **TURNS)


def test_trust_is_shared_by_a_devices_sessions_and_outlives_the_coordinator(serve: Callable, links: Path) -> None:
    async def disagree(coordinator: Coordinator) -> None:
        session = coordinator.open_session(hello())
        for index in range(60):
            session.complete(float(index), {"light": BRIGHT if index % 2 else DARK})
        assert session.serving.live.revoked() == ("light held",)
        assert coordinator.open_session(hello(session="2")).serving.live is session.serving.live

    async def again(coordinator: Coordinator) -> None:
        assert coordinator.open_session(hello(session="3")).serving.live.revoked() == ("light held",)
        assert coordinator.open_session(hello(device="other")).serving.live.revoked() == ()

    serve(disagree, links=links, **TURNS)
    serve(again, links=links, **TURNS)


def test_the_status_has_the_plan_the_memory_and_the_counters(serve: Callable, links: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        session = coordinator.open_session(hello())
        session.connection = Connected()
        coordinator.open_session(hello(device="gone"))
        for name in coordinator.pool.queue.loaded - {"corner"}:
            await coordinator.pool.unload(name)
        if not coordinator.pool.queue.loaded:
            await coordinator.pool.load("corner")
        session.complete(0.0, {"corner": np.zeros((0, 6), np.float32)})
        coordinator.counts.results, coordinator.counts.repeated = 5, 2
        status, plan = status_reply(coordinator), coordinator.initial.plan
        assert [model.name for model in status.models] == ["bright", "corner", "light"]
        assert tuple(status.resident) == plan.resident
        assert status.compute_cores > 0.0 and status.spent_s == 0.0
        counts = {name: (counts.executed, counts.held) for name, counts in status.devices[0].answers.items()}
        assert counts == {"bright": (0, 0), "corner": (1, 0), "light": (0, 0)}
        assert status.budget_bytes == 75 * 2**20 and 0 < status.memory_bytes <= status.peak_bytes
        assert [model.name for model in status.models if model.state == "loaded"] == ["corner"]
        assert (status.inputs, status.refused, status.repeated) == (5, 0, 2)
        assert [(device.name, device.connected) for device in status.devices] == [("camera", True), ("gone", False)]

    serve(story, links=links, **TURNS)


def test_it_may_be_closed_before_it_started_and_twice(serve: Callable, tiny_models: Path, tmp_path: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        other = Coordinator(CloudConfig(models=tiny_models, ledger=tmp_path / "other.sqlite"))
        await other.close()
        await coordinator.close()

    serve(story)


def test_a_model_that_can_not_be_loaded_is_said_at_the_start(serve: Callable, make_model, tmp_path: Path) -> None:
    path = make_model(tmp_path / "models", "bright")
    path.with_suffix(".toml").write_text('[input]\nsize = [16, 16]\n[output]\nkind = "scalar"\n')
    path.write_bytes(b"not a model")

    async def story(coordinator: Coordinator) -> None:
        raise AssertionError("it started")

    with pytest.raises(InvalidInput, match=r"bright\.onnx"):
        serve(story, models=path.parent)


def test_what_was_learned_is_not_read_on_the_event_loop(serve: Callable, links: Path, monkeypatch) -> None:
    """Neither for a device nor for a stream of requests."""

    async def story(coordinator: Coordinator) -> None:
        learned, readers = coordinator.learned, []
        find = learned._find

        def noted(device: str) -> dict[str, bytes]:
            readers.append((device, threading.current_thread()))
            return find(device)

        monkeypatch.setattr(learned, "_find", noted)
        server = grpc.aio.server()
        edge_pb2_grpc.add_EdgeServicer_to_server(EdgeService(coordinator), server)
        InferenceService(coordinator).add_to(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            greeting = edge_pb2.DeviceMessage(hello=hello(device="door"))
            got = [each async for each in edge_pb2_grpc.EdgeStub(channel).Connect(iter([greeting]))]
            asked = asking("bright", picture(), parameters={"stream": "gate"})
            await pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer(asked)
        await server.stop(None)
        assert got[0].HasField("welcome")
        assert [device for device, _ in readers] == ["door", "gate"]
        assert threading.current_thread() not in [thread for _, thread in readers]

    serve(story, links=links, **TURNS)


def test_a_device_has_so_many_streams_at_most_and_others_have_theirs(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        for stream in ("", "a"):
            coordinator.open_session(hello_of("arm", stream)).connection = Connected()
        with pytest.raises(Overloaded, match="places taken: arm has 2 of 2 streams already: raise `max_streams`"):
            coordinator.open_session(hello_of("arm", "b"))
        assert coordinator.open_session(hello_of("arm", "a")).key.name == "arm/a", "one that is there may come again"
        assert coordinator.open_session(hello_of("leg", "b")).key.name == "leg/b"

    serve(story, max_streams=2)


def hello_of(device: str, stream: str) -> edge_pb2.Hello:
    return edge_pb2.Hello(device=device, session="1", stream=stream)


def test_streams_that_requests_invent_are_forgotten_before_devices_that_may_come_back(serve: Callable) -> None:
    async def story(coordinator: Coordinator) -> None:
        coordinator.open_session(hello("door"))
        coordinator.open_session(hello("yard"))
        for number in range(10):
            coordinator.open_session(hello(f"invented-{number}", session=REQUESTS))
        names = [key.device for key in coordinator.sessions]
        assert names == ["door", "yard", "invented-8", "invented-9"]

    serve(story, max_devices=2)
