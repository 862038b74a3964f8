"""What a graph is fed for one input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from ...errors import InvalidInput, ModelFailed
from ...outputs import Array


class Letterbox(NamedTuple):
    """Where a frame lies in a model's input: a box at x in the input is at `(x - offset_x) / width` of the frame."""

    offset_x: float
    offset_y: float
    width: float
    height: float
    input_width: int
    input_height: int

    def to_frame(self, boxes: Array) -> Array:
        """Boxes x1, y1, x2, y2 in input pixels (n, 4) as shares of the frame, cut at its borders."""
        moved = (boxes - (self.offset_x, self.offset_y) * 2) / ((self.width, self.height) * 2)
        return np.clip(moved, 0.0, 1.0).astype(np.float32)


FLOATS: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
}
"""The types of input that numbers are fed as, by onnxruntime's names."""

WHOLE = Letterbox(0.0, 0.0, 1.0, 1.0, 1, 1)
"""Of an input that is no picture."""

Run = Callable[[Mapping[str, Array]], dict[str, Array]]
"""Runs a graph once: its outputs by name, for its inputs."""
Over = Literal["max", "mean", "last"]


@dataclass(frozen=True)
class Fed:
    """A graph's tensors for one input, each with an axis of 1 in front.

    Attributes:
        tensors: by the graph's names.
        letterbox: where a picture lies in its tensor.
        fixed: what the graph is fed besides, whatever the input is, and once only for several inputs.
    """

    tensors: Mapping[str, Array]
    letterbox: Letterbox = WHOLE
    fixed: Mapping[str, Array] = field(default_factory=dict)

    def outputs(self, run: Run) -> dict[str, Array]:
        """What a graph makes of it."""
        return run({**self.tensors, **self.fixed})


@dataclass(frozen=True)
class FedInPieces(Fed):
    """Tensors for a graph that sees an input piece by piece, and may remember what it saw of it before.

    Attributes:
        pieces: what changes from piece to piece.
        state: what it remembers before the first piece, by the names of the inputs that it is fed by.
        carried: the output that each of these is fed from then on.
        over: what of the outputs for the pieces counts.
    """

    pieces: Sequence[Mapping[str, Array]] = ()
    state: Mapping[str, Array] = field(default_factory=dict)
    carried: Mapping[str, str] = field(default_factory=dict)
    over: Over = "max"

    def outputs(self, run: Run) -> dict[str, Array]:
        """What a graph makes of all pieces: the largest of each number, the mean, or those of the last piece."""
        state, seen = dict(self.state), []
        for piece in self.pieces:
            found = run({**self.tensors, **self.fixed, **piece, **state})
            if missing := [output for output in self.carried.values() if output not in found]:
                raise ModelFailed(f"has no output {missing[0]!r}: `input.state` must name some of {', '.join(found)}")
            state = {name: found[output] for name, output in self.carried.items()}
            seen.append(found)
        if self.over == "last":
            return seen[-1]
        joined = np.max if self.over == "max" else np.mean
        # What is remembered has no meaning of its own.
        names = [name for name in seen[-1] if name not in self.carried.values()]
        return {name: joined(np.stack([found[name] for found in seen]), axis=0) for name in names}


class Feeder(Protocol):
    """Makes a graph's tensors of an input."""

    def __call__(self, value: Array) -> Fed:
        """The tensors.

        Raises:
            InvalidInput: it is no such input.
        """


def only(name: str, nodes: Mapping[str, Any]) -> Any:
    """The one node that a graph takes, which may be named.

    Raises:
        InvalidInput: it takes several, or that is not its name.
    """
    if name and name not in nodes:
        raise InvalidInput(f"has no input {name!r}: `input.name` must be one of {', '.join(nodes)}")
    others = [each for each in nodes if each != name]
    if len(nodes) != 1:
        told = f"also needs {', '.join(others)}" if name else f"needs {len(nodes)} inputs ({', '.join(nodes)})"
        raise InvalidInput(
            f"{told}, and one is fed: name it (`input.name`) and give the others numbers (`input.constants`), feed "
            'several (`input.modality = "image+text"`), or serve it by its tensors alone (`serve = "tensors"`)'
        )
    return next(iter(nodes.values()))
