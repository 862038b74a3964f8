"""A link across domains as one ONNX file, and the session that serves it: numpy and onnxruntime are enough."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ... import __version__
from ...errors import InvalidInput
from ...models.session import open_session
from ...outputs import Array
from .link import DomainLink
from .task import LinkTask

METADATA_KEY = "infilink.domain_link"
_OPSET = 17
_IR_VERSION = 8


def check_can_save() -> None:
    """Whether a file can be written here; asked before work that would else be lost.

    Raises:
        InvalidInput: the package onnx is not installed.
    """
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError as error:
        raise InvalidInput("writing a link needs the package onnx: pip install 'infilink[train]'") from error


def save_link(link: DomainLink, path: Path) -> None:
    """Writes a link; beside it first, then renamed.

    Raises:
        InvalidInput: the package onnx is not installed.
    """
    check_can_save()
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    parts = {
        name: np.atleast_2d(link.network.parts[name]) for name in ("first", "first_bias", "second", "skip", "bias")
    }
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
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    onnx.save(model, str(beside))
    beside.replace(path)


class ServedLink:
    """A link across domains, ready to serve behind its sources.

    Args:
        path: the `.onnx` file.

    Raises:
        InvalidInput: it is not there, or is no such link.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InvalidInput(f"{self.path}: there is no such link (`infilink links adapt` writes one)")
        self._session = open_session(self.path)
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise InvalidInput(f"{self.path}: is an ONNX model, but no link across domains (`infilink links adapt`)")
        self.task = LinkTask.parse(metadata[METADATA_KEY], where=str(self.path))

    def predict(self, outputs: Mapping[str, Array]) -> Array:
        """The target's output, from those of all its sources on the same input.

        Raises:
            InvalidInput: a source is missing, or its output does not fit its type.
        """
        numbers = []
        for name, form in self.task.source_forms.items():
            if name not in outputs:
                raise InvalidInput(f"outputs: {name!r} is missing; the link reads {', '.join(self.task.sources)}")
            numbers.append(form.numbers([form.output.check(outputs[name])]))
        return np.asarray(self.task.form.values(self.predict_numbers(np.concatenate(numbers, axis=1)))[0])

    def predict_numbers(self, inputs: Array) -> Array:
        """The target's numbers (n, length) from the sources' (n, inputs); see `Form`."""
        return np.asarray(self._session.run(None, {"inputs": inputs.astype(np.float32)})[0])
