"""When a device tries again, and what it learns from how a connection ended."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.uplink.connecting import Connecting
from infilink.device.uplink.outbox import ConnectionWindow
from infilink.device.uplink.reasons import Reasons
from infilink.protos.channel import PATIENCE_S

CONFIG = DeviceConfig(name="yard", source="0", coordinator="127.0.0.1:9")


def broken(details: str = "", **metadata: str) -> SimpleNamespace:
    """What gRPC says of a connection that broke."""
    told = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
    return SimpleNamespace(details=lambda: details, trailing_metadata=lambda: told)


def connecting(draw: float = 1.0) -> Connecting:
    return Connecting(CONFIG, draw=lambda: draw, clock=lambda: 100.0)


def waits(one: Connecting, count: int) -> list[float]:
    found = []
    for _ in range(count):
        one.ended(ConnectionWindow([]))
        found.append(round(one.left_s(), 3))
    return found


def test_waits_double_up_to_four_seconds_and_begin_anew_once_connected() -> None:
    one = connecting()
    assert waits(one, 5) == [1.0, 2.0, 4.0, 4.0, 4.0]
    one.connected()
    assert waits(one, 1) == [1.0]


def test_most_of_a_wait_is_left_to_chance() -> None:
    assert waits(connecting(draw=0.0), 3) == [0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    ("asked", "draw", "waits_s"), [("8000", 0.0, 8.0), ("8000", 1.0, 12.0), ("9" * 12, 0.0, 120.0)]
)
def test_a_coordinator_says_when_to_come_again(asked: str, draw: float, waits_s: float) -> None:
    one = connecting(draw)
    one.ended(ConnectionWindow([]), broken(retry_after_ms=asked))
    assert one.left_s() == waits_s


@pytest.mark.parametrize("asked", ["", "soon", "-5", "²"])
def test_what_is_no_time_is_passed_over(asked: str) -> None:
    one = connecting()
    one.ended(ConnectionWindow([]), broken(retry_after_ms=asked))
    assert one.left_s() == 1.0


def test_patience_grows_where_a_line_was_silent_with_something_to_carry() -> None:
    one, idle, busy = connecting(), ConnectionWindow([]), ConnectionWindow([])
    busy.sent_s[0] = 0.0
    silent = broken("Stream removed (ping timeout)")
    one.ended(idle, silent)
    one.ended(busy, broken("Connection reset by peer"))
    assert one.patience_s == PATIENCE_S
    one.ended(busy, silent)
    one.ended(busy, silent)
    assert one.patience_s == 4 * PATIENCE_S
    for _ in range(9):
        one.ended(busy, silent)
    assert one.patience_s == 120.0


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ("Stream removed (ping timeout)", "nothing is heard any more"),
        ("recvmsg:Connection timed out (110)", "nothing is heard any more"),
        ("the coordinator is\nstopping", "the coordinator is stopping"),
        ("", "UNAVAILABLE"),
    ],
)
def test_why_a_connection_broke_is_told_in_words(details: str, told: str) -> None:
    error = broken(details)
    error.code = lambda: grpc.StatusCode.UNAVAILABLE
    assert Reasons(CONFIG).broken(error) == told


def test_patience_is_twice_the_slowest_answer_where_there_were_answers() -> None:
    one, connection = connecting(), ConnectionWindow([])
    connection.answered, connection.slowest_s = 3, 7.5
    one.ended(connection, broken("Connection timed out (110)"))
    assert one.patience_s == 15.0
    connection.slowest_s = 0.1
    one.ended(connection)
    assert one.patience_s == PATIENCE_S


def test_a_coordinator_that_is_away_is_looked_for_without_grpc_until_it_listens(monkeypatch) -> None:
    with socket.socket() as free, ThreadPoolExecutor(1) as threads:
        free.bind(("127.0.0.1", 0))
        address, looked = f"127.0.0.1:{free.getsockname()[1]}", threading.Semaphore(0)
        one = Connecting(CONFIG.model_copy(update={"coordinator": address}), backoff_s=(0.001, 0.001))
        for _ in range(2):
            one.ended(ConnectionWindow([]))
        wait_s = one._wait_s
        monkeypatch.setattr(one, "_wait_s", lambda asked_s: looked.release() or wait_s(asked_s))
        opening = threads.submit(one.channel, threading.Event())
        assert all(looked.acquire(timeout=300.0) for _ in range(3))
        server = grpc.server(ThreadPoolExecutor(1))
        free.close()
        server.add_insecure_port(address)
        server.start()
        with opening.result(300.0) as channel, pytest.raises(grpc.RpcError, match="Method not found"):
            channel.unary_unary("/any/Method")(b"", timeout=300.0)
        server.stop(None)


def test_looking_for_one_that_is_away_ends_at_once() -> None:
    one, closed = Connecting(CONFIG), threading.Event()
    for _ in range(2):
        one.ended(ConnectionWindow([]))
    closed.set()
    one.channel(closed).close()
