"""A coordinator for the tests of the device: real gRPC and the real wire, with answers that the test decides."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from infilink import __version__
from infilink.models.spec import ModelSpec
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos.arrays import write_array
from infilink.protos.filter_file import pieces

# A guard against waiting for ever, not a measure of anything.
TIMEOUT_S = 300.0
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE

Answer = Callable[[edge_pb2.Input], edge_pb2.CoordinatorMessage]


def result(sequence: int, origin: int = edge_pb2.ORIGIN_EXECUTED, **values: float) -> edge_pb2.CoordinatorMessage:
    """An answer with one number for each model."""
    outputs = []
    for model, value in values.items():
        output = edge_pb2.Output(model=model, digest=f"digest of {model}", kind="scalar", origin=origin, trusted=True)
        write_array(output, np.asarray([value], np.float32))
        outputs.append(output)
    return edge_pb2.CoordinatorMessage(result=edge_pb2.Result(sequence=sequence, outputs=outputs))


def refused(sequence: int, code: int, text: str) -> edge_pb2.CoordinatorMessage:
    return edge_pb2.CoordinatorMessage(refused=edge_pb2.Refused(sequence=sequence, code=code, message=text))


class Connection:
    """One connection of a device: what it sent, in order, and what it is answered."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.metadata = dict(context.invocation_metadata())
        self.hello = edge_pb2.Hello()
        self.reports: list[edge_pb2.Report] = []
        self._context = context
        self._inputs: queue.Queue[edge_pb2.Input] = queue.Queue()
        self._frames: queue.Queue[edge_pb2.Frame] = queue.Queue()
        self._replies: queue.Queue[edge_pb2.CoordinatorMessage | None] = queue.Queue()
        self._status: tuple[grpc.StatusCode, str] | None = None
        self._ended = threading.Event()
        # Whichever side ends it, nobody is left waiting for a reply.
        context.add_callback(self.end)

    def input(self) -> edge_pb2.Input:
        """The next input that the device sent."""
        return self._inputs.get(timeout=TIMEOUT_S)

    def frame(self) -> edge_pb2.Frame:
        """The next answer to a Want."""
        return self._frames.get(timeout=TIMEOUT_S)

    def reply(self, message: edge_pb2.CoordinatorMessage) -> None:
        self._replies.put(message)

    def end(self, code: grpc.StatusCode | None = None, details: str = "") -> None:
        """Ends it, in order or with an error."""
        self._status = None if code is None else (code, details)
        self._replies.put(None)

    def wait(self) -> None:
        """Until the device has sent all that it will."""
        assert self._ended.wait(TIMEOUT_S)

    def read(self, messages: Iterator[edge_pb2.DeviceMessage], answer: Answer | None) -> None:
        """Takes what the device sends; a thread of its own."""
        try:
            for message in messages:
                if message.HasField("input"):
                    self._inputs.put(message.input)
                    if answer is not None:
                        self.reply(answer(message.input))
                elif message.HasField("frame"):
                    self._frames.put(message.frame)
                else:
                    self.reports.append(message.report)
        except Exception:  # That is how gRPC tells the reader that the connection broke.
            pass
        self._ended.set()
        self.end()

    def replies(self) -> Iterator[edge_pb2.CoordinatorMessage]:
        while (message := self._replies.get()) is not None:
            yield message
        if self._status is not None:
            self._context.abort(*self._status)


class Coordinator(edge_pb2_grpc.EdgeServicer):
    """Welcomes devices; answers each input by `answer` or, without one, when the test says so.

    Args:
        specs: of the models that it says it serves.
        answer: makes the answer to an input.
    """

    def __init__(self, specs: dict[str, ModelSpec] | None = None, *, answer: Answer | None = None) -> None:
        self.answer = answer
        self.welcome: edge_pb2.Welcome | None = edge_pb2.Welcome(
            version=__version__,
            specs={name: spec.model_dump_json(exclude_defaults=True) for name, spec in (specs or {}).items()},
            max_in_flight=8,
            local=list(specs or {}),
        )
        # The errors that the next connections end with, instead of a welcome.
        self.refusals: list[tuple[grpc.StatusCode, str]] = []
        # Files of filters, by their SHA-256; the last piece of those that are cut does not come.
        self.filters: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[edge_pb2.FilterRequest] = []
        self._connections: queue.Queue[Connection] = queue.Queue()
        self._threads = ThreadPoolExecutor(8)
        self._server = grpc.server(self._threads)
        edge_pb2_grpc.add_EdgeServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Connect(self, messages: Iterator[edge_pb2.DeviceMessage], context: Any) -> Iterator[Any]:  # noqa: N802
        connection = Connection(context)
        connection.hello = next(messages).hello
        self._connections.put(connection)
        if self.refusals:
            context.abort(*self.refusals.pop(0))
        if self.welcome is not None:
            yield edge_pb2.CoordinatorMessage(welcome=self.welcome)
        reader = threading.Thread(target=connection.read, args=(messages, self.answer), daemon=True)
        reader.start()
        yield from connection.replies()

    def GetFilter(self, request: edge_pb2.FilterRequest, context: Any) -> Iterator[Any]:  # noqa: N802
        self.asked.append(request)
        if request.digest not in self.filters:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such filter")
        for content in pieces(self.filters[request.digest][request.offset_bytes :]):
            if request.digest in self.cut:
                self.cut.remove(request.digest)
                yield edge_pb2.FilterPiece(content=content[:10])
                context.abort(grpc.StatusCode.UNAVAILABLE, "the line is cut")
            yield edge_pb2.FilterPiece(content=content)

    def connection(self) -> Connection:
        """The next connection of a device."""
        return self._connections.get(timeout=TIMEOUT_S)

    def close(self) -> None:
        self._server.stop(0).wait()
        self._threads.shutdown()
