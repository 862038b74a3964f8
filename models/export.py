"""A torch module as an ONNX file with its spec inside, checked against torch before anything is written."""

import importlib.util
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, ModelFailed
from ..outputs import Array
from .export_samples import Sample, open_axes, read_samples
from .guarded import guarded
from .onnx_model import OnnxModel, try_out
from .quantize import Int8, quantize
from .session import open_session
from .spec import ModelSpec, parse_spec, write_spec

if TYPE_CHECKING:
    import torch

OPSET = 17
MAX_DIFFERENCE = 1e-3
_RETURNS = "(torch module, ModelSpec or dict, list of sample inputs)"


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        path: the ONNX file.
        spec: what is written inside it.
        size_bytes: of the file.
        samples: how many inputs it was checked on.
        difference: largest absolute difference between torch and onnxruntime, in float, on the samples.
        int8: how it was made int8 and what that changed; None if it was not.
    """

    path: Path
    spec: ModelSpec
    size_bytes: int
    samples: int
    difference: float
    int8: Int8 | None


def export(target: str, out: Path, *, int8: bool = False) -> Exported:
    """Exports what `PATH.py:function` returns: a torch module, its spec, and sample inputs.

    The file appears under its name only when everything is checked; nothing is left behind otherwise.

    Raises:
        InvalidInput: no such file or function, it raised, or what it returned can't be exported; says what to do.
    """
    if out.suffix != ".onnx":
        raise InvalidInput(f"{out}: name a file that ends in .onnx")
    if not out.parent.is_dir():
        raise InvalidInput(f"{out}: there is no folder {out.parent}; make it first")
    with _called(target) as returned, tempfile.TemporaryDirectory(dir=out.parent, suffix=".part") as scratch:
        module, spec, samples = _checked(returned, where=target)
        part = Path(scratch) / "float.onnx"
        expected = _export_graph(module, spec, samples, part, where=target)
        inputs = [{name: tensor.numpy() for name, tensor in sample.items()} for sample in samples]
        difference = _difference(part, inputs, expected, where=target)
        done, part = quantize(part, inputs, Path(scratch)) if int8 else (None, part)
        write_spec(part, spec)
        for name in spec.fed.files():
            if not (out.parent / name).is_file():
                raise InvalidInput(f"{target}: its spec names {name}, which must lie beside {out}: put it there first")
            shutil.copyfile(out.parent / name, part.parent / name)
        _try_spec(part, where=target)
        part.replace(out)
    return Exported(out, spec, out.stat().st_size, len(inputs), difference, done)


@contextmanager
def _called(target: str) -> Iterator[Any]:
    """What the function returns; its file stays imported, and its folder on the path, while the body runs."""
    path, function = _parse_target(target)
    name = f"_infilink_export_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    assert module_spec is not None and module_spec.loader is not None, "a .py file always has a loader"
    loaded = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = loaded
    sys.path.insert(0, str(path.resolve().parent))
    try:
        guarded(lambda: module_spec.loader.exec_module(loaded), f"{path}: importing it failed")  # type: ignore[union-attr]
        made = getattr(loaded, function, None)
        if not callable(made):
            raise InvalidInput(f"{path}: has no function {function!r}; write one that returns {_RETURNS}")
        yield guarded(made, f"{target}: the function failed")
    finally:
        sys.path.remove(str(path.resolve().parent))
        del sys.modules[name]


def _parse_target(target: str) -> tuple[Path, str]:
    file, _, function = target.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not function.isidentifier():
        raise InvalidInput(f"{target!r}: write PATH.py:function, such as my_model.py:build")
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    return path, function


def _checked(returned: Any, *, where: str) -> tuple["torch.nn.Module", ModelSpec, list[Sample]]:
    """The three things the function must return."""
    import torch

    if not isinstance(returned, tuple) or len(returned) != 3:
        raise InvalidInput(f"{where}: must return {_RETURNS}, not {type(returned).__name__}")
    module, spec, samples = returned
    if not isinstance(module, torch.nn.Module):
        raise InvalidInput(f"{where}: must first return a torch.nn.Module, not {type(module).__name__}")
    if not isinstance(spec, ModelSpec | Mapping):
        raise InvalidInput(f"{where}: must return a ModelSpec or a dict second, not {type(spec).__name__}")
    spec = spec if isinstance(spec, ModelSpec) else parse_spec(spec, where=f"{where}: its spec")
    module = module.cpu().eval()
    return module, spec, read_samples(samples, module, spec, where=where)


def _export_graph(
    module: "torch.nn.Module", spec: ModelSpec, samples: list[Sample], path: Path, *, where: str
) -> list[list[Array]]:
    """Writes the graph and returns what torch says to each sample."""
    import torch

    def run() -> list[list[Array]]:
        with torch.no_grad():
            return [_flat(module(*(each.clone() for each in sample.values()))) for sample in samples]

    expected: list[list[Array]] = guarded(run, f"{where}: the module failed on its samples")
    count = len(expected[0])
    names = [spec.decoder.output or "output"] if count == 1 else [f"output{i}" for i in range(count)]

    def trace() -> None:
        torch.onnx.export(
            module,
            tuple(each.clone() for each in samples[0].values()),
            str(path),
            input_names=list(samples[0]),
            output_names=names,
            dynamic_axes=open_axes(samples),
            opset_version=OPSET,
            dynamo=False,
        )

    with warnings.catch_warnings():
        # We choose the tracing exporter on purpose, and what tracing may get wrong the parity check finds.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.onnx|infilink\.models\.export")
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        guarded(trace, f"{where}: torch can't export the module to ONNX opset {OPSET}")
    return expected


def _flat(value: Any) -> list[Array]:
    """A module's output as the exporter orders it: tensors in tuples, lists and dicts, from left to right."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [array for item in value for array in _flat(item)]
    return [value.detach().numpy()]


def _difference(path: Path, inputs: list[dict[str, Array]], expected: list[list[Array]], *, where: str) -> float:
    """The largest absolute difference from torch on the samples."""
    session = open_session(path)
    # What forward() does not use is no input of the graph.
    names = [node.name for node in session.get_inputs()]
    largest = 0.0
    for i, (sample, wanted) in enumerate(zip(inputs, expected, strict=True)):
        got = session.run(None, {name: sample[name] for name in names})
        if [a.shape for a in got] != [b.shape for b in wanted]:
            shapes = f"{[list(a.shape) for a in got]}, in torch {[list(b.shape) for b in wanted]}"
            raise InvalidInput(f"{where}: on sample {i} the ONNX outputs are {shapes}; make them of one fixed shape")
        gaps = [np.abs(a.astype(np.float64) - b).max() for a, b in zip(got, wanted, strict=True) if a.size]
        largest = max([largest, *(float(gap) if np.isfinite(gap) else np.inf for gap in gaps)])
    if largest > MAX_DIFFERENCE:
        raise InvalidInput(
            f"{where}: onnxruntime differs from torch by {largest:.2g} on the samples, more than {MAX_DIFFERENCE:g} "
            "(or holds NaN); remove randomness and Python branches on tensor values from forward()"
        )
    return largest


def _try_spec(path: Path, *, where: str) -> None:
    """Runs on one input with the finished file, so that a spec that does not fit is found now."""
    try:
        model = OnnxModel(path)
        try_out(model.infer, model.spec.fed.samples())
    except (InvalidInput, ModelFailed) as error:
        raise InvalidInput(f"{where}: the spec does not fit: {str(error).removeprefix(f'{path}: ')}") from error
