"""A model at work: one input in, the output that its spec describes out."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from ..errors import BadOutput, InfilinkError, InvalidInput, ModelFailed
from ..outputs import Array
from .decoding import DECODERS, decode
from .inputs.base import has_rows
from .inputs.fed import Fed, Letterbox
from .session import CPU_ONLY, SessionProviders, first_line, open_session, shrink_arenas
from .spec import spec_beside, spec_inside


class OnnxModel:
    """One loaded ONNX model: preprocess, run, decode.

    Args:
        path: the `.onnx` file; its spec is inside or beside it.
        threads: how many threads one inference may use.
        optimized: where onnxruntime's own optimized form of the file is kept: it is written by the first to load the
            model and read by the next, which takes a third of the time. It is good on this machine only, and for this
            very file.
        providers: what runs it.

    Raises:
        InvalidInput: no ONNX file, no spec, or a spec that does not fit the model.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        threads: int = 1,
        optimized: Path | None = None,
        providers: SessionProviders = CPU_ONLY,
    ) -> None:
        self.path = Path(path)
        beside = spec_beside(self.path)
        self._session = open_session(self.path, threads=threads, optimized=optimized, providers=providers)
        self._first_run = shrink_arenas(self._session)
        self.spec = beside or spec_inside(self._session, self.path)
        # Those with a default are not among them: onnxruntime lists them as initializers.
        nodes = {node.name: node for node in self._session.get_inputs()}
        try:
            self._feed = self.spec.fed.bind(nodes, self.path.parent)
        except InvalidInput as error:
            raise InvalidInput(f"{self.path}: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.batches = self.spec.fed.batches and takes_several(self._session, self.spec.fed.constants)
        self._fits = False

    def infer(self, value: Array) -> Array:
        """The model's output for one input, as `outputs.py` describes it per kind.

        Args:
            value: what the spec's `input` says: a frame (uint8 BGR, height x width x 3), a signal, a sound and so on
                (`inputs/form.py`).

        Raises:
            InvalidInput: this is no such input.
            BadOutput: the model raised on this input, or its output holds NaN, infinity or a class there is not, or is
                of another shape than those before it.
            ModelFailed: its spec does not fit: the decoder can't read its tensors, or no output had the right shape.
        """
        fed = self._feed(value)
        return self._decode(fed.outputs(self._run), fed.letterbox)

    def infer_batch(self, values: Sequence[Array]) -> list[Array | InfilinkError]:
        """The outputs for several inputs from one run, or why one has none; a run for each length, if they differ.

        Raises:
            BadOutput: the model raised on them, or gave something else than one row for each: that is not tried again.
            InvalidInput: one is no such input.
        """
        fed = [self._feed(value) for value in values]
        alike: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for at, each in enumerate(fed):
            alike.setdefault(tuple(tensor.shape for tensor in each.tensors.values()), []).append(at)
        found: dict[int, Array | InfilinkError] = {}
        for places in alike.values():
            found.update(zip(places, self._infer_alike([fed[at] for at in places]), strict=True))
        return [found[at] for at in range(len(fed))]

    def _infer_alike(self, fed: Sequence[Fed]) -> list[Array | InfilinkError]:
        """The outputs for tensors of the same shapes, from one run."""
        together = {name: np.concatenate([each.tensors[name] for each in fed]) for name in fed[0].tensors}
        raw = self._run({**together, **fed[0].fixed})
        if any(np.shape(value)[:1] != (len(fed),) for value in raw.values()):
            self.batches = False
            raise BadOutput(f"{self.spec.name}: gave no row for each of {len(fed)} inputs")
        found: list[Array | InfilinkError] = []
        for at, each in enumerate(fed):
            try:
                found.append(self._decode({name: value[at : at + 1] for name, value in raw.items()}, each.letterbox))
            except InfilinkError as error:
                found.append(error)
        return found

    def infer_tensors(self, tensors: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """The graph's own outputs by name, for its own inputs; what `run_tensors` says."""
        return run_tensors(self._session, tensors, outputs, name=self.spec.name)

    def _run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        try:
            run, self._first_run = self._first_run, None
            return dict(zip(self._outputs, self._session.run(None, dict(tensors), run), strict=True))
        except Exception as error:  # onnxruntime raises many types of its own
            raise BadOutput(f"{self.spec.name}: {first_line(error)}") from error

    def _decode(self, raw: dict[str, Array], letterbox: Letterbox) -> Array:
        value = None
        try:
            value = decode(raw, self.spec.decoder, self.spec.output, letterbox)
            value = self.spec.output.check_shape(value)
            self._fits = True
        except BadOutput as error:
            raise BadOutput(f"{self.spec.name}: {error}") from error
        except Exception as error:  # what a model returns may be of any shape and type, a list of maps too
            if value is not None and self._fits:
                raise BadOutput(f"{self.spec.name}: {error}") from error
            shapes = ", ".join(f"{name} {list(np.shape(value))}" for name, value in raw.items())
            raise ModelFailed(
                f"{self.spec.name}: decoder {self.spec.decoder.name!r} can't read its outputs ({shapes}): {error}; "
                f"correct `[decoder]` or `[output]` in the model's spec (decoders: {', '.join(DECODERS)})"
            ) from error
        try:
            return self.spec.output.check(value)
        except (ValueError, TypeError) as error:
            raise BadOutput(f"{self.spec.name}: {error}") from error


def run_tensors(
    session: ort.InferenceSession, tensors: Mapping[str, Array], outputs: Sequence[str], *, name: str
) -> dict[str, Array]:
    """A graph's outputs by name, for its inputs.

    Args:
        session: runs it.
        tensors: the inputs by name.
        outputs: the outputs that are asked for; empty: all.
        name: the model's, for messages.

    Raises:
        InvalidInput: one is missing, there is none of that name, or it is not of the type or shape that is taken.
        BadOutput: the graph raised on them, or gave what is no tensor.
    """
    wanted = list(outputs) or [node.name for node in session.get_outputs()]
    try:
        values = session.run(wanted, dict(tensors))
    except (InvalidArgument, ValueError) as error:
        raise InvalidInput(f"{name}: {first_line(error)}") from error
    except Exception as error:  # onnxruntime raises many types of its own
        raise BadOutput(f"{name}: {first_line(error)}") from error
    for output, value in zip(wanted, values, strict=True):
        if not isinstance(value, np.ndarray):
            raise BadOutput(f"{name}: its output {output!r} is no tensor")
    return dict(zip(wanted, values, strict=True))


def takes_several(session: ort.InferenceSession, constants: Collection[str] = ()) -> bool:
    """Whether a graph takes several inputs at once: the first axis of all that goes in and out bears the same name.

    Args:
        session: runs it.
        constants: the inputs that are fed the same for all, and so need no such axis.
    """
    inputs = [end for end in session.get_inputs() if end.name not in constants or has_rows(end)]
    ends = [*inputs, *session.get_outputs()]
    first = {end.shape[0] if end.shape else None for end in ends}
    return len(first) == 1 and isinstance(next(iter(first)), str)


def try_out(infer: Callable[[Array], Array], samples: Sequence[Array]) -> Array:
    """A model's output for one of these inputs, the first for which it has any: only this shows that it runs.

    Raises:
        InfilinkError: what `OnnxModel.infer` raises; BadOutput only if none has a usable output.
    """
    *others, last = samples
    for value in others:
        try:
            return infer(value)
        except BadOutput:
            continue
    return infer(last)
