"""Messages of a topic at an MQTT broker, as lines: what sensors publish."""

import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from ...errors import InfilinkError, InvalidInput, Unavailable
from ...traces.source_name import without_secrets
from .complaints import Complaints
from .feeds import LONGEST_LINE, ThreadFeed

_ANSWERS_WITHIN_S = 10.0
_ALIVE_EVERY_S = 20


@dataclass(frozen=True)
class Topic:
    """Which messages of which broker.

    Attributes:
        host: the broker's.
        port: the broker's.
        filter: the topics, as MQTT writes them, with + and #.
        tls: whether the connection is encrypted.
        tls_ca: the certificate to trust; None: what the system trusts.
        user: who we are; None: nobody.
        password: the user's.
        qos: how surely each message is to come: 0 at most once, 1 at least once.
    """

    host: str
    port: int
    filter: str
    tls: bool = False
    tls_ca: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    qos: int = 0


def parse_topic(text: str) -> Topic:
    """Reads `mqtt://USER:PASSWORD@HOST:PORT/TOPIC?qos=1`; `mqtts://` is encrypted.

    Raises:
        InvalidInput: it is not written so.
    """
    name = without_secrets(text)
    scheme, _, rest = text.partition("://")
    tls = scheme.lower() == "mqtts"
    rest, _, asked = rest.partition("?")
    place, _, topic = rest.partition("/")
    who, _, where = place.rpartition("@")
    user, colon, password = who.partition(":")
    host, _, port = where.rpartition(":") if where.rpartition(":")[2].isdecimal() else (where, "", "")
    options = dict(parse_qsl(asked, keep_blank_values=True))
    unknown = set(options) - {"qos", "tls_ca"}
    if not host or not topic or unknown or options.get("qos", "0") not in ("0", "1"):
        raise InvalidInput(
            f"{name}: write mqtt://HOST/TOPIC or mqtts://USER:PASSWORD@HOST:PORT/TOPIC?qos=1&tls_ca=FILE"
        )
    return Topic(
        host=host.strip("[]"),
        port=int(port or (8883 if tls else 1883)),
        filter=unquote(topic),
        tls=tls,
        tls_ca=options.get("tls_ca"),
        user=unquote(user) if who else None,
        password=unquote(password) if colon else None,
        qos=int(options.get("qos", "0")),
    )


class MqttFeed(ThreadFeed):
    """Gives each message of a topic as a line, with the time of its arrival.

    What the broker kept from before (a retained message) is left out: it is old, and nobody knows how old.

    Args:
        text: the topic's address.
        complaints: told of messages that are lost or too long.

    Raises:
        InvalidInput: the address is not written so, or the package is missing.
        Unavailable: the broker does not answer, or refuses us.
    """

    def __init__(self, text: str, complaints: Complaints) -> None:
        super().__init__(without_secrets(text), complaints, loses=True)
        self.topic = parse_topic(text)
        self._refused = ""
        self._ready = False
        self._settled = threading.Event()
        self._client = self._connect()

    def close(self) -> None:
        """Leaves the broker."""
        if not self.is_closed:
            super().close()
            self._client.disconnect()
            self._client.loop_stop()

    def _connect(self) -> Any:
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ModuleNotFoundError as error:
            raise InvalidInput(f"{self.name}: needs the package paho-mqtt: pip install 'infilink[mqtt]'") from error
        topic = self.topic
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"infilink-{uuid4().hex[:12]}", protocol=paho.MQTTv5
        )
        if topic.user is not None:
            client.username_pw_set(topic.user, topic.password)
        if topic.tls:
            try:
                client.tls_set_context(ssl.create_default_context(cafile=topic.tls_ca))
            except OSError as error:
                raise InvalidInput(f"{self.name}: `tls_ca` {topic.tls_ca}: can't be read ({error.strerror})") from error
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message, client.on_disconnect = self._on_message, self._on_disconnect
        client.connect_timeout = _ANSWERS_WITHIN_S
        self._client = client
        try:
            # The broker keeps what is longer to itself, so no memory is taken for it.
            client.connect(topic.host, topic.port, keepalive=_ALIVE_EVERY_S, properties=_at_most(paho, LONGEST_LINE))
        except (OSError, ValueError) as error:
            raise Unavailable(f"{self.name}: can't be reached ({error or type(error).__name__})") from error
        client.loop_start()
        return client

    def wait_until_ready(self) -> None:
        """Waits until the broker has said that it sends us the topic.

        Raises:
            Unavailable: it does not.
        """
        self._settled.wait(_ANSWERS_WITHIN_S)
        if not self._ready:
            self.close()
            raise Unavailable(f"{self.name}: {self._refused or 'the broker does not answer'}")

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refuse(f"the broker refuses us ({reason})")
        else:
            client.subscribe(self.topic.filter, qos=self.topic.qos)

    def _on_subscribe(self, _client: Any, _data: Any, _number: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refuse(f"the broker does not let us read {self.topic.filter} ({reasons[0]})")
        self._ready = not self._refused
        self._settled.set()

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        if message.retain:
            return
        if len(message.payload) > LONGEST_LINE:
            self._complaints.add("too long", f"a message is longer than {LONGEST_LINE // 2**20} MiB: it is left out")
            return
        self.put([bytes(message.payload)], time.monotonic())

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self.is_closed:
            self._refuse(f"the broker is gone ({reason})")

    def _refuse(self, why: str) -> None:
        self._refused = self._refused or why
        self._settled.set()
        if self._ready:
            self._ready = False
            self._end_soon(Unavailable(f"{self.name}: {self._refused}"))

    def _end_soon(self, error: InfilinkError) -> None:
        # In paho's thread, which close() waits for: it must not wait itself.
        self.start(lambda: self.end(error))


def _at_most(paho: Any, size_bytes: int) -> Any:
    properties = paho.Properties(paho.PacketTypes.CONNECT)
    properties.MaximumPacketSize = size_bytes + 2**16
    return properties
