"""What sites learnt together, as one file: from it and a recording of its own any site makes links, also a new one.

The file is a plain ONNX graph from the sources' numbers to the target's (see `Form`), with what it is for inside.
"""

from pathlib import Path

import numpy as np

from ... import __version__
from ...errors import InvalidInput
from ...files import replacing
from ...models.session import open_session
from .export import check_can_export
from .link import DomainLink
from .moments import Standard
from .network import DomainNetwork
from .task import LinkTask

METADATA_KEY = "infilink.domain_link"
_OPSET = 17
_IR_VERSION = 8


def save_shared(link: DomainLink, path: Path) -> None:
    """Writes it.

    Raises:
        InvalidInput: the package onnx is not installed.
    """
    check_can_export()
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    parts = {name: np.atleast_2d(part) for name, part in link.network.parts.items()}
    parts |= {"mean": link.of_inputs.mean[None], "std": link.of_inputs.std[None]}
    parts |= {"target_mean": link.of_targets.mean[None], "target_std": link.of_targets.std[None]}
    nodes = [
        helper.make_node("Sub", ["inputs", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["standard"]),
        helper.make_node("Gemm", ["standard", "first", "first_bias"], ["bent"]),
        helper.make_node("Tanh", ["bent"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "second", "bias"], ["curved"]),
        helper.make_node("MatMul", ["standard", "skip"], ["straight"]),
        helper.make_node("Add", ["curved", "straight"], ["predicted"]),
        helper.make_node("Mul", ["predicted", "target_std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "target_mean"], ["numbers"]),
    ]
    sizes = {"inputs": link.task.inputs, "numbers": link.task.form.length}
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in sizes.items()}
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in parts.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "domain_link", [ends["inputs"]], [ends["numbers"]], weights),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="infilink",
        producer_version=__version__,
    )
    model.metadata_props.add(key=METADATA_KEY, value=link.task.dump())
    with replacing(path) as part:
        onnx.save(model, str(part))


def read_shared(path: Path) -> DomainLink:
    """Reads what `save_shared` wrote, in this version or the first.

    Raises:
        InvalidInput: it is not there, is no such file, or the package onnx is not installed.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file (`infilink federate serve` writes one)")
    check_can_export()
    import onnx
    from onnx import numpy_helper

    told = open_session(path).get_modelmeta().custom_metadata_map
    if METADATA_KEY not in told:
        raise InvalidInput(
            f"{path}: is an ONNX model, but not what sites learnt together (`infilink federate serve` writes that)"
        )
    task = LinkTask.parse(told[METADATA_KEY], where=str(path))
    weights_of = onnx.load(str(path)).graph.initializer
    found = {part.name: numpy_helper.to_array(part).astype(np.float64) for part in weights_of}
    try:
        weights = np.concatenate([found[name].ravel() for name in task.shape.parts])
        of_inputs, of_targets = (
            Standard(found[f"{of}mean"].reshape(length), found[f"{of}std"].reshape(length))
            for of, length in (("", task.inputs), ("target_", task.form.length))
        )
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"{path}: is damaged ({error!r})") from error
    if len(weights) != task.shape.size:
        raise InvalidInput(f"{path}: is damaged (it holds {len(weights)} weights of {task.shape.size})")
    return DomainLink(task, of_inputs, of_targets, DomainNetwork(task.shape, weights))
