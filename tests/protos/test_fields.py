"""A message is read field by field as protobuf reads it, and what is damaged ends it."""

from hypothesis import given
from hypothesis import strategies as st
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.fields import BYTES, VARINT, fields, varint


@given(st.integers(0, 2**64 - 1))
def test_a_number_is_written_as_it_is_read(number: int) -> None:
    (field,) = fields(varint(5 << 3 | VARINT) + varint(number))
    assert (field.number, field.kind, field.value) == (5, VARINT, number)


@given(st.text(max_size=20), st.lists(st.binary(max_size=300), max_size=4))
def test_fields_stand_where_protobuf_wrote_them(name: str, contents: list[bytes]) -> None:
    data = pb.ModelInferRequest(model_name=name, raw_input_contents=contents).SerializeToString()
    found = list(fields(data))
    assert [data[field.start : field.end] for field in found if field.number == 7] == contents
    assert all(field.kind == BYTES for field in found)
    assert [field.begin for field in found] == [0, *(field.end for field in found)][: len(found)]


@given(st.binary(max_size=200))
def test_what_is_no_message_ends_in_silence(data: bytes) -> None:
    assert all(field.begin < field.end <= len(data) for field in fields(data))
