"""From a picture (uint8, BGR) to a model's own input, as nodes of the graph (needs the `onnx` package)."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from ...outputs import Array
from ..inputs.picture import PictureInput
from .stem import PICTURE

# As OpenCV makes grey of blue, green and red.
_GREY = (0.114, 0.587, 0.299)


class Nodes:
    """Nodes in a row, each reading what the one before gave, and their constants."""

    def __init__(self, first: str) -> None:
        self.last, self.nodes, self.weights = first, list[Any](), list[Any]()

    def add(self, operator: str, name: str, constant: Array | None = None, **attributes: Any) -> None:
        """Adds a node that gives `name`."""
        inputs = [self.last]
        if constant is not None:
            self.weights.append(numpy_helper.from_array(constant, f"{name}_with"))
            inputs.append(f"{name}_with")
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        self.last = name


def feed(fed: PictureInput, entry: str, entry_type: int) -> Nodes:
    """The nodes from the picture to a model's input.

    Args:
        fed: how a frame becomes its input.
        entry: that input's name.
        entry_type: its type, as onnx numbers them.
    """
    made = Nodes(PICTURE)
    made.add("Cast", "stem_float", to=TensorProto.FLOAT)
    # Channels come first before all else where they may: whole planes are quicker to put in order.
    axis, shape = (1, (-1, 1, 1)) if fed.layout == "NCHW" else (3, (-1,))
    if fed.layout == "NCHW":
        made.add("Transpose", "stem_planes", perm=[0, 3, 1, 2])
    if fed.color == "RGB":
        made.add("Gather", "stem_rgb", np.asarray([2, 1, 0], np.int64), axis=axis)
    elif fed.color == "GRAY":
        grey = np.asarray(_GREY, np.float32)
        if fed.layout == "NCHW":
            made.add("Conv", "stem_grey", grey[None, :, None, None])
        else:
            made.add("MatMul", "stem_grey", grey[:, None])
    if fed.mean != (0.0,):
        made.add("Sub", "stem_centred", np.asarray(fed.mean, np.float32).reshape(shape))
    if fed.std != (1.0,):
        made.add("Mul", "stem_scaled", (1 / np.asarray(fed.std)).astype(np.float32).reshape(shape))
    if entry_type != TensorProto.FLOAT:
        made.add("Cast", "stem_typed", to=entry_type)
    made.add("Identity", entry)
    return made
