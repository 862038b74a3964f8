"""Writes an embedding as one ONNX file (needs the `onnx` package, in `infilink[train]`)."""

import os
import tempfile
import warnings
from pathlib import Path

import onnx
import torch

from ...outputs import Array
from .pair_head import PairNetwork
from .spec import METADATA_KEY, ReuseSpec

_OPSET = 17


def export_network(network: PairNetwork, sample: Array) -> onnx.ModelProto:
    """The network as an ONNX model: "input" to "embedding" (n, dims) and, if it is scored, "score" (n, 1).

    Args:
        network: the trained one.
        sample: a prepared input, (1, ...).
    """
    names = ["embedding"] if network.head is None else ["embedding", "score"]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The tracing exporter on purpose: what is calibrated is the exported model.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        exported = Path(folder) / "exported.onnx"
        torch.onnx.export(
            network.eval(),
            (torch.from_numpy(sample),),
            str(exported),
            input_names=["input"],
            output_names=names,
            dynamic_axes={name: {0: "n"} for name in ("input", *names)},
            opset_version=_OPSET,
            dynamo=False,
        )
        return onnx.load(str(exported))


def write_reuse(path: Path, model: onnx.ModelProto, spec: ReuseSpec) -> None:
    """Writes the model with what it says of itself."""
    model.metadata_props.add(key=METADATA_KEY, value=spec.model_dump_json())
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    onnx.save(model, str(beside))
    beside.replace(path)
