"""The device's end of the stream: connects, greets, sends, hears the answers, and connects again when it breaks."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import grpc

from ... import __version__
from ...errors import InfilinkError, InvalidInput, Unavailable
from ...protos import edge_pb2, edge_pb2_grpc
from ..config import DeviceConfig
from .outbox import Lane, Outbox

logger = logging.getLogger(__name__)

_BACKOFF_S = (0.1, 5.0)
_REPORT_EVERY_S = 2.0
_CLOSE_TIMEOUT_S = 5.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 256 * 2**20),
    # A new channel must try at once, not wait for the backoff of the one before.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]
# What does not get better by trying again.
_FINAL = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Uplink:
    """Sends inputs and hands back their answers, over as many connections as it takes.

    Args:
        config: where the coordinator is, the window and the policy.
        session: names this run of the device; sequences are unique within it.
        local: the models that run on the device, with their files' digests.
        on_answer: called once for each input's Result or Refused, from the uplink's thread.
        report: asked now and then for the device's own counts.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        session: str,
        local: Mapping[str, str] = MappingProxyType({}),
        on_answer: Callable[[Any], None],
        report: Callable[[], edge_pb2.Report],
    ) -> None:
        self.config = config
        self.session = session
        self.local = dict(local)
        self.on_answer = on_answer
        self.report = report
        self.sent_bytes = 0
        self.received_bytes = 0
        self.connections = 0
        self._outbox = Outbox(config.window, waits=config.policy == "all")
        self._welcome: edge_pb2.Welcome | None = None
        self._greeted = threading.Event()
        self._broken = 0
        self._refusal = ""
        self._call: Any = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> edge_pb2.Welcome:
        """Connects and greets.

        Raises:
            Unavailable: nobody answers within `connect_timeout_s`, or the coordinator does not want this device.
        """
        self._thread.start()
        self._greeted.wait(self.config.connect_timeout_s)
        if self._outbox.failure is not None:
            raise self._outbox.failure
        if self._welcome is None:
            raise Unavailable(
                f"nobody answers at {self.config.coordinator}{self._refusal}: start it with "
                "`infilink cloud --config cloud.toml`, or correct `coordinator`"
            )
        return self._welcome

    def offer(self, message: edge_pb2.Input, stopped: threading.Event) -> list[int]:
        """Takes an input to be sent; returns the sequences it takes the place of.

        Policy "all" waits for room in the window, "latest" never waits: the newest replaces the one that waits.
        """
        return self._outbox.offer(message, stopped)

    def finish(self) -> None:
        """Waits until everything is answered.

        Raises:
            Unavailable: no answer came for `answer_timeout_s`.
        """
        self._outbox.drain(self.config.answer_timeout_s)

    def close(self) -> None:
        """Says goodbye and ends; closing twice is fine."""
        self._outbox.finish()
        if self._thread.is_alive() and self._greeted.is_set():
            self._thread.join(_CLOSE_TIMEOUT_S)
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        """The thread's whole life: one connection after another until told to finish."""
        wait_s = _BACKOFF_S[0]
        while self._outbox.failure is None:
            before = self.connections
            try:
                self._converse()
            except grpc.RpcError as error:
                self._note(error)
            except InfilinkError as error:
                self._fail(error)
            except Exception as error:
                logger.exception("the uplink failed")
                self._fail(InfilinkError(f"the uplink failed: {error!r}"))
            wait_s = _BACKOFF_S[0] if self.connections > before else min(wait_s * 2, _BACKOFF_S[1])
            if self._outbox.finishing or self._closed.wait(wait_s * random.uniform(0.5, 1.0)):
                return

    def _converse(self) -> None:
        """One connection, from Hello to its end."""
        lane = self._outbox.open_lane()
        metadata = [("authorization", f"Bearer {self.config.token}")] if self.config.token else []
        try:
            with self._channel() as channel:
                stub = edge_pb2_grpc.EdgeStub(channel)  # type: ignore[no-untyped-call]
                self._call = stub.Connect(self._requests(lane), metadata=metadata)
                for message in self._call:
                    self._handle(lane, message)
        finally:
            self._outbox.close_lane(lane)

    def _channel(self) -> Any:
        target = self.config.coordinator
        if self.config.tls_ca is None:
            return grpc.insecure_channel(target, _OPTIONS)
        try:
            trusted = self.config.tls_ca.read_bytes()
        except OSError as error:
            raise InvalidInput(f"tls_ca: {self.config.tls_ca} can't be read: {error.strerror}") from error
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(trusted), _OPTIONS)

    def _requests(self, lane: Lane) -> Iterator[edge_pb2.DeviceMessage]:
        """What goes out on one connection; runs in a thread of gRPC's."""
        hello = edge_pb2.Hello(
            device=self.config.name,
            version=__version__,
            session=self.session,
            local=self.local,
            device_class=self.config.device_class,
        )
        yield self._count(edge_pb2.DeviceMessage(hello=hello))
        reported = time.monotonic()
        while not lane.ended:
            message = self._outbox.take(lane, _REPORT_EVERY_S)
            if message is not None:
                yield self._count(edge_pb2.DeviceMessage(input=message))
            done = message is None and self._outbox.finishing
            if done or time.monotonic() - reported >= _REPORT_EVERY_S:
                reported = time.monotonic()
                yield self._count(edge_pb2.DeviceMessage(report=self.report()))
            if done:
                return

    def _count(self, message: edge_pb2.DeviceMessage) -> edge_pb2.DeviceMessage:
        self.sent_bytes += message.ByteSize()
        return message

    def _handle(self, lane: Lane, message: edge_pb2.CoordinatorMessage) -> None:
        self.received_bytes += message.ByteSize()
        kind = message.WhichOneof("message")
        if kind == "welcome":
            self.connections += 1
            self._welcome = message.welcome
            self._outbox.open_window(lane, message.welcome.max_in_flight)
            self._greeted.set()
            logger.info("connected to %s", self.config.coordinator)
        elif kind is not None:
            answer = message.result if kind == "result" else message.refused
            if self._outbox.is_open(answer.sequence):
                self.on_answer(answer)
            self._outbox.answered(lane, answer.sequence)

    def _note(self, error: Any) -> None:
        """A connection that broke: remembered, and given up when trying again is no use."""
        code, details = error.code(), " ".join(str(error.details() or "").split())[:300]
        if code == grpc.StatusCode.UNIMPLEMENTED:
            details = "what listens there is not an infilink coordinator"
        if code in _FINAL:
            kind = InvalidInput if code == grpc.StatusCode.INVALID_ARGUMENT else Unavailable
            self._fail(kind(f"{self.config.coordinator}: {details}"))
        elif self.connections > self._broken and not self._outbox.finishing:
            self._broken = self.connections
            logger.warning("the connection to %s broke (%s); trying again", self.config.coordinator, code.name)
        elif code != grpc.StatusCode.UNAVAILABLE:
            self._refusal = f" ({code.name}: {details})"

    def _fail(self, error: InfilinkError) -> None:
        self._outbox.fail(error)
        self._greeted.set()
