"""Bad lines, through a proxy: a dead one is noticed, a slow one is not taken for dead, and what is healed is found."""

import threading
from collections.abc import Callable, Iterator

import grpc
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.uplink.client import Uplink
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos.channel import open_channel, silence

from ..device.coordinator import TIMEOUT_S, Connection, Coordinator, result
from ..link import WAYS, Link, Way

RUNNING = threading.Event()


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    one = Coordinator(answer=lambda message: result(message.sequence))
    yield one
    one.close()


@pytest.fixture
def link(coordinator: Coordinator) -> Iterator[Link]:
    with Link(coordinator.address) as line:
        yield line


@pytest.fixture
def start(link: Link) -> Iterator[Callable[[], Uplink]]:
    """Starts an agent's uplink over the line."""
    made = []

    def begin() -> Uplink:
        made.append(
            Uplink(
                DeviceConfig(name="yard", source="0", coordinator=link.address, queue="all"),
                session="s",
                on_answer=lambda answer: None,
                report=edge_pb2.Report,
                backoff_s=(0.0, 0.0),
            )
        )
        made[-1].start()
        return made[-1]

    yield begin
    for one in made:
        one.close()


def answered(one: Uplink, sequence: int) -> None:
    one.offer(edge_pb2.Input(sequence=sequence), RUNNING)
    one.finish()


@pytest.mark.parametrize("ways", [WAYS, ("up",), ("down",)], ids=["dead", "dead upwards", "dead downwards"])
def test_a_line_that_goes_dead_is_noticed_as_a_question_stays_unanswered(link: Link, ways: tuple[Way, ...]) -> None:
    # The agent's questions, fifty times as often.
    options = [(name, max(1, value // 50) if name.endswith("_ms") else value) for name, value in silence()]
    asks_ms, waits_ms = dict(silence())["grpc.keepalive_time_ms"], dict(silence())["grpc.http2.ping_timeout_ms"]
    assert asks_ms + waits_ms < 10_000, "a black hole is to be noticed within ten seconds"
    over = threading.Event()

    def messages() -> Iterator[edge_pb2.DeviceMessage]:
        yield edge_pb2.DeviceMessage(hello=edge_pb2.Hello(device="yard", session="s"))
        over.wait(TIMEOUT_S)

    with open_channel(link.address, options=options) as channel:
        call = edge_pb2_grpc.EdgeStub(channel).Connect(messages())
        assert next(call).HasField("welcome")
        link.lose(*ways)
        with pytest.raises(grpc.RpcError) as raised:
            next(call)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        over.set()


def test_after_a_line_was_cut_everything_is_answered_on_the_next_connection(
    coordinator: Coordinator, link: Link, start: Callable
) -> None:
    one = start()
    answered(one, 0)
    for sequence, (cut, mend) in enumerate([(link.reset, lambda: None), (link.refuse, link.heal)], start=1):
        first: Connection = coordinator.connection()
        cut()
        first.wait()
        mend()
        answered(one, sequence)
    assert one.connections == 3


def test_another_attempt_is_made_beside_one_that_hangs(
    coordinator: Coordinator, link: Link, start: Callable, monkeypatch
) -> None:
    monkeypatch.setattr("infilink.device.uplink.connecting._BESIDE_S", 0.05)
    one = start()
    coordinator.connection()
    link.lose()
    link.reset()
    link.wait_for_connections(3)
    link.heal()
    answered(one, 0)
    assert one.connections == 2
