"""A graph of half precision in single precision, which processors are fast at."""

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

_HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def in_single_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, its weights and casts of half precision made float32; changed in place."""
    graph = model.graph
    if not any(tensor.data_type in _HALF for tensor in graph.initializer) and not any(
        value.type.tensor_type.elem_type in _HALF for value in graph.input
    ):
        return model
    for tensor in graph.initializer:
        _single(tensor)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in _HALF:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                _single(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in _HALF:
                attribute.i = TensorProto.FLOAT
    del graph.value_info[:]
    return model


def _single(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _HALF:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
