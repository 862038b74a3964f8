"""A model's maps at any size: the same numbers as inside the model itself, whatever the model is made of."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from infilink.errors import InvalidInput
from infilink.models.inputs.picture import preprocess
from infilink.models.spec import read_spec
from infilink.models.stem.cut import cut_stem
from infilink.models.stem.layers import Layers
from infilink.outputs import Array

from . import made

SIZE = (160, 96)
KINDS = {
    "plain": made.plain,
    "opset 9, weights as inputs": lambda path: made.plain(path, opset=9, listed=True),
    "any size": lambda path: made.plain(path, shape=("n", 3, "height", "width")),
    "opset 20": lambda path: made.plain(path, opset=20),
    "channels last": made.channels_last,
    "grey": made.grey,
    "half precision": made.half,
    "channels shuffled": made.shuffled,
    "halved by its shape": made.halved_by_its_shape,
    "focus": made.focused,
    "quantised": made.quantised,
}


def layers_of(path: Path) -> Layers:
    return Layers(path, read_spec(path).picture)


def run(model: Any, name: str, fed: dict[str, Array]) -> Array:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([name], fed)[0])


def inside(path: Path, name: str, picture: Array) -> Array:
    """What a tensor holds inside the model itself."""
    model = onnx.load(str(path))
    model.graph.output.append(onnx.ValueInfoProto(name=name))
    tensor = preprocess(picture, read_spec(path).picture)[0]
    kind = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    return run(model, name, {"images": tensor.astype(kind)})


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_holds_what_it_holds_inside_the_model(kind: str, tmp_path: Path) -> None:
    path = KINDS[kind](tmp_path / "model.onnx")
    layers, own = layers_of(path), (made.SIDE, made.SIDE)
    maps = [each for each in layers.maps(own) if each.ends]
    assert [each.stride for each in maps] == [8, 16]
    for each in maps:
        got = run(cut_stem(layers, [each], own), "places", {"picture": made.picture()[None]})
        want = inside(path, each.name, made.picture())
        if want.dtype == np.uint8:
            want = (want.astype(np.float32) - 128) * 0.02
        # OpenCV's grey is of whole numbers, and half precision is not exact.
        near = 0.02 * np.abs(want).max() if kind in ("half precision", "grey") else 1e-3
        np.testing.assert_allclose(got, want.astype(np.float32), atol=near)


@pytest.mark.parametrize("kind", KINDS)
def test_at_another_size_the_middle_is_as_it_was(kind: str, tmp_path: Path) -> None:
    """What lies far from the borders does not depend on the picture's size."""
    layers = layers_of(KINDS[kind](tmp_path / "model.onnx"))
    wide = made.picture(320, 192)
    found = []
    for width, height in (SIZE, (320, 192)):
        last = next(each for each in layers.maps((width, height)) if each.name == "map_8")
        assert last.shape == (made.CHANNELS[2], height // 8, width // 8)
        picture = wide[:height, :width][None]
        found.append(
            run(cut_stem(layers, [last], (width, height)), "places", {"picture": np.ascontiguousarray(picture)})
        )
    np.testing.assert_allclose(found[0][..., 2:-2, 2:-2], found[1][..., 2:10, 2:18], rtol=1e-3, atol=1e-4)


def test_several_pictures_go_through_at_once(tmp_path: Path) -> None:
    layers = layers_of(made.shuffled(tmp_path / "model.onnx"))
    model = cut_stem(layers, [each for each in layers.maps(SIZE) if each.ends], SIZE)
    pictures = np.stack([made.picture(*SIZE), 255 - made.picture(*SIZE)])
    both = run(model, "features", {"picture": pictures})
    np.testing.assert_allclose(both[1:], run(model, "features", {"picture": pictures[1:]}), rtol=1e-5)


def test_yolos_first_layer_becomes_one_convolution(tmp_path: Path) -> None:
    layers = layers_of(made.focused(tmp_path / "model.onnx"))
    nodes = cut_stem(layers, layers.maps(SIZE)[-1:], SIZE).graph.node
    assert not [node for node in nodes if node.op_type == "Slice" or "beside" in node.output]


def test_a_stem_holds_the_weights_of_its_layers_only(tmp_path: Path) -> None:
    layers = layers_of(made.plain(tmp_path / "model.onnx"))
    first = next(each for each in layers.maps(SIZE) if each.stride == 8)
    names = {tensor.name for tensor in cut_stem(layers, [first], SIZE).graph.initializer}
    assert {name for name in names if name.startswith("map_")} == {f"map_{n}_weight" for n in (2, 4, 8)}


def test_weights_beside_the_model_come_into_the_stem(tmp_path: Path) -> None:
    path = made.plain(tmp_path / "model.onnx")
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="model.data", size_threshold=0)
    layers = layers_of(path)
    assert np.isfinite(
        run(cut_stem(layers, layers.maps(SIZE)[-1:], SIZE), "features", {"picture": made.picture(*SIZE)[None]})
    ).all()


def test_a_transformer_with_fixed_positions_offers_nothing_behind_them(tmp_path: Path) -> None:
    assert layers_of(made.fixed_positions(tmp_path / "model.onnx")).maps(SIZE) == []


def test_what_is_no_model_of_pictures_is_refused(tmp_path: Path) -> None:
    fed = read_spec(made.plain(tmp_path / "model.onnx")).picture
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidInput, match="not an ONNX model"):
        Layers(tmp_path / "damaged.onnx", fed)
    with pytest.raises(InvalidInput, match="'images' is no picture"):
        Layers(made.plain(tmp_path / "row.onnx", shape=(1, 3)), fed)
