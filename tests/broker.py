"""An MQTT broker for tests: this machine's, or the one that INFILINK_MQTT names; each test has its own topic."""

import os
import socket
import threading
from typing import Self
from uuid import uuid4

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

HOST, _, PORT = os.environ.get("INFILINK_MQTT", "127.0.0.1:1883").rpartition(":")


def broker_or_skip() -> None:
    """Skips a test where no broker answers."""
    try:
        socket.create_connection((HOST, int(PORT)), timeout=3).close()
    except OSError as error:
        pytest.skip(f"no MQTT broker answers at {HOST}:{PORT} (INFILINK_MQTT names another): {error}")


class Broker:
    """Somebody who publishes to a topic of its own.

    Attributes:
        topic: the topic.
        address: the topic's, as a source.
    """

    def __init__(self) -> None:
        self.topic = f"tests/{uuid4().hex[:12]}/sensor"
        self.address = f"mqtt://{HOST}:{PORT}/{self.topic}"
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._ended = threading.Event()
        self._client.connect(HOST, int(PORT))
        self._client.loop_start()

    def publish(self, payload: bytes, *, retain: bool = False) -> None:
        """Publishes once, and waits until the broker has it."""
        self._client.publish(self.topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def publish_on_and_on(self, payload: bytes) -> None:
        """Publishes again and again until it is closed."""

        def publish() -> None:
            while not self._ended.wait(0.005):
                self._client.publish(self.topic, payload)

        threading.Thread(target=publish, daemon=True).start()

    def close(self) -> None:
        """Leaves the broker."""
        self._ended.set()
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
