"""What every kind of input has: its name in the graph, and what the graph is fed besides."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from ...errors import InvalidInput
from ...outputs import Array
from .fed import FLOATS, Fed, Feeder
from .form import InputForm

Shapes = Mapping[str, tuple[int, ...] | None]
"""The shapes of a graph's inputs as its file has them: -1 where any size will do."""
Constant = StrictBool | StrictInt | StrictFloat | StrictStr

_CONSTANTS: dict[str, np.dtype[Any]] = {
    **FLOATS,
    "tensor(int8)": np.dtype(np.int8),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(string)": np.dtype(np.object_),
}


class BaseInput(BaseModel, ABC):
    """How an input of one kind becomes what a graph is fed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: str
    name: str = Field(default="", description="the ONNX input's name; empty: the only one there is")
    constants: dict[str, Constant | tuple[Constant, ...]] = Field(
        default={}, description="what the graph's other inputs are fed, whatever the input is"
    )

    @abstractmethod
    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no input of the kind."""

    @abstractmethod
    def told(self) -> str:
        """What it looks at, in short, for people."""

    @abstractmethod
    def samples(self) -> list[Array]:
        """Inputs to try a model out with."""

    def trials(self) -> list[Array]:
        """Inputs to measure a model with: as large as any that come often."""
        return 2 * self.samples()

    @abstractmethod
    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensors for these inputs of a graph, all but its constants.

        Raises:
            InvalidInput: they are not what this makes.
        """

    def bind(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensors for a graph with these inputs.

        Args:
            nodes: onnxruntime's, by name.
            folder: the model's, where files lie that it needs.

        Raises:
            InvalidInput: they are not what this makes.
        """
        for name in self.constants:
            if name not in nodes:
                raise InvalidInput(f"has no input {name!r}: `input.constants` must name some of {', '.join(nodes)}")
        made = {name: _constant(value, nodes[name]) for name, value in self.constants.items()}
        feed = self.feeder({name: node for name, node in nodes.items() if name not in made}, folder)
        if not made:
            return feed
        # One that has a row for each input goes with it; the others are there once for a batch.
        rows = {name: value for name, value in made.items() if has_rows(nodes[name])}
        fixed = {name: value for name, value in made.items() if name not in rows}

        def with_constants(value: Array) -> Fed:
            fed = feed(value)
            return replace(fed, tensors={**fed.tensors, **rows}, fixed={**fed.fixed, **fixed})

        return with_constants

    @property
    def batches(self) -> bool:
        """Whether several inputs may share a run."""
        return True

    def files(self) -> tuple[str, ...]:
        """The names of the files beside the model that it needs besides its weights."""
        return ()

    def filled(self, shapes: Shapes) -> Self:
        """With the sizes that it leaves to the graph taken from there."""
        return self

    def claims(self, nodes: Mapping[str, Any]) -> list[str]:
        """The inputs of a graph that are surely its own, by their names."""
        return [self.name] if self.name in nodes else []

    def fits(self, form: InputForm) -> str:
        """Why inputs of this form are none for the model; "": they are."""
        if form.modality != self.modality:
            return f"it looks at {self.modality} (`input.modality`), and these inputs are {form.modality}"
        return ""


def rate_fits(rate_hz: float, form: InputForm) -> str:
    """Why a stream's rate is not that of a model; "": it is, or any will do."""
    if not rate_hz or form.rate_hz == rate_hz:
        return ""
    told = f"come {form.rate_hz:g} a second" if form.rate_hz else "come at no rate"
    return f"it takes {rate_hz:g} samples a second (`input.rate_hz`), and these {told}"


def window_fits(key: str, length: int, form: InputForm) -> str:
    """Why a stream's window is not as long as what a model takes; "": it is, or any will do."""
    if not length or form.window == length:
        return ""
    told = f"a window has {form.window}" if form.window else "the source gives inputs of any length: give a `window`"
    return f"it takes {length} {key} (`input.{key}`), and {told}"


def has_rows(node: Any) -> bool:
    """Whether an input's first axis is of any size: there is a row in it for each of several inputs."""
    return bool(node.shape) and isinstance(node.shape[0], str)


def fitting(node: Any, expected: Sequence[int | None]) -> bool:
    """Whether a graph's input takes tensors of this shape; None: of any size."""
    return len(node.shape) == len(expected) and all(
        not isinstance(there, int) or here is None or there == here
        for there, here in zip(node.shape, expected, strict=True)
    )


def size_in(shapes: Shapes, name: str, axis: int, dimensions: int) -> int:
    """How long an axis of a graph's input is; 0: of any length, or that is not known.

    Args:
        shapes: of all its inputs that are fed.
        name: which one; empty: the only one.
        axis: which axis.
        dimensions: how many axes it must have.
    """
    if not name and len(shapes) == 1:
        (name,) = shapes
    shape = shapes.get(name)
    return max(0, shape[axis]) if shape is not None and len(shape) == dimensions else 0


def _constant(value: Any, node: Any) -> Array:
    """A constant as a graph takes it: one value everywhere, or each value in its place."""
    kind = _CONSTANTS.get(node.type)
    where = f"`input.constants` {node.name!r}"
    if kind is None:
        raise InvalidInput(f"{where}: it takes {node.type}, which can't be given")
    values = list(value) if isinstance(value, tuple) else [value]
    if kind.kind in "iu" and any(isinstance(each, float | str) for each in values):
        raise InvalidInput(f"{where}: it takes whole numbers ({node.type}), not {value!r}")
    if (kind == np.object_) != all(isinstance(each, str) for each in values):
        raise InvalidInput(f"{where}: it takes {node.type}, not {value!r}")
    shape = [size if isinstance(size, int) else 1 for size in node.shape]
    try:
        given = np.array(values, kind)
        return np.full(shape, given[0], kind) if len(values) == 1 else _placed(given, node.shape, shape)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{where}: it is {node.type} {node.shape}, and can't be {value!r} ({error})") from error


def _placed(given: Array, named: Sequence[Any], shape: list[int]) -> Array:
    # The last axis that may be of any size holds as many as there are.
    free = [axis for axis, size in enumerate(named) if not isinstance(size, int)]
    if free and given.size != np.prod(shape):
        shape[free[-1]] = -1
    return given.reshape(shape)
