"""A float ONNX model as int8: static where it can be calibrated, dynamic where that fails."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from .session import open_session

Feeds = dict[str, Array]
"""A graph's inputs by name."""


@dataclass(frozen=True)
class Int8:
    """How a model was made int8, and what that changed.

    Attributes:
        method: "static" (weights and activations, calibrated on the samples) or "dynamic" (weights; activations as
            they come).
        float_bytes: size of the float file.
        largest: largest absolute difference from the float model's outputs on the samples.
        mean: the mean of those differences.
    """

    method: str
    float_bytes: int
    largest: float
    mean: float


def quantize(path: Path, inputs: list[Feeds], folder: Path) -> tuple[Int8, Path]:
    """Makes `path` int8, calibrated on `inputs`; returns what that changed and the file, which lies in `folder`.

    Raises:
        InvalidInput: neither way gives a model that runs.
    """
    wanted = _run(path, inputs)
    reasons = []
    methods: dict[str, Callable[[Path, list[Feeds], Path], None]] = {"static": _static, "dynamic": _dynamic}
    for name, method in methods.items():
        made = folder / f"{name}.onnx"
        try:
            with _quiet():
                method(path, inputs, made)
            gaps = np.abs(_run(made, inputs) - wanted)
        except Exception as error:  # onnxruntime.quantization raises many types of its own
            reasons.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        return Int8(name, path.stat().st_size, float(gaps.max(initial=0.0)), float(gaps.mean())), made
    raise InvalidInput(f"the model can't be made int8 ({'; '.join(reasons)}); export it without --int8")


class _Samples:
    """The calibration inputs, one after another, as onnxruntime asks for them."""

    def __init__(self, inputs: list[Feeds]) -> None:
        self._feeds = iter(inputs)

    def get_next(self) -> Feeds | None:
        """The next input; None after the last."""
        return next(self._feeds, None)


def _static(path: Path, inputs: list[Feeds], made: Path) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = made.with_suffix(".prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(made),
        _Samples(_taken(path, inputs)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _dynamic(path: Path, inputs: list[Feeds], made: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The CPU has no convolution of int8 weights with activations quantised as they come, but one of uint8.
    quantize_dynamic(str(path), str(made), weight_type=QuantType.QUInt8)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice on the root logger, which is for who calls it by hand."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _run(path: Path, inputs: list[Feeds]) -> Array:
    """All outputs to all inputs, in one row."""
    session = open_session(path)
    outputs = [value for sample in _taken(path, inputs) for value in session.run(None, sample)]
    return np.concatenate([np.asarray(value, np.float64).reshape(-1) for value in outputs])


def _taken(path: Path, inputs: list[Feeds]) -> list[Feeds]:
    """Of the inputs those that the graph takes: what a module does not use is none of them."""
    names = [node.name for node in open_session(path).get_inputs()]
    return [{name: sample[name] for name in names} for sample in inputs]
