"""Small convolutional models of every kind that stems are cut from: layouts, precisions, shuffles, a transformer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from infilink.outputs import Array
from onnx import helper, numpy_helper

SIDE = 64
"""Rows and columns of each model's own input."""
CHANNELS = (8, 12, 16, 24)


class Model:
    """Nodes in a row, and their weights; strides 2, 4, 8 and 16."""

    def __init__(self, dtype: Any = np.float32) -> None:
        self.random = np.random.default_rng(0)
        self.dtype, self.last = dtype, "images"
        self.nodes, self.weights = list[Any](), list[Any]()

    def constant(self, value: Any, name: str) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, [self.last, *inputs], [name], **attributes))
        self.last = name

    def convolve(self, name: str, taken: int, given: int, *, side: int = 3, stride: int = 2, pad: int = 1) -> None:
        weight = self.random.normal(0, 1 / np.sqrt(taken * side**2), (given, taken, side, side)).astype(self.dtype)
        self.constant(weight, f"{name}_weight")
        self.add("Conv", f"{name}_sums", f"{name}_weight", strides=[stride, stride], pads=[pad] * 4)
        self.add("Relu", name)

    def layers(self, taken: int) -> "Model":
        """Four strided convolutions and one that is not."""
        for k, given in enumerate(CHANNELS):
            self.convolve(f"map_{2 ** (k + 1)}", taken, given)
            taken = given
        self.convolve("last", taken, taken, stride=1)
        return self

    def shuffle(self, name: str, channels: int, places: int) -> None:
        """Puts channels in another order, by constants that hold the model's own size."""
        self.add("Reshape", f"{name}_in", self.constant([1, 2, channels // 2, places, places], f"{name}_a"))
        self.add("Transpose", f"{name}_turned", perm=[0, 2, 1, 3, 4])
        self.add("Reshape", name, self.constant([1, -1, places, places], f"{name}_b"))

    def save(
        self,
        path: Path,
        shape: Sequence[int | str] = (1, 3, SIDE, SIDE),
        *,
        opset: int = 13,
        listed: bool = False,
        metadata: dict[str, str] | None = None,
        color: str = "BGR",
        spec: str = "",
    ) -> Path:
        """Writes it, a mean behind it, and its spec beside it."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        self.add("GlobalAveragePool", "pooled")
        self.add("Flatten", "out")
        inputs = [helper.make_tensor_value_info("images", kind, shape)]
        if listed:
            inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights]
        said = [helper.make_tensor_value_info("out", kind, None)]
        graph = helper.make_graph(self.nodes, "made", inputs, said, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        model.producer_name, model.producer_version = "made", "1.2.3"
        for key, value in (metadata or {}).items():
            model.metadata_props.add(key=key, value=value)
        onnx.save(model, str(path))
        path.with_suffix(".toml").write_text(
            f'description = "made for a test"\n[input]\nsize = [{SIDE}, {SIDE}]\ncolor = "{color}"\n{spec}\n'
            f'[output]\nkind = "vector"\nlength = {CHANNELS[-1]}\n'
        )
        return path


def plain(path: Path, **options: Any) -> Path:
    return Model().layers(3).save(path, **options)


def channels_last(path: Path) -> Path:
    model = Model()
    model.add("Transpose", "planes", perm=[0, 3, 1, 2])
    return model.layers(3).save(path, (1, SIDE, SIDE, 3), color="RGB", spec='layout = "NHWC"')


def grey(path: Path) -> Path:
    return Model().layers(1).save(path, (1, 1, SIDE, SIDE), color="GRAY", spec="mean = [100]\nstd = [50]")


def half(path: Path) -> Path:
    return Model(np.float16).layers(3).save(path)


def shuffled(path: Path) -> Path:
    model = Model()
    model.convolve("map_2", 3, CHANNELS[0])
    model.convolve("map_4", CHANNELS[0], CHANNELS[1])
    model.convolve("map_8", CHANNELS[1], CHANNELS[2])
    model.shuffle("mixed", CHANNELS[2], SIDE // 8)
    model.convolve("map_16", CHANNELS[2], CHANNELS[3])
    return model.save(path)


def halved_by_its_shape(path: Path) -> Path:
    """Half of the channels go on, by a size that the graph itself computes, as exporters write `chunk`."""
    model = Model()
    model.convolve("map_2", 3, CHANNELS[0])
    model.convolve("map_4", CHANNELS[0], CHANNELS[1])
    model.convolve("map_8", CHANNELS[1], CHANNELS[2])
    whole = model.last
    model.add("Shape", "shape")
    model.add("Gather", "channels", model.constant([1], "first"), axis=0)
    model.add("Div", "half", model.constant([2], "two"))
    model.last = whole
    model.add("Slice", "fewer", model.constant([0], "zero"), "half", "first")
    model.convolve("map_16", CHANNELS[2] // 2, CHANNELS[3])
    return model.save(path)


def focused(path: Path) -> Path:
    """YOLO's first layer: every other row and column, four times, side by side."""
    model = Model()
    bounds = [model.constant([n], f"at_{n}") for n in (0, 1)]
    far, rows, columns, two = (
        model.constant([n], name) for n, name in ((2**40, "far"), (2, "rows"), (3, "columns"), (2, "two"))
    )
    parts = []
    for row in (0, 1):
        for column in (0, 1):
            model.last = "images"
            model.add("Slice", f"rows_{row}_{column}", bounds[row], far, rows, two)
            model.add("Slice", f"part_{row}_{column}", bounds[column], far, columns, two)
            parts.append(model.last)
    model.last = parts[0]
    model.add("Concat", "beside", *parts[1:], axis=1)
    model.convolve("map_2", 12, CHANNELS[0], stride=1)
    for k in (1, 2, 3):
        model.convolve(f"map_{2 ** (k + 1)}", CHANNELS[k - 1], CHANNELS[k])
    return model.save(path)


def fixed_positions(path: Path) -> Path:
    """A transformer's beginning: patches in a row, and for each a position that is learnt."""
    model = Model()
    model.convolve("patches", 3, 24, side=16, stride=16, pad=0)
    model.add("Flatten", "row", axis=2)
    places = (SIDE // 16) ** 2
    model.add("Reshape", "tokens", model.constant([1, 24, places], "row_shape"))
    model.add(
        "Add", "placed", model.constant(model.random.normal(size=(1, 24, places)).astype(np.float32), "positions")
    )
    model.add("Reshape", "again", model.constant([1, 24, SIDE // 16, SIDE // 16], "map_shape"))
    for name in ("a", "b", "c"):
        model.convolve(name, 24, 24, stride=1)
    return model.save(path)


def quantised(path: Path) -> Path:
    """Convolutions of whole numbers, as onnxruntime's own quantiser writes them."""
    model = Model()
    scale, zero = model.constant(np.float32(0.02), "scale"), model.constant(np.uint8(128), "zero")
    pixels = model.constant(np.float32(1.0), "pixel"), model.constant(np.uint8(0), "none")
    model.add("QuantizeLinear", "whole", *pixels)
    taken, before = 3, pixels
    for k, given in enumerate(CHANNELS):
        weight = model.random.integers(-20, 21, (given, taken, 3, 3)).astype(np.int8)
        of_weight = model.constant(np.float32(0.0002 if k == 0 else 0.01), f"scale_{k}")
        inputs = (*before, model.constant(weight, f"weight_{k}"), of_weight, model.constant(np.int8(0), f"zero_{k}"))
        model.add("QLinearConv", f"map_{2 ** (k + 1)}", *inputs, scale, zero, strides=[2, 2], pads=[1, 1, 1, 1])
        taken, before = given, (scale, zero)
    model.add("DequantizeLinear", "numbers", scale, zero)
    return model.save(path)


def picture(width: int = SIDE, height: int = SIDE) -> Array:
    """Soft blobs, uint8 BGR."""
    rows, columns = np.mgrid[:height, :width]
    colours = [np.sin(rows / (7 + k)) * np.cos(columns / (9 - k)) for k in range(3)]
    return np.asarray(127 * (1 + np.stack(colours, axis=2)), np.uint8)
