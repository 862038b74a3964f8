"""How a device comes to its coordinator: when it tries again, beside which attempt, and how long silence is borne."""

import queue
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from ...protos.channel import PATIENCE_S, open_channel, silence
from ..config import DeviceConfig
from .connection_window import ConnectionWindow

BACKOFF_S = (1.0, 4.0)
"""The longest wait after a connection that was made, and the longest at all: what is healed is found within 5 s."""

_MOST_MESSAGE_BYTES = 256 * 2**20
# A packet that is lost is sent again after 1, 3, 7 s: an attempt that says nothing may still succeed, another beside it
# may do so sooner.
_BESIDE_S, _MOST_BESIDE, _ATTEMPT_S = 3.0, 4, 12.0
_WAKE_S = 0.2
_LISTENER_S, _ANSWERS_S = 60.0, 3.0
_LONGEST_PATIENCE_S = 120.0
# What a coordinator may ask a device to wait before it comes again.
_LONGEST_ASKED_S = 120.0
# So much of a wait is not left to chance.
_LEAST, _MOST_DOUBLINGS = 0.1, 10
_SILENT = ("ping timeout", "ping_timeout", "keepalive", "timed out")
_OPTIONS = (
    ("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES),
    # A new channel must try at once, not wait for the backoff of the one before.
    ("grpc.use_local_subchannel_pool", 1),
    # How long one attempt may take, by its other name.
    ("grpc.min_reconnect_backoff_ms", round(1000 * _ATTEMPT_S)),
)


class Connecting:
    """Opens the channels of one device to its coordinator, one after another.

    Waits are drawn at random, so that the devices of a site don't all come at one moment after an outage.

    Args:
        config: where the coordinator is, and how it is trusted.
        backoff_s: the longest wait after a connection that was made, and the longest at all; it doubles in between.
        draw: from 0 to 1, at random.
        clock: seconds that never go back.

    Attributes:
        patience_s: how long the other side may take to answer whether it is there, before it counts as gone. A slow
            line may be busy with an input for longer, which shows only as a connection breaks: then it grows.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        backoff_s: tuple[float, float] = BACKOFF_S,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.backoff_s = backoff_s
        self.draw = draw
        self.patience_s = PATIENCE_S
        self.clock = clock
        self._failures = 0
        self._again_s = 0.0

    def channel(self, closed: threading.Event) -> Any:
        """A channel that is connected, or has just failed to be, so that a call on it says why; to be used in a `with`.

        Args:
            closed: ends the attempt; the channel is not connected then.

        Raises:
            InvalidInput: a certificate can't be read.
        """
        if self._failures > 1:
            self._wait_for_listener(closed)
        attempts: list[Any] = []
        begun: set[Any] = set()
        told: queue.SimpleQueue[tuple[Any, bool]] = queue.SimpleQueue()
        settled, began_s = None, 0.0
        while settled is None and not closed.is_set():
            now_s = time.monotonic()
            if not attempts or (now_s - began_s >= _BESIDE_S and len(attempts) < _MOST_BESIDE):
                began_s = now_s
                attempts.append(self._attempt(told))
            with suppress(queue.Empty):
                channel, is_settled = told.get(timeout=_WAKE_S)
                begun.add(channel)
                settled = channel if is_settled else None
        # gRPC's own thread fails on a channel that is closed before it has looked at it.
        while len(begun) < len(attempts):
            begun.add(told.get()[0])
        for other in attempts:
            if other is not settled:
                other.close()
        return settled or self._open()

    def connected(self) -> None:
        """Takes note that the coordinator has welcomed this device."""
        self._failures = 0

    def ended(self, connection: ConnectionWindow, error: Any = None) -> None:
        """Learns from how a connection, or the attempt to make one, ended.

        Args:
            connection: what was sent and answered on it.
            error: what gRPC says of it; None: it ended in order.
        """
        self._again_s = self.clock() + self._wait_s(_asked_s(error))
        if connection.answered:
            self.patience_s = min(max(PATIENCE_S, 2.0 * connection.slowest_s), _LONGEST_PATIENCE_S)
        elif connection.sent_s and is_silent(error):
            # Nothing is known of this line but that it was silent while it had something to carry.
            self.patience_s = min(2.0 * self.patience_s, _LONGEST_PATIENCE_S)

    def left_s(self) -> float:
        """How long it is until the next attempt."""
        return max(0.0, self._again_s - self.clock())

    def _wait_s(self, asked_s: float) -> float:
        if asked_s:
            return asked_s * (1.0 + 0.5 * self.draw())
        first_s, longest_s = self.backoff_s
        most_s = min(longest_s, first_s * 2.0**self._failures)
        self._failures = min(self._failures + 1, _MOST_DOUBLINGS)
        return most_s * (_LEAST + (1.0 - _LEAST) * self.draw())

    def _wait_for_listener(self, closed: threading.Event) -> None:
        """Waits until somebody listens, a minute at most: then gRPC is asked again what it says.

        Where nobody does for days, thousands of channels would cost time, and leave memory behind.
        """
        until_s = self.clock() + _LISTENER_S
        while not closed.is_set():
            began_s = self.clock()
            if _listens(self.config.coordinator) or began_s > until_s:
                return
            closed.wait(max(0.0, self._wait_s(0.0) - (self.clock() - began_s)))

    def _attempt(self, told: "queue.SimpleQueue[tuple[Any, bool]]") -> Any:
        """A channel that begins to connect, and is put into `told`: when it has begun, and once it settled it."""
        channel = self._open()

        def hear(state: grpc.ChannelConnectivity) -> None:
            is_settled = state in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
            if is_settled:
                channel.unsubscribe(hear)
            told.put((channel, is_settled))

        channel.subscribe(hear, try_to_connect=True)
        return channel

    def _open(self) -> Any:
        config = self.config
        return open_channel(
            config.coordinator,
            tls_ca=config.tls_ca,
            tls_cert=config.tls_cert,
            tls_key=config.tls_key,
            options=[*_OPTIONS, *silence(self.patience_s)],
        )


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_S).close()
    except OSError:
        return False
    return True


def is_silent(error: Any) -> bool:
    """Whether a connection ended as nothing was heard any more, by what gRPC says of it; None: it ended in order."""
    return error is not None and any(word in str(error.details() or "").lower() for word in _SILENT)


def _asked_s(error: Any) -> float:
    """How long the coordinator asks a device to stay away; 0: it does not."""
    asked_ms = "" if error is None else dict(error.trailing_metadata() or ()).get("retry-after-ms", "")
    return min(int(asked_ms) / 1000, _LONGEST_ASKED_S) if str(asked_ms).isdecimal() else 0.0
