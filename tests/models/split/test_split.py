"""Both parts together say what the whole says, from any frame, in any form that the map travels in."""

import json

import numpy as np
import pytest
from infilink.errors import InvalidInput, ModelFailed
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest, read_spec
from infilink.models.split.feature_map import TRANSFERS
from infilink.models.split.parts import Head, Tail
from infilink.models.split.spec import check_map, is_part, read_partition
from infilink.models.split.split import Splitter, split

from .models import frames, write_chain, write_model, write_shaped, write_spot


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return write_chain(tmp_path_factory.mktemp("chain") / "chain.onnx")


@pytest.fixture(scope="module")
def done(chain, tmp_path_factory):
    return split(chain, "map", tmp_path_factory.mktemp("parts"), frames=frames(3))


def test_a_split_is_checked_against_the_whole(done, chain):
    assert done.parity.samples == 3
    assert done.parity.difference <= 1e-4 and done.parity.scale > 100
    assert set(done.parity.agreement) == set(TRANSFERS)
    assert min(done.parity.agreement.values()) > 0.99
    assert done.parity.sent_bytes["float32"] == 4 * 4 * 16 * 16 == 4 * done.parity.sent_bytes["uint8"] - 128
    assert done.partition.digest == digest(chain) and done.partition.shape == (1, 4, 16, 16)


def test_the_head_is_a_model_like_any_other(done):
    model = OnnxModel(done.head)
    assert (model.spec.name, model.spec.output.kind, model.spec.output.length) == ("chain.head", "vector", 1024)
    frame = frames(1)[0]
    np.testing.assert_array_equal(model.infer(frame), Head(done.head).see(frame).value.reshape(-1))


def test_the_tail_has_the_wholes_name_output_and_decoder(done, chain):
    spec, whole = read_spec(done.tail), read_spec(chain)
    assert spec.input is None
    assert (spec.name, spec.version, spec.output, spec.decoder) == (
        whole.name,
        whole.version,
        whole.output,
        whole.decoder,
    )
    with pytest.raises(InvalidInput, match="its spec has no `input`"):
        OnnxModel(done.tail)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_boxes_go_back_to_the_frame_they_were_seen_in(tmp_path, transfer):
    """The tail never sees the frame: where it lay in the letterbox travels with the map."""
    whole = write_spot(tmp_path / "spot.onnx")
    parts = split(whole, "map", tmp_path / "parts", frames=frames(1), transfer=transfer)
    head, tail = Head(parts.head), Tail(parts.tail)
    random = np.random.default_rng(1)
    for size in ((120, 160), (50, 20), (32, 32)):
        frame = random.integers(100, 256, (*size, 3), np.uint8)
        answer = tail.answer(tail.unpack(head.pack(head.see(frame))))
        np.testing.assert_allclose(answer, OnnxModel(whole).infer(frame), atol=2e-3)


def test_a_batch_of_any_size_and_shapes_by_shape_are_cut_too(tmp_path):
    whole = write_shaped(tmp_path / "shaped.onnx")
    for cut, shape, features in (("map", (1, 4, 16, 16), (4, 16, 16)), ("flat", (1, 1024), (1024, 1, 1))):
        parts = split(whole, cut, tmp_path / cut, frames=frames(2))
        assert parts.partition.shape == shape and Head(parts.head).features_shape == features
        assert parts.parity.difference < 1e-3


def test_a_cut_that_is_none_writes_nothing(chain, tmp_path):
    with pytest.raises(InvalidInput, match="map would cross it too"):
        split(chain, "left", tmp_path / "out", frames=frames(1))
    with pytest.raises(InvalidInput, match="at least one frame"):
        split(chain, "map", tmp_path / "out", frames=[])
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_the_same_twice_is_refused(tmp_path):
    from onnx import helper

    # Its numbers hang on its seed and on how often it ran, which for the whole and the parts differs on a second input.
    # All of them are the output: their mean is nearly the same every time.
    nodes = [
        helper.make_node("Relu", ["image"], ["map"]),
        helper.make_node("RandomNormalLike", ["map"], ["noise"], seed=1.0),
        helper.make_node("Add", ["map", "noise"], ["both"]),
        helper.make_node("Flatten", ["both"], ["out"]),
    ]
    output = {"kind": "vector", "length": 3 * 32 * 32}
    path = write_model(tmp_path / "random.onnx", nodes, [], [1, 3 * 32 * 32], {"output": output})
    black = [np.zeros((32, 32, 3), np.uint8)] * 2
    with pytest.raises(InvalidInput, match="both parts together differ from the whole by"):
        split(path, "map", tmp_path / "out", frames=black)
    assert not (tmp_path / "out").exists()


def test_a_part_is_not_split_again_and_says_which_part_it_is(done, chain):
    assert is_part(done.head) and not is_part(chain)
    with pytest.raises(InvalidInput, match="a part of a model already"):
        Splitter(done.tail)
    with pytest.raises(InvalidInput, match="is the head of chain, not its tail"):
        Tail(done.head)
    with pytest.raises(InvalidInput, match="is no part of a model"):
        Head(chain)
    head, tail = read_partition(done.head, "head"), read_partition(done.tail, "tail")
    assert head.cut == tail.cut and head.model_copy(update={"part": "tail"}) == tail


def test_only_maps_of_this_cut_are_taken(done, chain, tmp_path):
    other = split(chain, "sum", tmp_path, frames=frames(1))
    seen = Head(other.head).see(frames(1)[0])
    message = Head(other.head).pack(seen)
    tail = Tail(done.tail)
    with pytest.raises(InvalidInput, match="of another cut"):
        tail.unpack(message)
    own = Head(done.head).pack(Head(done.head).see(frames(1)[0]))
    wrong = {b"\xff\xd8 a JPEG": "no feature map", own + b"x" * 2000: "bytes, a map of", own[:44]: "damaged"}
    for damaged, said in wrong.items():
        with pytest.raises(InvalidInput, match=said):
            tail.unpack(damaged)
    check_map(own, done.partition)
    nowhere = own[:12] + np.asarray([0, 0, np.nan, 1], "<f8").tobytes() + own[44:]
    with pytest.raises(InvalidInput, match="places the frame"):
        tail.unpack(nowhere)


def test_a_head_that_gives_no_numbers_says_so(tmp_path):
    from onnx import helper

    nodes = [
        helper.make_node("Log", ["image"], ["map"]),
        helper.make_node("ReduceMean", ["map"], ["out"], axes=[1, 2, 3], keepdims=0),
    ]
    path = write_model(tmp_path / "log.onnx", nodes, [], [1], {"output": {"kind": "scalar"}})
    white = [np.full((32, 32, 3), 255, np.uint8)]
    head = Head(split(path, "map", tmp_path / "parts", frames=white).head)
    with pytest.raises(ModelFailed, match="NaN or infinity"):
        head.see(np.zeros((32, 32, 3), np.uint8))


def test_what_is_inside_is_json_that_others_can_read(done):
    import onnx

    found = {prop.key: prop.value for prop in onnx.load(str(done.head)).metadata_props}
    assert json.loads(found["infilink.partition"])["tensor"] == "map"
    assert json.loads(found["infilink"])["name"] == "chain.head"
