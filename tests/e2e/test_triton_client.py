"""Triton's own clients, in an environment and a process of their own, are answered by a real coordinator.

Their messages have the same names as ours, and they ask for an older protobuf: both can't be in one process.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from infilink.protos import open_inference_pb2 as pb

from .conftest import METADATA, TIMEOUT_S, TOKEN, Daemon

CLIENT = "tritonclient[grpc,http]==2.73.0"
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> Path:
    """An interpreter that has the client; it is kept from one session to the next."""
    folder = Path(request.config.cache.mkdir("tritonclient")) / re.sub(r"\W+", "-", CLIENT)
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], capture_output=True, check=False
        )
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile", CLIENT]
        if made.returncode or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(f"{CLIENT} can't be installed here (pip, offline?)")
        done.touch()
    return python


def run(python: Path, *arguments: str) -> str:
    done = subprocess.run([str(python), *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tritons_grpc_client_is_answered(client: Path, daemon: Daemon) -> None:
    told = run(client, str(HERE / "triton_grpc.py"), daemon.address, TOKEN)
    assert told.split() == ["tells", "infers", "refuses", "streams", "loads"]


def test_tritons_http_client_is_answered(client: Path, start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(http_listen="127.0.0.1:0", token=TOKEN)
    (address,) = re.findall(r"HTTP on (\S+)", daemon.said())
    assert run(client, str(HERE / "triton_http.py"), address, TOKEN) == "answered\n"
    assert daemon.stop() == 0, daemon.said()


def test_health_and_reflection_name_the_service(daemon: Daemon) -> None:
    service = "inference.GRPCInferenceService"
    with grpc.insecure_channel(daemon.address) as channel:
        asked = health_pb2.HealthCheckRequest(service=service)
        found = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=TIMEOUT_S)
        assert found.status == health_pb2.HealthCheckResponse.SERVING
        listing = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (listed,) = stub.ServerReflectionInfo(listing, metadata=METADATA, timeout=TIMEOUT_S)
        assert service in [each.name for each in listed.list_services_response.service]


def test_our_messages_have_the_public_numbers(client: Path) -> None:
    public = {
        (name, field): (int(number), int(kind))
        for name, field, number, kind in map(
            str.split, run(client, str(HERE / "triton_grpc.py"), "numbers").splitlines()
        )
    }
    ours: dict[tuple[str, str], tuple[int, int]] = {}
    waiting = list(pb.DESCRIPTOR.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        waiting.extend(message.nested_types)
        ours |= {(message.full_name, field.name): (field.number, field.type) for field in message.fields}
    ours |= {("inference.DataType", value.name): (value.number, 0) for value in pb.DataType.DESCRIPTOR.values}
    added = {name for name in ours if name not in public}
    # `properties` is KServe's own.
    assert {field for _, field in added} <= {"properties", "key", "value"}
    assert {name: ours[name] for name in ours if name in public} == {
        name: public[name] for name in ours if name in public
    }
