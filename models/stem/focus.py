"""YOLO's first layer as one convolution: four slices, put together and convolved, take twice as long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from ...outputs import Array


@dataclass(frozen=True)
class Focus:
    """Every other row and column of the input, four times, and the convolution of them all.

    Attributes:
        nodes: the slices' and the concatenation's outputs, which are no longer needed.
        convolution: what reads them.
        offsets: the first row and column of each slice, in the order of the channels.
    """

    nodes: frozenset[str]
    convolution: Any
    offsets: tuple[tuple[int, int], ...]

    def as_one(self, entry: str, weight: Array) -> tuple[Any, Any]:
        """The node that gives the same from the input itself, and its weight, made of that of the convolution."""
        given, channels, rows, columns = weight.shape
        each = channels // len(self.offsets)
        wide = np.zeros((given, each, 2 * rows, 2 * columns), weight.dtype)
        for k, (row, column) in enumerate(self.offsets):
            wide[:, :, row::2, column::2] = weight[:, k * each : (k + 1) * each]
        attributes = {each.name: helper.get_attribute_value(each) for each in self.convolution.attribute}
        pads = [2 * n for n in attributes.get("pads", [0, 0, 0, 0])]
        name = f"stem_of_{self.convolution.input[1]}"
        node = helper.make_node(
            "Conv", [entry, name, *self.convolution.input[2:]], self.convolution.output[:1], pads=pads, strides=[2, 2]
        )
        return node, numpy_helper.from_array(wide, name)


def find_focus(nodes: Sequence[Any], entry: str, constants: Mapping[str, Array]) -> Focus | None:
    """Such a layer at a graph's beginning; None: it has none."""
    makers = {name: node for node in nodes for name in node.output}
    for node in nodes:
        if node.op_type != "Concat" or len(node.input) != 4:
            continue
        found = [_offset(name, makers, entry, constants) for name in node.input]
        readers = [each for each in nodes if node.output[0] in each.input]
        if None in {place for place, _ in found} or len(readers) != 1 or not _is_plain(readers[0]):
            continue
        offsets = tuple(place for place, _ in found if place is not None)
        if len(set(offsets)) == 4:
            passed = {name for _, names in found for name in names} | {node.output[0]}
            return Focus(frozenset(passed), readers[0], offsets)
    return None


def _offset(
    name: str, makers: Mapping[str, Any], entry: str, constants: Mapping[str, Array]
) -> tuple[tuple[int, int] | None, list[str]]:
    """The first row and column of a slice of the input that takes every other one of both, and what it goes through."""
    found, passed = dict[int, int](), list[str]()
    while name != entry:
        node = makers.get(name)
        if node is None or node.op_type != "Slice" or len(node.input) != 5:
            return None, []
        starts, _, axes, steps = (constants.get(each) for each in node.input[1:])
        if starts is None or axes is None or steps is None or (steps != 2).any():
            return None, []
        found |= dict(zip(axes.tolist(), starts.tolist(), strict=True))
        passed.append(name)
        name = node.input[0]
    if found.keys() != {2, 3} or not set(found.values()) <= {0, 1}:
        return None, []
    return (found[2], found[3]), passed


def _is_plain(node: Any) -> bool:
    """Whether it is a convolution of each place with its neighbours, in steps of one."""
    told = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    ones = all(n == 1 for key in ("strides", "dilations") for n in told.get(key, []))
    return node.op_type == "Conv" and ones and told.get("group", 1) == 1 and "auto_pad" not in told
