"""SIGTERM while devices and clients of the Open Inference Protocol, over gRPC and HTTP, are being answered."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.query import Wanted, find_results
from infilink.protos import edge_pb2_grpc
from infilink.protos import open_inference_pb2 as pb
from infilink.protos import open_inference_pb2_grpc as pb_grpc

from .conftest import TIMEOUT_S, Daemon, wait_until, write_model
from .test_wire import an_input, hello, picture

ENOUGH = 20
"""So many answers each client has had when the coordinator is told to stop."""


IN_FLIGHT = 8
"""So many inputs of a device may wait for their answers."""


class Client:
    """Asks without end, until it is refused; counts what it was answered."""

    def __init__(self, name: str, ask: Callable[["Client"], None]) -> None:
        self.name = name
        self.answers = 0
        self._ask = ask

    def run(self) -> str:
        """Why it was refused."""
        try:
            self._ask(self)
        except grpc.RpcError as error:
            return error.code().name
        except httpx.TransportError:  # Nobody listens there any more.
            return "UNAVAILABLE"
        return "refused by name"

    def request(self) -> pb.ModelInferRequest:
        """A picture of the client's own stream."""
        jpeg = picture()
        image = pb.ModelInferRequest.InferInputTensor(name="image", datatype="BYTES", shape=[1])
        request = pb.ModelInferRequest(
            model_name="bright", inputs=[image], raw_input_contents=[len(jpeg).to_bytes(4, "little") + jpeg]
        )
        request.parameters["stream"].string_param = self.name
        return request


def as_a_device(address: str) -> Callable[[Client], None]:
    def ask(client: Client) -> None:
        room = threading.Semaphore(IN_FLIGHT)

        def messages() -> Iterator:
            yield hello(device=client.name)
            for sequence in range(10**9):
                room.acquire(timeout=TIMEOUT_S)
                yield an_input(sequence)

        with grpc.insecure_channel(address) as channel:
            for message in edge_pb2_grpc.EdgeStub(channel).Connect(messages(), timeout=TIMEOUT_S):
                if message.HasField("result"):
                    assert message.result.sequence == client.answers, "in order, none left out"
                    client.answers += 1
                room.release()
            raise AssertionError("it ended without a reason")

    return ask


def by_single_calls(address: str) -> Callable[[Client], None]:
    def ask(client: Client) -> None:
        with grpc.insecure_channel(address) as channel:
            infer = pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer
            while True:
                infer(client.request(), timeout=TIMEOUT_S)
                client.answers += 1

    return ask


def by_a_stream(address: str) -> Callable[[Client], None]:
    def ask(client: Client) -> None:
        def requests() -> Iterator[pb.ModelInferRequest]:
            while True:
                yield client.request()

        with grpc.insecure_channel(address) as channel:
            for response in pb_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(requests(), timeout=TIMEOUT_S):
                if response.error_message:
                    assert response.error_message == "the coordinator is stopping"
                    return
                client.answers += 1
            raise AssertionError("it ended without a reason")

    return ask


def over_http(address: str) -> Callable[[Client], None]:
    def ask(client: Client) -> None:
        image = {"name": "image", "datatype": "UINT8", "shape": [8, 8, 3], "data": [7] * 192}
        body = {"inputs": [image], "parameters": {"stream": client.name, "color": "BGR"}}
        with httpx.Client(base_url=f"http://{address}", timeout=TIMEOUT_S) as http:
            while (status := http.post("/v2/models/bright/infer", json=body).status_code) == 200:
                client.answers += 1
        assert status == 503

    return ask


@pytest.fixture
def daemon(start_daemon, tmp_path) -> Daemon:
    """One whose model takes its time, so that inputs wait."""
    models = tmp_path / "slow"
    models.mkdir()
    write_model(models / "bright.onnx", repeat=100)
    return start_daemon(models=str(models), http_listen="127.0.0.1:0")


def test_what_was_taken_is_answered_and_kept_and_what_comes_then_is_refused(daemon, tmp_path):
    (web,) = re.findall(r"HTTP on (\S+)", daemon.said())
    ways = {
        "device-1": as_a_device(daemon.address),
        "device-2": as_a_device(daemon.address),
        "calls-1": by_single_calls(daemon.address),
        "calls-2": by_single_calls(daemon.address),
        "stream": by_a_stream(daemon.address),
        "http": over_http(web),
    }
    clients = [Client(name, way) for name, way in ways.items()]
    with ThreadPoolExecutor(len(clients)) as pool:
        ended = [pool.submit(client.run) for client in clients]
        wait_until(lambda: all(client.answers >= ENOUGH for client in clients), "answers for everybody")
        assert daemon.stop() == 0
        whys = [each.result(TIMEOUT_S) for each in ended]
    # A call that comes in the very moment in which gRPC stops to listen is cancelled by gRPC itself: nobody saw it.
    assert set(whys) <= {"UNAVAILABLE", "refused by name", "CANCELLED"}, daemon.said()
    found = kept(tmp_path / "ledger.sqlite")
    for client, why in zip(clients, whys, strict=True):
        # Of a stream that ends with an error gRPC's client drops what it has not handed out. Devices send that again; a
        # stream of requests ends so only where gRPC itself ends it, in the very moment in which it stops.
        drops = client.name.startswith("device") or (client.name == "stream" and why != "refused by name")
        lost = IN_FLIGHT if drops else 0
        assert client.answers <= found[client.name] <= client.answers + lost, client.name
    said = daemon.said()
    assert "calls that were still open" not in said and "Traceback" not in said, said


def kept(ledger: Path) -> Counter[str]:
    """How many answers of each stream the ledger has."""
    database = Database(ledger)
    try:
        with database.read() as connection:
            return Counter(found.device for found in find_results(connection, Wanted()))
    finally:
        database.close()
