"""A request that is split, and a response that is joined, are what protobuf reads and writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.inference_wire import join_response, split_request

LARGE = 2**15
contents = st.lists(st.binary(max_size=100) | st.sampled_from([b"x" * LARGE, bytes(2 * LARGE)]), max_size=3)


@given(contents, st.text(max_size=9))
def test_a_request_is_split_as_protobuf_reads_it(raw: list[bytes], name: str) -> None:
    inputs = [pb.ModelInferRequest.InferInputTensor(name=str(n), shape=[n]) for n in range(len(raw))]
    whole = pb.ModelInferRequest(model_name=name, inputs=inputs, raw_input_contents=raw)
    rest, found = split_request(whole.SerializeToString())
    assert [bytes(each) for each in found] == raw
    whole.ClearField("raw_input_contents")
    rest.ClearField("raw_input_contents")
    assert rest == whole


@given(contents)
def test_a_response_is_joined_as_protobuf_writes_it(raw: list[bytes]) -> None:
    head = pb.ModelInferResponse(model_name="m", id="7")
    whole = pb.ModelInferResponse.FromString(join_response(head, [memoryview(each) for each in raw]))
    assert whole == pb.ModelInferResponse(model_name="m", id="7", raw_output_contents=raw)


def test_fields_that_stand_between_the_tensors_are_kept() -> None:
    raw = pb.ModelInferRequest(raw_input_contents=[bytes(LARGE)]).SerializeToString()
    name = pb.ModelInferRequest(model_name="m").SerializeToString()
    rest, found = split_request(raw + name + raw)
    assert rest.model_name == "m" and [len(each) for each in found] == [LARGE, LARGE]


def test_a_request_of_very_many_fields_is_refused_before_it_is_read_to_its_end() -> None:
    with pytest.raises(InvalidInput, match="more than 4096 fields"):
        split_request(pb.ModelInferRequest(raw_input_contents=[b""] * LARGE).SerializeToString())


@pytest.mark.parametrize("size", [100, 3 * LARGE])
def test_what_is_no_request_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match="no ModelInferRequest"):
        split_request(b"\xff" * size)
    whole = pb.ModelInferRequest(model_name="m", raw_input_contents=[bytes(size)]).SerializeToString()
    with pytest.raises(InvalidInput, match="no ModelInferRequest"):
        split_request(whole[:-1])
