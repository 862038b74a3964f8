"""The device's end of the stream to the coordinator: connects, sends, receives the answers, and connects again."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import grpc

from ...codec import JPEG_QUALITY
from ...errors import InfilinkError, InvalidInput, Unavailable
from ...models.inputs.form import PICTURES, InputForm
from ...protos import edge_pb2, edge_pb2_grpc, wire
from ..config import DeviceConfig
from ..stream_log import thread_name
from .answers import Answers
from .chains import ChainStore, SentChains
from .clocks import Clocks
from .connecting import BACKOFF_S, Connecting
from .connection_window import ConnectionWindow
from .filter_fetch import Pieces
from .greeting import Greeting
from .memory_outbox import MemoryOutbox
from .reasons import Reasons, tell_exposed
from .spool import Spool
from .spool_outbox import SpoolOutbox
from .spool_rows import SpoolRow

logger = logging.getLogger(__name__)

OnFilter = Callable[[edge_pb2.WantedFilter, Pieces], None]
_CLOSE_TIMEOUT_S = 5.0
# What came of it by then is kept: the next attempt goes on there.
_FILTER_TIMEOUT_S = 600.0
_WAKE_S = 0.2
# With a spool nobody waits for the coordinator at the start, but where it is there its models are known at once.
_FIRST_TRY_S = 2.0
# After a refusal that another attempt would probably only repeat.
_REFUSED_S = (5.0, 60.0)


class Uplink:
    """Sends inputs and hands over their answers, over as many connections as it takes.

    Args:
        config: where the coordinator is, the window and the queue.
        session: names this run of the stream; an input's sequence is unique within it. A spool has its own.
        stream: the stream's name; empty: the device's only one.
        form: what its inputs are.
        local: the models that run on the device, with their files' digests.
        stem: the digest of the stem whose features are to travel instead of frames; empty: frames travel.
        spool: keeps the inputs until they are answered; None: memory does. With one, nothing that the coordinator says
            or refuses ends the uplink, but for models that are not what this device needs.
        on_answer: called once for each input's Result or Refused, from the uplink's thread.
        on_spool_answer: the same for the inputs of a spool, with their rows there; it is called instead.
        report: called now and then for the device's own counts.
        on_welcome: called with what the coordinator says of itself on each connection, without a spool on each after
            the first; InvalidInput ends the uplink.
        chains: the packets of pictures that refer to one another; None: each input stands alone.
        on_want: called for the frame of an input that the coordinator asks for, as a JPEG; empty: it is gone.
        on_filter: called with the filter that an operator wants, and what asks for its file on the present connection.
        report_every_s: how often that is.
        clock_ns: Unix time, which the coordinator's is compared with.
        backoff_s: the longest wait after a connection that was made, and the longest at all.
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
        spool: Spool | None = None,
        on_answer: Callable[[Any], None],
        on_spool_answer: Callable[[Any, SpoolRow], None] = lambda answer, row: None,
        report: Callable[[], edge_pb2.Report],
        on_welcome: Callable[[edge_pb2.Welcome], None] = lambda welcome: None,
        chains: ChainStore | None = None,
        on_want: Callable[[int], bytes] = lambda sequence: b"",
        on_filter: OnFilter = lambda wanted, ask: None,
        report_every_s: float = 2.0,
        backoff_s: tuple[float, float] = BACKOFF_S,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config
        self.session = session
        self.stream = stream
        self.report = report
        self.on_welcome = on_welcome
        self.chains = ChainStore(JPEG_QUALITY) if chains is None else chains
        self._sent = SentChains()
        # Those of the present connection: of an earlier session none is known but on disk.
        self._of = self.chains
        self.on_want = on_want
        self.on_filter = on_filter
        self._ask_filter: Pieces = lambda request: iter(())
        self.report_every_s = report_every_s
        self.connecting = Connecting(config, backoff_s=backoff_s)
        self.sent_bytes = 0
        self.received_bytes = 0
        self.connections = 0
        self.clock_ns = clock_ns
        self._clocks = Clocks(config, clock_ns)
        self._greeting = Greeting(config, stream=stream, form=form, local=local, stem=stem)
        self.spool = spool
        slow_s = config.deadline_s / 2 if config.deadline_s else float("inf")
        self._outbox: MemoryOutbox | SpoolOutbox
        if spool is None:
            self._outbox = MemoryOutbox(config.window, waits=config.queue == "all", slow_s=slow_s)
        else:
            order = spool.settings.order_of(config.queue, live=spool.live)
            self._outbox = SpoolOutbox(spool, config.window, order=order, slow_s=slow_s, unix_ns=clock_ns)
            spool.on_change = self._outbox.wake
        self._welcome: edge_pb2.Welcome | None = None
        self._settled = threading.Event()
        self._reported_break = 0
        self._reasons = Reasons(config)
        self._reason = ""
        self._refusals, self._refused_s = 0, 0.0
        self._answers = Answers(self._outbox, on_answer, on_spool_answer, coordinator=config.coordinator)
        self._call: Any = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=thread_name("uplink", stream), daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the coordinator is there now."""
        return self._outbox.connected

    @property
    def held(self) -> bool:
        """Whether no input is sent for now, as the device has reasons of its own."""
        return self._outbox.held

    @held.setter
    def held(self, value: bool) -> None:
        self._outbox.held = value
        self._outbox.wake()

    @property
    def clock_behind_s(self) -> float:
        """How far this device's clock is behind the coordinator's, where that matters; else 0."""
        return self._clocks.behind_s

    @property
    def round_trip_s(self) -> float:
        """How long answers took lately, on average; 0: not known."""
        return self._outbox.round_trip_s

    def start(self, stopped: threading.Event | None = None) -> edge_pb2.Welcome | None:
        """Connects; returns what the coordinator says of itself. With a spool nobody waits for it long: None then.

        Args:
            stopped: with a spool, ends the wait.

        Raises:
            Unavailable: without a spool: nobody answers within `connect_timeout_s`, TLS fails, or the coordinator
                refuses this device.
            InvalidInput: the coordinator's models are not what this device needs; without a spool also: it can't use
                what this device says of itself, or `tls_ca` can't be read.
        """
        tell_exposed(self.config)
        if self.spool is not None:
            self.spool.change_session(hello=self._hello().SerializeToString())
        self._thread.start()
        within_s = self.config.connect_timeout_s
        if self.spool is not None:
            within_s = min(within_s, _FIRST_TRY_S)
        until_s = time.monotonic() + within_s
        # In short turns: Ctrl-C that the system gives to another thread does not wake this one.
        while not self._settled.wait(_WAKE_S) and time.monotonic() < until_s:
            if self.spool is not None and stopped is not None and stopped.is_set():
                break
        if self._outbox.failure is not None:
            raise self._outbox.failure
        if self._welcome is None and self.spool is None:
            reason = self._reason or self._reasons.look()
            if reason:
                raise Unavailable(f"the coordinator at {self.config.coordinator} takes no connection: {reason}")
            raise Unavailable(
                f"nobody answers at {self.config.coordinator}: start it with `infilink cloud --config cloud.toml`, or "
                "correct `coordinator`"
            )
        return self._welcome

    def offer(self, message: edge_pb2.Input, stopped: threading.Event) -> list[int]:
        """Takes an input to be sent, where there is no spool; returns the sequences of those that it replaced.

        Queue "all" waits for room in the window until `stopped` is set; "latest" never waits: the newest input replaces
        the one that is held back.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        assert isinstance(self._outbox, MemoryOutbox)
        return self._outbox.offer(message, stopped)

    def check(self) -> None:
        """Makes sure that inputs can be sent, now or later.

        Raises:
            InfilinkError: nothing more can be sent.
        """
        if self._outbox.failure is not None:
            raise self._outbox.failure

    def finish(self, stopped: threading.Event | None = None) -> None:
        """Waits until everything is answered; with a spool for as long as answers come, as the rest is kept.

        Args:
            stopped: with a spool, only what is on its way is waited for.

        Raises:
            Unavailable: no answer came for `answer_timeout_s`, and there is no spool.
            InfilinkError: nothing more could be sent.
        """
        self._outbox.drain(self.config.answer_timeout_s, stopped)

    def close(self) -> None:
        """Sends a last report and ends the connection, and a `start` that still waits; closing twice is fine."""
        self._outbox.finish()
        if self._thread.is_alive() and self.connected:
            self._thread.join(_CLOSE_TIMEOUT_S)
        self._closed.set()
        self._settled.set()
        if self._call is not None:
            self._call.cancel()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        """Makes one connection after another until nothing more can be sent, or is to be; the thread's whole life."""
        while self._outbox.failure is None:
            try:
                self._converse()
            except grpc.RpcError as error:
                self._take_error(error)
            except InfilinkError as error:
                self._end_or_again(error)
            except Exception as error:
                logger.exception("the uplink failed")
                self._end_or_again(InfilinkError(f"the uplink failed: {error!r}"))
            wait_s = max(self.connecting.left_s(), self._refused_s - time.monotonic())
            if self._outbox.finishing or self._closed.wait(wait_s):
                return

    def _converse(self) -> None:
        """One connection, from Hello to its end."""
        connection, self._sent = self._outbox.open_connection(), SentChains()
        self._of = self._chains_of_session()
        metadata = [("authorization", f"Bearer {self.config.token}")] if self.config.token else []
        try:
            with self.connecting.channel(self._closed) as channel:
                stub = edge_pb2_grpc.EdgeStub(channel)  # type: ignore[no-untyped-call]
                self._ask_filter = partial(stub.GetFilter, metadata=metadata, timeout=_FILTER_TIMEOUT_S)
                self._call = stub.Connect(self._requests(connection), metadata=metadata)
                if self._closed.is_set():
                    self._call.cancel()
                for message in self._call:
                    self._receive(connection, message)
            self.connecting.ended(connection)
        except grpc.RpcError as error:
            self.connecting.ended(connection, error)
            raise
        finally:
            self._outbox.close_connection(connection)

    def _requests(self, connection: ConnectionWindow) -> Iterator[edge_pb2.DeviceMessage]:
        """The messages that go out on one connection; runs in a thread of gRPC's."""
        hello = self._hello()
        self._clocks.begin()
        yield self._count(edge_pb2.DeviceMessage(hello=hello))
        reported = time.monotonic()
        while not (connection.closed or connection.over):
            message = self._outbox.take(connection, self.report_every_s)
            if isinstance(message, edge_pb2.Frame):
                yield self._count(edge_pb2.DeviceMessage(frame=message))
            elif message is not None and message.deadline_ns and self.clock_ns() > message.deadline_ns:
                self._answers.refuse_late(connection, message.sequence)
            elif message is not None:
                message = self._of.complete(message, self._sent)
                yield self._count(edge_pb2.DeviceMessage(input=message))
            done = message is None and self._outbox.finishing
            if done or time.monotonic() - reported >= self.report_every_s:
                reported = time.monotonic()
                yield self._count(edge_pb2.DeviceMessage(report=self.report()))
            if done:
                return

    def _hello(self) -> edge_pb2.Hello:
        """What the device says of itself on a connection; of an earlier session what it said then."""
        if not isinstance(self._outbox, SpoolOutbox):
            return self._greeting.hello(self.session)
        at, present = self._outbox.session, self._outbox.spool.session
        return self._greeting.hello(at.id, said=b"" if at.id == present.id else at.hello)

    def _chains_of_session(self) -> ChainStore:
        """The chains of the session whose inputs go on a connection."""
        if not isinstance(self._outbox, SpoolOutbox):
            return self.chains
        self.chains.earlier = self._outbox.chain_before
        if self._outbox.session.id == self._outbox.spool.session.id:
            return self.chains
        return ChainStore(self.chains.quality, earlier=self._outbox.chain_before)

    def _count(self, message: edge_pb2.DeviceMessage) -> edge_pb2.DeviceMessage:
        self.sent_bytes += message.ByteSize()
        return message

    def _receive(self, connection: ConnectionWindow, message: edge_pb2.CoordinatorMessage) -> None:
        self.received_bytes += message.ByteSize()
        kind = message.WhichOneof("message")
        if kind == "welcome":
            wire.agree(message.welcome.wire, 0, other=f"the coordinator (infilink {message.welcome.version})")
            self._greeting.check(message.welcome)
            self.connections += 1
            self.connecting.connected()
            self._of.agree(message.welcome)
            self.chains.agree(message.welcome)
            self._refusals = 0
            if self._welcome is not None or self.spool is not None:
                self._tell_welcome(message.welcome)
            self._welcome = message.welcome
            self._outbox.allow(connection, message.welcome.max_in_flight)
            self._clocks.compare(message.welcome.now_ns)
            self._settled.set()
            logger.info("connected to %s", self.config.coordinator)
        elif kind == "notice":
            logger.warning("%s: %s", self.config.coordinator, message.notice.text)
        elif kind == "filter":
            self.on_filter(message.filter, self._ask_filter)
        elif kind == "pause":
            self._outbox.pause(connection, message.pause.retry_after_s)
        elif kind == "want":
            sequence = message.want.sequence
            jpeg = self.on_want(sequence) if self._outbox.is_unanswered(sequence) else b""
            frame = edge_pb2.Frame(sequence=sequence, encoding=edge_pb2.ENCODING_JPEG, payload=jpeg)
            self._outbox.give_frame(connection, frame)
        elif kind == "refused" and message.refused.code == edge_pb2.REFUSED_CODE_BROKEN_CHAIN:
            self._of.lost(message.refused.sequence, self._sent)
            self._outbox.postpone(connection, message.refused.sequence)
        elif kind is not None:
            self._answers.take(connection, message.result if kind == "result" else message.refused)

    def _tell_welcome(self, welcome: edge_pb2.Welcome) -> None:
        try:
            self.on_welcome(welcome)
        except InvalidInput as error:
            # What the gate promised is void with other models, whatever the network does.
            self._fail(error)
            raise

    def _take_error(self, error: Any) -> None:
        """A connection broke: decides whether to try again, and keeps the reason for whoever waits for the first."""
        if self._closed.is_set():
            return
        final = self._reasons.final(error)
        if final is not None:
            self._end_or_again(final)
        elif self.connections > self._reported_break and not self._outbox.finishing:
            self._reported_break = self.connections
            reason = self._reasons.broken(error)
            logger.warning("the connection to %s broke (%s); trying again", self.config.coordinator, reason)
        else:
            reason = self._reasons.passing(error)
            if reason not in ("", self._reason) and (self.connections or self.spool is not None):
                logger.warning("can't connect to %s: %s; trying again", self.config.coordinator, reason)
            self._reason = reason

    def _end_or_again(self, error: InfilinkError) -> None:
        """Ends the uplink; with a spool it is told, once, and tried again, ever more seldom."""
        if self.spool is None or self._outbox.failure is not None:
            self._fail(error)
            return
        first_s, longest_s = _REFUSED_S
        wait_s = min(longest_s, first_s * 2.0 ** min(self._refusals, 10)) * random.uniform(0.5, 1.0)
        self._refusals += 1
        self._refused_s = time.monotonic() + wait_s
        if str(error) != self._reason:
            logger.error("%s; inputs wait in the spool, and it is tried again", error)
        self._reason = str(error)
        self._settled.set()

    def _fail(self, error: InfilinkError) -> None:
        self._outbox.fail(error)
        self._settled.set()
