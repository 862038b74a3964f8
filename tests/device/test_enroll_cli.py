"""What a device takes from whoever answers when it enrolls."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from infilink.device.enroll_cli import enroll_command
from infilink.errors import InvalidInput
from infilink.protos import fleet_pb2, fleet_pb2_grpc


class Stranger(fleet_pb2_grpc.EnrollmentServicer):
    """Answers every code."""

    def __init__(self, name: str) -> None:
        self.name = name

    def Enroll(self, request: fleet_pb2.EnrollRequest, context: Any) -> fleet_pb2.EnrollReply:  # noqa: N802
        return fleet_pb2.EnrollReply(name=self.name, certificate=b"not one", port=1)


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "", "a\nname = 'b'"])
def test_a_name_that_is_none_writes_no_file(name: str, tmp_path: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    fleet_pb2_grpc.add_EnrollmentServicer_to_server(Stranger(name), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    try:
        with pytest.raises(InvalidInput, match="no name of a device"):
            enroll_command(f"127.0.0.1:{port}", "CODE", folder / "device.toml", None)
    finally:
        server.stop(None).wait()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
