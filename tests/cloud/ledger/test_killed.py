"""A coordinator that is killed has lost nothing that it had answered, and answers the same again."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.query import Wanted, find_results
from infilink.protos import edge_pb2, edge_pb2_grpc

from ...e2e.conftest import Daemon, write_toml
from ..messages import an_input, hello

HELLO = edge_pb2.DeviceMessage(hello=hello())
MANY = 10_000


def answers(daemon: Daemon, *inputs: edge_pb2.DeviceMessage) -> Iterator[edge_pb2.Result]:
    """What is answered to inputs, until the connection ends in whatever way."""
    with grpc.insecure_channel(daemon.address) as channel:
        try:
            for message in edge_pb2_grpc.EdgeStub(channel).Connect(iter((HELLO, *inputs)), timeout=120):
                if message.HasField("result"):
                    yield message.result
        except grpc.RpcError:
            return


def test_killed_in_the_middle_of_a_stream(
    tiny_models: Path, ledger_place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where the ledger is no file, the models' copies are kept where the coordinator was started.
    monkeypatch.chdir(tmp_path)
    settings = {"listen": "127.0.0.1:0", "models": str(tiny_models), "ledger": str(ledger_place)}
    config = write_toml(tmp_path / "cloud.toml", settings)
    before: list[edge_pb2.Result] = []
    with closing(Daemon(config)) as daemon:
        inputs = [an_input(sequence, 20 + sequence % 200) for sequence in range(MANY)]
        for result in answers(daemon, *inputs):
            before.append(result)
            if len(before) == 40:
                daemon.kill()
    assert [result.sequence for result in before] == list(range(len(before))) and 40 <= len(before) < MANY
    database = Database(ledger_place, create=False)
    with database.read() as connection:
        kept = {(each.sequence, each.model): each.output for each in find_results(connection, Wanted())}
    database.close()
    assert all(kept[result.sequence, output.model] == output for result in before for output in result.outputs)
    with closing(Daemon(config)) as daemon:
        again = list(answers(daemon, *(an_input(result.sequence, 0) for result in before)))
        assert again == before
        assert daemon.executions().total() == 0
