"""A coordinator that answers garbage: the agent lives, says so, and goes on with what can be read."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.stream_run import StreamRun
from infilink.device.summary import Summary
from infilink.errors import InfilinkError
from infilink.models.spec import read_spec
from infilink.protos import edge_pb2

from ..clips import write_clip
from ..device.conftest import start_coordinator  # noqa: F401
from ..device.coordinator import Coordinator, result

FRAMES = 12


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "v.mp4", frames=FRAMES, fps=10)


def config(address: str, clip: Path, **settings: object) -> DeviceConfig:
    values = {"name": "yard", "source": str(clip), "pace": "max", "queue": "all", "coordinator": address}
    return DeviceConfig.model_validate({**values, "answer_timeout_s": 20.0, **settings})


def odd(sequence: int) -> edge_pb2.CoordinatorMessage:
    """An answer whose bytes are not what they are said to be."""
    message = result(sequence, bright=1.0)
    message.result.outputs[0].shape[:] = [1 << 31, 1 << 31, 1 << 31]
    return message


def short(sequence: int) -> edge_pb2.CoordinatorMessage:
    message = result(sequence, bright=1.0)
    message.result.outputs[0].value = b"\x01"
    return message


def typed(sequence: int) -> edge_pb2.CoordinatorMessage:
    message = result(sequence, bright=1.0)
    message.result.outputs[0].dtype = "object"
    return message


def notice(sequence: int) -> edge_pb2.CoordinatorMessage:
    return edge_pb2.CoordinatorMessage(notice=edge_pb2.Notice(text="\x1b[31m" + "x" * 10**6))


GARBAGE = {
    "of an input that was never sent": lambda sequence: result(10**6 + sequence, bright=1.0),
    "of the input before": lambda sequence: result(max(0, sequence - 1), bright=1.0),
    "without outputs": result,
    "of a model that nobody knows": lambda sequence: result(sequence, nobody=1.0),
    "not a number": lambda sequence: result(sequence, bright=float("nan")),
    "nothing": lambda sequence: edge_pb2.CoordinatorMessage(),
    "a wish for what was never sent": lambda sequence: edge_pb2.CoordinatorMessage(
        want=edge_pb2.Want(sequence=1 << 60)
    ),
    "a filter that nobody has": lambda sequence: edge_pb2.CoordinatorMessage(
        filter=edge_pb2.WantedFilter(number=1, digest="../" * 9, size_bytes=1 << 60, name="../../etc/passwd")
    ),
    "a pause without end": lambda sequence: edge_pb2.CoordinatorMessage(
        pause=edge_pb2.Pause(retry_after_s=float("nan"))
    ),
    "a large notice": notice,
}
UNREADABLE = {"a shape that no memory holds": odd, "too few bytes": short, "a type that is none": typed}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_said_beside_the_answers_harms_nothing(
    start_coordinator: Callable[..., Coordinator],  # noqa: F811
    tiny_models: Path,
    clip: Path,
    garbage: Callable[[int], Any],
) -> None:
    """Each input gets its answer, and garbage before and after it."""
    spec = read_spec(tiny_models / "bright.onnx")
    started = start_coordinator({"bright": spec})

    def serve() -> None:
        connection = started.connection()
        for _ in range(FRAMES):
            sequence = connection.input().sequence
            if garbage is not GARBAGE["without outputs"]:
                connection.reply(garbage(sequence))
            connection.reply(result(sequence, bright=2.0))
            connection.reply(result(sequence, bright=2.0))

    thread = threading.Thread(target=serve)
    thread.start()
    summary = StreamRun(config(started.address, clip)).run()
    thread.join()
    assert summary.frames == FRAMES and summary.answered + summary.refused == FRAMES


@pytest.mark.parametrize(
    ("garbage", "spools"),
    [*((each, False) for each in UNREADABLE.values()), (short, True)],
    ids=[*UNREADABLE, "too few bytes, with a spool"],
)
def test_an_answer_that_cant_be_read_is_told_and_the_others_are_taken(
    start_coordinator: Callable[..., Coordinator],  # noqa: F811
    tiny_models: Path,
    clip: Path,
    tmp_path: Path,
    garbage: Callable[[int], Any],
    spools: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infilink.device.uplink.client._REFUSED_S", (0.01, 0.01))

    def answer(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
        return garbage(message.sequence) if message.sequence == 5 else result(message.sequence, bright=1.0)

    started = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")}, answer=answer)
    more = {"spool": {"folder": tmp_path / "spool"}} if spools else {}
    summary: Summary = StreamRun(config(started.address, clip, **more)).run()
    assert (summary.frames, summary.answered, summary.refused) == (FRAMES, FRAMES - 1, 1)
    assert any("answer" in record.message for record in caplog.records if record.levelname == "WARNING")


class Bytes:
    """A gRPC server whose messages are any bytes."""

    def __init__(self, *, first: bytes) -> None:
        self.connections = 0
        self.first = first
        handler = grpc.stream_stream_rpc_method_handler(self._connect)
        service = edge_pb2.DESCRIPTOR.services_by_name["Edge"].full_name
        self.server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Connect": handler})])
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def _connect(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        self.connections += 1
        next(messages)
        yield self.first
        for _ in messages:
            yield np.random.default_rng(0).bytes(1000)


@pytest.mark.parametrize(
    "first",
    [
        b"\xff" * 100,
        b"",
        edge_pb2.CoordinatorMessage(welcome=edge_pb2.Welcome(specs={"a": "{no json"})).SerializeToString(),
    ],
    ids=["no message", "an empty message", "a model that is none"],
)
def test_what_is_no_welcome_is_told_and_ends_no_other_stream(first: bytes, clip: Path) -> None:
    """As one stream of several it would be tried again; by itself the agent ends with a word, not a traceback."""
    server = Bytes(first=first)
    try:
        with pytest.raises(InfilinkError) as caught:
            StreamRun(config(server.address, clip, connect_timeout_s=1.0)).run()
        assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)
    finally:
        server.server.stop(None).wait()
