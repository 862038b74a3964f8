"""Publishes what models say to an MQTT broker: each model's last result as a kept message, and whether this runs."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from aiomqtt import Client, MqttError, Will

from ...models.spec import ModelSpec
from ...protos import edge_pb2
from ...settings import is_loopback
from ..ledger.viewer_time import iso_utc
from .deliveries import Deliveries
from .home_assistant import discovery_message, discovery_topic, state_topic
from .hub import Hub, News, Selection, Subscription
from .settings import MqttConfig
from .summary import SUMMED_UP, summary_of

logger = logging.getLogger(__name__)

_FIRST_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
_ANSWERS_WITHIN_S = 10.0
_MOST_DEVICES = 1000
_LONGEST_STATE = 255
"""Home Assistant takes no longer ones."""
_ORIGINS = {number: name.removeprefix("ORIGIN_").lower() for name, number in edge_pb2.Origin.items()}


class MqttPublisher:
    """Publishes to one broker, and connects again when it is lost.

    What changed is published at once, everything else again each `every_s`. A broker that was away is told of what
    comes when it is back, not of all that it missed: what is published is how things stand.

    Args:
        config: the broker, and what it is told.
        hub: where results come from.
        clock: seconds that do not go back.
        retry_s: how long to wait before the first try to connect again.

    Attributes:
        deliveries: what became of the results.
    """

    def __init__(
        self,
        config: MqttConfig,
        hub: Hub,
        *,
        clock: Callable[[], float] = time.monotonic,
        retry_s: float = _FIRST_RETRY_S,
    ) -> None:
        self.config = config
        self.hub = hub
        self.clock = clock
        self.retry_s = retry_s
        self.deliveries = Deliveries()
        self._said: dict[tuple[str, str], tuple[str, float]] = {}
        self._specs: dict[str, dict[str, ModelSpec]] = {}

    async def run(self) -> None:
        """Publishes until cancelled."""
        config, wait_s, told = self.config, self.retry_s, False
        where = f"{config.host}:{config.port}"
        if config.password is not None and not config.tls and not is_loopback(where):
            logger.warning("mqtt: the password for %s travels in the clear: set `tls = true` in [mqtt]", where)
        while True:
            try:
                await self._serve()
                return
            except (MqttError, OSError, TimeoutError, ValueError) as error:
                self.deliveries.failures += 1
                if self.deliveries.connected:
                    self.deliveries.connected, wait_s, told = False, self.retry_s, False
                if not told:
                    logger.warning("mqtt: %s: %s; tried again until it works", where, error or type(error).__name__)
                told = True
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_RETRY_S)

    async def _serve(self) -> None:
        """Publishes over one connection, until it is lost or the hub is closed."""
        config = self.config
        status = f"{config.topic}/status"
        self._said.clear()
        self._specs.clear()
        async with Client(
            config.host,
            config.port,
            username=config.username,
            password=None if config.password is None else config.password.get_secret_value(),
            tls_context=ssl.create_default_context(cafile=config.tls_ca) if config.tls else None,
            will=Will(status, "offline", qos=1, retain=True),
            timeout=_ANSWERS_WITHIN_S,
        ) as client:
            await self._clear(client)
            await client.publish(status, "online", qos=1, retain=True)
            self.deliveries.connected = True
            logger.info("mqtt: connected to %s:%d", config.host, config.port)
            subscription = self.hub.subscribe(Selection(config.devices, config.models))
            self.deliveries.begin(subscription)
            tasks = asyncio.create_task(self._publish_all(client, subscription)), asyncio.create_task(_watch(client))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self.deliveries.end()
                self.hub.leave(subscription)
                # Who leaves in order has no last will.
                with suppress(MqttError, TimeoutError):
                    await client.publish(status, "offline", qos=1, retain=True)

    async def _publish_all(self, client: Client, subscription: Subscription) -> None:
        while (news := await subscription.next()) is not None:
            await self._publish(client, news)

    async def _clear(self, client: Client) -> None:
        """Takes back what an earlier run left: what it saw last is not how things stand."""
        marker = f"{self.config.topic}/marker"
        # Of devices, and of streams: DEVICE/STREAM.
        ours = [f"{self.config.topic}/{levels}/state" for levels in ("+/+", "+/+/+")]
        number = uuid4().hex
        await client.subscribe([*((each, 1) for each in ours), (marker, 1)])
        await client.publish(marker, number, qos=1)
        left: list[str] = []
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                async for message in client.messages:
                    if message.topic.matches(marker) and message.payload == number.encode():
                        break
                    if message.retain and any(message.topic.matches(each) for each in ours):
                        left.append(str(message.topic))
        except TimeoutError:
            logger.warning("mqtt: %s may not be read: what an earlier run left there stays", " and ".join(ours))
        await client.unsubscribe([*ours, marker])
        for topic in left:
            await client.publish(topic, b"", qos=1, retain=True)

    async def _publish(self, client: Client, news: News) -> None:
        device = news.message.device
        if len(self._specs) >= _MOST_DEVICES and device not in self._specs:
            return
        known = self._specs.setdefault(device, {})
        if any(known.get(name) != spec for name, spec in news.specs.items()):
            known |= news.specs
            if self.config.discovery:
                told = json.dumps(discovery_message(self.config, device, known))
                await client.publish(discovery_topic(self.config, device), told, qos=1, retain=True)
        now_s = self.clock()
        for output in news.message.outputs:
            spec = news.specs.get(output.model)
            if spec is None or spec.output.kind not in SUMMED_UP:
                continue
            summary = summary_of(output, spec)
            of, text = (device, output.model), json.dumps(summary)
            said, at_s = self._said.get(of, ("", 0.0))
            if said == text and now_s - at_s < self.config.every_s:
                continue
            payload = json.dumps(_short(summary) | _details(news, output), ensure_ascii=False)
            await client.publish(state_topic(self.config, device, output.model), payload, qos=1, retain=True)
            self.deliveries.sent += 1
            self._said[of] = (text, now_s)


async def _watch(client: Client) -> None:
    """Ends with an error when the connection is lost, also while there is nothing to publish."""
    async for _ in client.messages:
        pass


def _short(summary: dict[str, Any]) -> dict[str, Any]:
    state = summary["state"]
    too_long = isinstance(state, str) and len(state) > _LONGEST_STATE
    return summary | {"state": f"{state[: _LONGEST_STATE - 3]}..."} if too_long else summary


def _details(news: News, output: edge_pb2.Output) -> dict[str, Any]:
    return {
        "origin": _ORIGINS.get(output.origin, ""),
        "confidence": round(output.confidence, 4),
        "trusted": output.trusted,
        "sequence": news.message.sequence,
        "answered": iso_utc(news.message.answered_us),
    }
