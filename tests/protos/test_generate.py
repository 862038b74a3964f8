"""The committed code of the wire is what its .proto gives."""

from pathlib import Path

from infilink.protos import edge_pb2
from infilink.protos.generate import generate


def test_committed_code_is_what_the_generator_makes(tmp_path):
    committed = Path(edge_pb2.__file__).parent
    for path in generate(tmp_path):
        assert path.read_text() == (committed / path.name).read_text(), f"{path.name}: run `make protos`"


def test_an_input_survives_the_wire():
    sent = edge_pb2.DeviceMessage(
        input=edge_pb2.Input(sequence=7, captured_ns=-5, payload=b"\x00\xff", policy=edge_pb2.POLICY_LATEST)
    )
    assert edge_pb2.DeviceMessage.FromString(sent.SerializeToString()) == sent
