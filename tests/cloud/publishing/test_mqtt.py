"""Results at a real broker: what Home Assistant is told, what is kept, what is taken back, and the last will."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import pytest
from aiomqtt import Client
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.publishing.home_assistant import discovery_topic
from infilink.cloud.publishing.hub import Hub
from infilink.cloud.publishing.mqtt import MqttPublisher
from infilink.cloud.publishing.settings import MqttConfig
from pydantic import ValidationError

from ..ledger.conftest import ONE_PERSON, answered, output
from ..messages import an_input
from ..sessions.test_stream import talk

HOST, _, PORT = os.environ.get("INFILINK_MQTT", "127.0.0.1:1883").rpartition(":")


@pytest.fixture(scope="module", autouse=True)
def broker() -> None:
    try:
        socket.create_connection((HOST, int(PORT)), timeout=3).close()
    except OSError as error:
        pytest.skip(f"no MQTT broker answers at {HOST}:{PORT} (INFILINK_MQTT names another): {error}")


@pytest.fixture
def config() -> MqttConfig:
    own = uuid4().hex[:12]
    return MqttConfig(
        host=HOST, port=int(PORT), topic=f"tests/{own}", discovery=f"discovery/{own}", classes=("person", "bus")
    )


@asynccontextmanager
async def publishing(config: MqttConfig, hub: Hub, **options) -> AsyncIterator[MqttPublisher]:
    publisher = MqttPublisher(config, hub, retry_s=0.01, **options)
    task = asyncio.create_task(publisher.run())
    try:
        while not hub._subscriptions:
            await asyncio.sleep(0)
        yield publisher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def listening(config: MqttConfig) -> AsyncIterator[asyncio.Queue]:
    """What comes, as (topic, payload, whether it was kept before); what is kept is forgotten in the end."""
    heard: asyncio.Queue = asyncio.Queue()
    async with Client(HOST, int(PORT)) as client:

        async def listen() -> None:
            async for message in client.messages:
                topic = str(message.topic).replace(f"{config.topic}/", "").replace(f"{config.discovery}/", "")
                topics.add(str(message.topic))
                if topic != "marker":
                    heard.put_nowait((topic, message.payload.decode(), message.retain))

        topics: set[str] = set()
        await client.subscribe([(f"{config.topic}/#", 1), (f"{config.discovery}/#", 1)])
        task = asyncio.create_task(listen())
        yield heard
        task.cancel()
        for topic in topics:
            await client.publish(topic, b"", qos=1, retain=True)


def test_what_an_earlier_run_left_of_a_stream_is_taken_back(config):
    async def story():
        async with listening(config) as heard:
            for run in range(2):
                hub = Hub()
                async with publishing(config, hub):
                    gone = {("a/mic/level/state", ""), ("a/level/state", "")} if run else set()
                    assert {(await heard.get())[:2] for _ in gone} == gone
                    assert await heard.get() == ("status", "online", False)
                    if not run:
                        for device in ("a/mic", "a"):
                            hub.publish(answered(1, output("level"), device=device))
                            assert "config" in (await heard.get())[0]
                            assert (await heard.get())[0] == f"{device}/level/state"
                assert (await heard.get())[0] == "status"

    asyncio.run(story())


def test_a_device_is_one_message_with_all_its_sensors_and_each_result_is_kept(config):
    async def story():
        hub = Hub()
        async with listening(config) as heard:
            async with publishing(config, hub) as publisher:
                assert await heard.get() == ("status", "online", False)
                hub.publish(answered(7))
                topic, payload, _ = await heard.get()
                states = [await heard.get() for _ in range(3)]
                assert publisher.deliveries.connected
            told = publisher.deliveries
            assert (told.sent, told.failures, told.dropped, told.waiting) == (3, 0, 0, 0)
            assert await heard.get() == ("status", "offline", False)
            async with Client(HOST, int(PORT)) as late:
                await late.subscribe(f"{config.topic}/camera/+/state")
                kept = {str((await anext(late.messages)).topic) for _ in range(3)}
        own = config.topic.replace("/", "_")
        assert topic == f"device/{own}_camera/config"
        told = json.loads(payload)
        assert told["dev"]["ids"] == [f"{own}_camera"] and told["o"]["name"] == "infilink"
        assert told["availability"] == [{"topic": f"{config.topic}/status"}]
        sensors = told["cmps"]
        assert {(each["p"], each["name"]) for each in sensors.values()} == {
            ("sensor", "detector"),
            ("sensor", "scene"),
            ("sensor", "level"),
            ("binary_sensor", "person (detector)"),
        }
        assert all(name == each["unique_id"] for name, each in sensors.items())
        assert sensors[f"{own}_camera_scene"]["options"] == ["day", "night"]
        assert 'classes.get("person", 0)' in sensors[f"{own}_camera_detector_person"]["value_template"]
        found = {topic: json.loads(payload) for topic, payload, _ in states}
        assert found["camera/detector/state"]["state"] == 1
        assert found["camera/detector/state"]["classes"] == {"person": 1}
        assert found["camera/scene/state"] == {
            "state": "night",
            "classes": {"night": 1},
            "origin": "executed",
            "confidence": 1.0,
            "trusted": True,
            "sequence": 7,
            "answered": found["camera/level/state"]["answered"],
        }
        assert found["camera/level/state"]["state"] == 3.5
        assert kept == {f"{config.topic}/camera/{name}/state" for name in ("detector", "scene", "level")}

    asyncio.run(story())


def test_what_did_not_change_is_told_again_only_now_and_then(config):
    async def story():
        hub, now = Hub(), [0.0]
        async with listening(config) as heard, publishing(config, hub, clock=lambda: now[0]):
            for sequence, boxes in enumerate((ONE_PERSON, ONE_PERSON, ONE_PERSON[:0])):
                hub.publish(answered(sequence, output("detector", boxes)))
            found = [await heard.get() for _ in range(4)][2:]
            assert [json.loads(payload)["sequence"] for _, payload, _ in found] == [0, 2]
            now[0] += 60
            hub.publish(answered(3, output("detector", ONE_PERSON[:0])))
            _, payload, _ = await heard.get()
            assert json.loads(payload)["sequence"] == 3

    asyncio.run(story())


def test_a_stream_of_a_device_is_no_other_device(config):
    assert len({discovery_topic(config, device) for device in ("door/yard", "door_yard", "door.yard")}) == 3


def test_what_an_earlier_run_left_is_taken_back_at_the_start(config):
    async def story():
        async with Client(HOST, int(PORT)) as client:
            await client.publish(f"{config.topic}/old/scene/state", "night", qos=1, retain=True)
            await client.publish(f"{config.topic}/old/yard/scene/state", "day", qos=1, retain=True)
            await client.publish(f"{config.topic}/other", "not ours", qos=1, retain=True)
        async with listening(config) as heard:
            assert {await heard.get() for _ in range(3)} == {
                ("old/scene/state", "night", True),
                ("old/yard/scene/state", "day", True),
                ("other", "not ours", True),
            }
            async with publishing(config, Hub()):
                taken_back = {await heard.get() for _ in range(2)}
                assert taken_back == {("old/scene/state", "", False), ("old/yard/scene/state", "", False)}
                assert await heard.get() == ("status", "online", False)

    asyncio.run(story())


class Relay:
    """Between a client and the broker, in threads of its own; `cut` breaks what goes through it."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with self._listening, suppress(OSError):
            while True:
                near, far = self._listening.accept()[0], socket.create_connection((HOST, int(PORT)))
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._pump, args=ends))
                    self._threads[-1].start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with source, suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)


