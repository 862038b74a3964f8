"""A model that is served by its tensors alone (`serve = "tensors"`): whoever calls it knows what they mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from .onnx_model import OnnxModel, run_tensors, takes_several
from .session import CPU_ONLY, SessionProviders, open_session
from .spec import ModelSpec, spec_beside
from .tensors import STRINGS, Signature, read_signature


class TensorModel:
    """One loaded ONNX model without a picture.

    Args:
        path: the `.onnx` file.
        spec: what it is called.
        threads: how many threads one inference may use.
        optimized: where onnxruntime's own optimized form of the file is kept between loads.
        providers: what runs it.

    Raises:
        InvalidInput: no ONNX file.
    """

    def __init__(
        self,
        path: Path,
        spec: ModelSpec,
        *,
        threads: int = 1,
        optimized: Path | None = None,
        providers: SessionProviders = CPU_ONLY,
    ) -> None:
        self.spec = spec
        self._session = open_session(path, threads=threads, optimized=optimized, providers=providers)
        self.batches = takes_several(self._session)

    def infer(self, frame: Array) -> Array:
        """Raises InvalidInput: it looks at no frames."""
        raise InvalidInput(f"{self.spec.name}: takes tensors alone, no pictures")

    def infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """The graph's own outputs by name, for its own inputs; what `run_tensors` says."""
        return run_tensors(self._session, tensors, outputs, name=self.spec.name)


def open_model(
    path: Path, *, threads: int = 1, optimized: Path | None = None, providers: SessionProviders = CPU_ONLY
) -> OnnxModel | TensorModel:
    """A model as its spec says that it is served.

    Raises:
        InvalidInput: no ONNX file, no spec, or a spec that does not fit the model.
    """
    beside = spec_beside(path)
    if beside is not None and beside.serve == "tensors":
        return TensorModel(path, beside, threads=threads, optimized=optimized, providers=providers)
    return OnnxModel(path, threads=threads, optimized=optimized, providers=providers)


def blank(path: Path) -> dict[str, Array] | None:
    """Zeros for each of a model's inputs, to warm it up with; None: they do not say how large they are."""
    signature: Signature = read_signature(path)
    found: dict[str, Array] = {}
    for spec in signature.inputs:
        if spec.shape is None or spec.dtype in ("", STRINGS) or any(n < 0 for n in spec.shape[1:]):
            return None
        found[spec.name] = np.zeros([max(1, n) for n in spec.shape], spec.dtype)
    return found
