"""A packet gate as one ONNX file: from a packet's features to the doubt of holding (needs the `onnx` package)."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...files import replacing
from .features import NAMES
from .spec import METADATA_KEY, PacketSpec

_OPSET = 17
_IR_VERSION = 9


def save_packets(path: Path, spec: PacketSpec) -> None:
    """Writes a packet gate with what it says of itself."""
    weights = np.asarray([[spec.weights[name]] for name in NAMES], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "weights"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["doubt"]),
        ],
        "packets",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(NAMES)])],
        [helper.make_tensor_value_info("doubt", TensorProto.FLOAT, ["n", 1])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    helper.set_model_props(model, {METADATA_KEY: spec.model_dump_json()})
    onnx.checker.check_model(model)
    with replacing(path) as part:
        onnx.save(model, str(part))