def test_a_lost_connection_leaves_the_last_will_and_is_made_again(config, caplog):
    caplog.set_level("INFO")
    relay = Relay()

    async def story():
        through = config.model_copy(update={"host": "127.0.0.1", "port": relay.port})
        hub = Hub()
        async with listening(config) as heard, publishing(through, hub):
            assert await heard.get() == ("status", "online", False)
            hub.publish(answered(1, output("scene")))
            assert (await heard.get())[0].startswith("device/") and (await heard.get())[0] == "camera/scene/state"
            relay.cut()
            assert await heard.get() == ("status", "offline", False)
            seen = [await heard.get() for _ in range(2)]
            assert seen == [("camera/scene/state", "", False), ("status", "online", False)]
            while not hub._subscriptions:
                await asyncio.sleep(0)
            hub.publish(answered(3, output("scene")))
            assert (await heard.get())[0].startswith("device/")
            assert json.loads((await heard.get())[1])["sequence"] == 3

    try:
        asyncio.run(asyncio.wait_for(story(), 60))
    finally:
        relay.close()
    told = [record for record in caplog.records if record.name.endswith("publishing.mqtt")]
    assert sum("connected to" in record.getMessage() for record in told) == 2
    assert sum(record.levelname == "WARNING" for record in told) == 1


@pytest.mark.parametrize(
    "wrong", [{"topic": "a/#"}, {"topic": ""}, {"topic": "/a"}, {"port": 0}, {"host": ""}, {"every_s": 0}, {"qos": 1}]
)
def test_a_table_that_can_not_be_meant_is_refused(wrong):
    with pytest.raises(ValidationError):
        MqttConfig(**{"host": "broker", **wrong})


def test_a_coordinator_publishes_where_its_configuration_says(serve, config, tiny_models):
    async def story(coordinator: Coordinator) -> None:
        async with listening(config) as heard:
            while not coordinator.hub._subscriptions:
                await asyncio.sleep(0)
            await talk(coordinator, an_input(4, 200))
            topic = ""
            while topic != "camera/light/state":
                topic, payload, _ = await heard.get()
            assert json.loads(payload)["state"] == "bright" and json.loads(payload)["sequence"] == 4

    serve(story, models=tiny_models, mqtt=config)
