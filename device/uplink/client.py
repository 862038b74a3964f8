"""The device's end of the stream to the coordinator: connects, sends, receives the answers, and connects again."""

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
from ...models.inputs.form import PICTURES, InputForm
from ...protos import edge_pb2, edge_pb2_grpc, wire
from ...protos.channel import KEEPALIVE, open_channel
from ...protos.reach import NOTHING_LISTENS, why_unreachable
from ...settings import is_loopback
from ..config import DeviceConfig
from ..stream_log import thread_name
from .outbox import ConnectionWindow, Outbox

logger = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 5.0
_WAKE_S = 0.2
_OPTIONS = [
    ("grpc.max_receive_message_length", 256 * 2**20),
    # A new channel must try at once, not wait for the backoff of the one before.
    ("grpc.use_local_subchannel_pool", 1),
    *KEEPALIVE,
]
# Errors that another attempt would only repeat.
_FINAL = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
# How gRPC itself begins when it can't connect to an address, whatever the reason.
_NOBODY = "failed to connect to all addresses"
_LOOKS_WITHIN_S = 2.0


class Uplink:
    """Sends inputs and hands over their answers, over as many connections as it takes.

    Args:
        config: where the coordinator is, the window and the queue.
        session: names this run of the stream; an input's sequence is unique within it.
        stream: the stream's name; empty: the device's only one.
        form: what its inputs are.
        local: the models that run on the device, with their files' digests.
        stem: the digest of the stem whose features are to travel instead of frames; empty: frames travel.
        on_answer: called once for each input's Result or Refused, from the uplink's thread.
        report: called now and then for the device's own counts.
        on_welcome: called with what the coordinator says of itself on each connection after the first; what it raises
            ends the uplink.
        on_want: called for the frame of an input that the coordinator asks for, as a JPEG; empty: it is gone.
        report_every_s: how often that is.
        clock_ns: Unix time, which the coordinator's is compared with.
        backoff_s: the shortest and the longest wait before connecting again; it doubles with each failure.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        session: str,
        stream: str = "",
        form: InputForm = PICTURES,
        local: Mapping[str, str] = MappingProxyType({}),
        stem: str = "",
        on_answer: Callable[[Any], None],
        report: Callable[[], edge_pb2.Report],
        on_welcome: Callable[[edge_pb2.Welcome], None] = lambda welcome: None,
        on_want: Callable[[int], bytes] = lambda sequence: b"",
        report_every_s: float = 2.0,
        backoff_s: tuple[float, float] = (0.1, 5.0),
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config
        self.session = session
        self.stream = stream
        self.form = form
        self.local = dict(local)
        self.stem = stem
        self.on_answer = on_answer
        self.report = report
        self.on_welcome = on_welcome
        self.on_want = on_want
        self.report_every_s = report_every_s
        self.backoff_s = backoff_s
        self.sent_bytes = 0
        self.received_bytes = 0
        self.connections = 0
        self.clock_behind_s = 0.0
        self.clock_ns = clock_ns
        self._hello_ns = 0
        self._outbox = Outbox(config.window, waits=config.queue == "all")
        self._welcome: edge_pb2.Welcome | None = None
        self._settled = threading.Event()
        self._reported_break = 0
        self._reason = ""
        self._call: Any = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=thread_name("uplink", stream), daemon=True)

    def start(self) -> edge_pb2.Welcome:
        """Connects; returns what the coordinator says of itself.

        Raises:
            Unavailable: nobody answers within `connect_timeout_s`, TLS fails, or the coordinator refuses this device.
            InvalidInput: the coordinator can't use what this device says of itself, or `tls_ca` can't be read.
        """
        self._tell_exposed()
        self._thread.start()
        until_s = time.monotonic() + self.config.connect_timeout_s
        # In short turns: Ctrl-C that the system gives to another thread does not wake this one.
        while not self._settled.wait(_WAKE_S) and time.monotonic() < until_s:
            pass
        if self._outbox.failure is not None:
            raise self._outbox.failure
        if self._welcome is None:
            reason = self._reason or self._why()
            if reason:
                raise Unavailable(f"the coordinator at {self.config.coordinator} takes no connection: {reason}")
            raise Unavailable(
                f"nobody answers at {self.config.coordinator}: start it with `infilink cloud --config cloud.toml`, or "
                "correct `coordinator`"
            )
        return self._welcome

    def offer(self, message: edge_pb2.Input, stopped: threading.Event) -> list[int]:
        """Takes an input to be sent; returns the sequences of those that it replaced.

        Queue "all" waits for room in the window until `stopped` is set; "latest" never waits: the newest input replaces
        the one that is held back.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        return self._outbox.offer(message, stopped)

    def finish(self) -> None:
        """Waits until everything is answered.

        Raises:
            Unavailable: no answer came for `answer_timeout_s`.
            InfilinkError: nothing more can be sent.
        """
        self._outbox.drain(self.config.answer_timeout_s)

    def close(self) -> None:
        """Sends a last report and ends the connection, and a `start` that still waits; closing twice is fine."""
        self._outbox.finish()
        if self._thread.is_alive() and self._settled.is_set():
            self._thread.join(_CLOSE_TIMEOUT_S)
        self._closed.set()
        self._settled.set()
        if self._call is not None:
            self._call.cancel()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        """Makes one connection after another until nothing more can be sent, or is to be; the thread's whole life."""
        shortest_s, longest_s = self.backoff_s
        wait_s = shortest_s
        while self._outbox.failure is None:
            before = self.connections
            try:
                self._converse()
            except grpc.RpcError as error:
                self._take_error(error)
            except InfilinkError as error:
                self._fail(error)
            except Exception as error:
                logger.exception("the uplink failed")
                self._fail(InfilinkError(f"the uplink failed: {error!r}"))
            wait_s = shortest_s if self.connections > before else min(wait_s * 2, longest_s)
            if self._outbox.finishing or self._closed.wait(wait_s * random.uniform(0.5, 1.0)):
                return

    def _converse(self) -> None:
        """One connection, from Hello to its end."""
        connection = self._outbox.open_connection()
        metadata = [("authorization", f"Bearer {self.config.token}")] if self.config.token else []
        try:
            config = self.config
            tls = {"tls_ca": config.tls_ca, "tls_cert": config.tls_cert, "tls_key": config.tls_key}
            with open_channel(config.coordinator, **tls, options=_OPTIONS) as channel:
                stub = edge_pb2_grpc.EdgeStub(channel)  # type: ignore[no-untyped-call]
                self._call = stub.Connect(self._requests(connection), metadata=metadata)
                if self._closed.is_set():
                    self._call.cancel()
                for message in self._call:
                    self._receive(connection, message)
        finally:
            self._outbox.close_connection(connection)

    def _requests(self, connection: ConnectionWindow) -> Iterator[edge_pb2.DeviceMessage]:
        """The messages that go out on one connection; runs in a thread of gRPC's."""
        hello = edge_pb2.Hello(
            device=self.config.name,
            version=__version__,
            session=self.session,
            local=self.local,
            device_class=self.config.device_class,
            stem=self.stem,
            stream=self.stream,
            form="" if self.form == PICTURES else self.form.model_dump_json(exclude_defaults=True),
            wire=wire.NEWEST,
            wire_oldest=wire.OLDEST,
        )
        self._hello_ns = self.clock_ns()
        yield self._count(edge_pb2.DeviceMessage(hello=hello))
        reported = time.monotonic()
        while not connection.closed:
            message = self._outbox.take(connection, self.report_every_s)
            if isinstance(message, edge_pb2.Frame):
                yield self._count(edge_pb2.DeviceMessage(frame=message))
            elif message is not None:
                yield self._count(edge_pb2.DeviceMessage(input=message))
            done = message is None and self._outbox.finishing
            if done or time.monotonic() - reported >= self.report_every_s:
                reported = time.monotonic()
                yield self._count(edge_pb2.DeviceMessage(report=self.report()))
            if done:
                return

    def _count(self, message: edge_pb2.DeviceMessage) -> edge_pb2.DeviceMessage:
        self.sent_bytes += message.ByteSize()
        return message

    def _receive(self, connection: ConnectionWindow, message: edge_pb2.CoordinatorMessage) -> None:
        self.received_bytes += message.ByteSize()
        kind = message.WhichOneof("message")
        if kind == "welcome":
            wire.agree(message.welcome.wire, 0, other=f"the coordinator (infilink {message.welcome.version})")
            self._check_knows_streams(message.welcome)
            self.connections += 1
            if self._welcome is not None:
                self.on_welcome(message.welcome)
            self._welcome = message.welcome
            self._outbox.allow(connection, message.welcome.max_in_flight)
            self._compare_clocks(message.welcome.now_ns)
            self._settled.set()
            logger.info("connected to %s", self.config.coordinator)
        elif kind == "notice":
            logger.warning("%s: %s", self.config.coordinator, message.notice.text)
        elif kind == "pause":
            self._outbox.pause(connection, message.pause.retry_after_s)
        elif kind == "want":
            sequence = message.want.sequence
            jpeg = self.on_want(sequence) if self._outbox.is_unanswered(sequence) else b""
            frame = edge_pb2.Frame(sequence=sequence, encoding=edge_pb2.ENCODING_JPEG, payload=jpeg)
            self._outbox.give_frame(connection, frame)
        elif kind is not None:
            answer = message.result if kind == "result" else message.refused
            if self._outbox.is_unanswered(answer.sequence):
                self.on_answer(answer)
            self._outbox.answered(connection, answer.sequence)

    def _check_knows_streams(self, welcome: edge_pb2.Welcome) -> None:
        """A coordinator of before would take these inputs for the pictures of the device's only stream.

        Raises:
            InvalidInput: it is one.
        """
        if welcome.modalities or (not self.stream and self.form == PICTURES):
            return
        what = f"inputs of {self.form.modality}" if self.form != PICTURES else f"stream {self.stream!r}"
        raise InvalidInput(
            f"the coordinator at {self.config.coordinator} (infilink {welcome.version}) takes one stream of pictures a "
            f"device, not {what}: install the same version on both, the coordinator's first"
        )

    def _compare_clocks(self, theirs_ns: int) -> None:
        """Warns, once, of a clock by which deadlines mean nothing; `theirs_ns` was read after Hello and before now."""
        if not theirs_ns or not self.config.deadline_s or self.clock_behind_s:
            return
        behind_s = (max(0, theirs_ns - self.clock_ns()) - max(0, self._hello_ns - theirs_ns)) / 1e9
        if abs(behind_s) > self.config.deadline_s / 2:
            self.clock_behind_s = behind_s
            logger.warning(
                "this device's clock is %.1f s %s that of %s: with deadline_s = %g %s; set both clocks (NTP), or leave "
                "deadline_s out",
                abs(behind_s),
                "behind" if behind_s > 0 else "ahead of",
                self.config.coordinator,
                self.config.deadline_s,
                "its inputs are refused as late" if behind_s > 0 else "its late inputs are not refused",
            )

    def _take_error(self, error: Any) -> None:
        """A connection broke: decides whether to try again, and keeps the reason for whoever waits for the first."""
        if self._closed.is_set():
            return
        code, details = error.code(), " ".join(str(error.details() or "").split())[:300]
        if code == grpc.StatusCode.UNIMPLEMENTED:
            details = "what listens there is not an infilink coordinator"
        if code in _FINAL:
            kind = InvalidInput if code == grpc.StatusCode.INVALID_ARGUMENT else Unavailable
            self._fail(kind(f"{self.config.coordinator}: {details}"))
        elif self.connections > self._reported_break and not self._outbox.finishing:
            self._reported_break = self.connections
            logger.warning("the connection to %s broke (%s); trying again", self.config.coordinator, code.name)
        else:
            reason = self._why() if details.startswith(_NOBODY) else f"{details} ({code.name})"
            if reason not in ("", self._reason) and self.connections:
                logger.warning("can't connect to %s again: %s", self.config.coordinator, reason)
            self._reason = reason

    def _why(self) -> str:
        """What keeps this device from the coordinator; empty where nobody is there, or nothing can be seen."""
        config = self.config
        tls = {"tls_ca": config.tls_ca, "tls_cert": config.tls_cert, "tls_key": config.tls_key}
        reason = why_unreachable(config.coordinator, **tls, timeout_s=_LOOKS_WITHIN_S)
        return "" if reason == NOTHING_LISTENS else reason

    def _tell_exposed(self) -> None:
        """Says what others could read: a token that travels as it is, a key that is not this user's alone."""
        config = self.config
        if config.token and config.tls_ca is None and not is_loopback(config.coordinator):
            logger.warning("the token travels to %s without TLS: all on the way can read it", config.coordinator)
        if config.tls_key is not None and config.tls_key.exists() and config.tls_key.stat().st_mode & 0o077:
            logger.warning("%s: others on this machine can read the key: `chmod 600` it", config.tls_key)

    def _fail(self, error: InfilinkError) -> None:
        self._outbox.fail(error)
        self._settled.set()
