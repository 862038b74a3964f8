"""A stem that is made, not cut: eight small convolutions over the picture, pooled by maximum and mean."""

from pathlib import Path

import numpy as np
from infilink.models.stem.cut import save_stem
from infilink.models.stem.spec import StemSpec
from infilink.models.stem.stem import FEATURES, PICTURE, PLACES
from onnx import TensorProto, helper, numpy_helper

SIZE = (80, 60)
CHANNELS = 8
SPEC = StemSpec(
    model="drawn",
    digest="d0",
    licence="none",
    size=SIZE,
    maps=("deep",),
    length=2 * CHANNELS,
    places=(CHANNELS, 15, 20),
    multiplications=2_000_000,
)


def write_stem(path: Path, *, seed: int = 0, licence: str = SPEC.licence) -> Path:
    """The file of such a stem."""
    random = np.random.default_rng(seed)
    weights = {
        "unit": np.float32(1 / 255),
        "filters": random.normal(0, 0.3, (CHANNELS, 3, 4, 4)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", [PICTURE], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "unit"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels_first", "filters"], ["sums"], strides=[4, 4]),
        helper.make_node("Relu", ["sums"], [PLACES]),
        helper.make_node("GlobalMaxPool", [PLACES], ["most"]),
        helper.make_node("GlobalAveragePool", [PLACES], ["mean"]),
        helper.make_node("Concat", ["most", "mean"], ["pooled"], axis=1),
        helper.make_node("Flatten", ["pooled"], [FEATURES]),
    ]
    taken = helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, ["n", SIZE[1], SIZE[0], 3])
    given = [
        helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", SPEC.length]),
        helper.make_tensor_value_info(PLACES, TensorProto.FLOAT, ["n", *SPEC.places]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "stem", [taken], given, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save_stem(path, made, SPEC.model_copy(update={"licence": licence}))
    return path
