"""An input of several parts, each of a kind of its own: sound and words of one moment, a picture and its caption."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from ...errors import InvalidInput
from ...outputs import Array
from .audio import AudioInput
from .base import BaseInput, Shapes
from .feature_map import MapInput
from .fed import WHOLE, Fed, Feeder
from .form import InputForm
from .picture import PictureInput
from .signal import SignalInput
from .text import TextInput
from .video import VideoInput


def modality_of(value: Any) -> str:
    """Which kind a section is of; one that says nothing is of pictures."""
    found = value.get("modality", "image") if isinstance(value, dict) else getattr(value, "modality", "image")
    return "joint" if "+" in str(found) else str(found)


Kinds = (
    Annotated[PictureInput, Tag("image")]
    | Annotated[VideoInput, Tag("video")]
    | Annotated[AudioInput, Tag("audio")]
    | Annotated[SignalInput, Tag("signal")]
    | Annotated[TextInput, Tag("text")]
    | Annotated[MapInput, Tag("map")]
)
Part = Annotated[Kinds, Discriminator(modality_of)]
"""An input of one kind."""


class JointInput(BaseInput):
    """How the parts of an input become what a graph takes: each as if it were the only one, by inputs of its own."""

    parts: dict[str, Part] = Field(min_length=2, description="each part of an input, in order: a section as this one")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        kinds = "+".join(part.modality for part in self.parts.values())
        if kinds != self.modality:
            raise ValueError(
                f"`modality` must name the kinds of its `parts` in order, {kinds!r}, not {self.modality!r}"
            )
        if self.name:
            raise ValueError("`name` is each part's own: `input.parts.PART.name`")
        for name, part in self.parts.items():
            if part.constants:
                raise ValueError(f"`constants` are of the whole input (`input.constants`), not of its part {name!r}")
            if isinstance(part, AudioInput) and part.chunk:
                raise ValueError(f"part {name!r}: a part can't be fed piece by piece (`chunk`)")
        return self

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this has other parts, or one is not of its kind."""
        for name, part in self.parts.items():
            with _of_part(name):
                part.check(self._taken(value, name))

    def told(self) -> str:
        """Each part."""
        return " + ".join(part.told() for part in self.parts.values())

    def samples(self) -> list[Array]:
        """Inputs to try a model out with."""
        each = [part.samples() for part in self.parts.values()]
        return [join(**dict(zip(self.parts, values, strict=True))) for values in zip(*each, strict=True)]

    def files(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(dict.fromkeys(name for part in self.parts.values() for name in part.files()))

    def filled(self, shapes: Shapes) -> Self:
        """Each part as the graph says."""
        owned = self._owned({name: shape for name, shape in shapes.items() if name not in self.constants})
        made = {name: part.filled({key: shapes[key] for key in owned[name]}) for name, part in self.parts.items()}
        return self.model_copy(update={"parts": made})

    def fits(self, form: InputForm) -> str:
        """Why inputs of this form are none for the model: other parts, or what their kinds say."""
        if list(form.parts) != list(self.parts):
            given = f"have the parts {', '.join(form.parts)}" if form.parts else f"are {form.modality}"
            return f"it looks at the parts {', '.join(self.parts)} (`input.parts`), and these inputs {given}"
        for name, part in self.parts.items():
            if told := part.fits(form.parts[name]):
                return f"part {name!r}: {told}"
        return ""

    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensors of all parts.

        Raises:
            InvalidInput: the graph takes something else.
        """
        owned = self._owned(nodes)
        left = [name for name in nodes if not any(name in names for names in owned.values())]
        if left:
            raise InvalidInput(
                f"also needs {', '.join(left)}: say which part that is of (`input.parts.PART.name`), or give numbers "
                "(`input.constants`)"
            )
        feeders: dict[str, Feeder] = {}
        for name, part in self.parts.items():
            with _of_part(name):
                feeders[name] = part.feeder({key: nodes[key] for key in owned[name]}, folder)

        def feed(value: Array) -> Fed:
            tensors: dict[str, Array] = {}
            letterbox = WHOLE
            for name, make in feeders.items():
                with _of_part(name):
                    fed = make(self._taken(value, name))
                tensors.update(fed.tensors)
                letterbox = fed.letterbox if letterbox is WHOLE else letterbox
            return Fed(tensors, letterbox)

        return feed

    def _owned(self, nodes: Mapping[str, Any]) -> dict[str, list[str]]:
        """Which inputs of a graph each part is fed by: one part may have what the others leave."""
        left, owned = dict(nodes), {key: list[str]() for key in self.parts}
        for name, part in sorted(self.parts.items(), key=lambda item: not item[1].name):
            owned[name] = part.claims(left)
            left = {node: each for node, each in left.items() if node not in owned[name]}
        without = [name for name in self.parts if not owned[name]]
        if len(without) > 1:
            raise InvalidInput(
                f"nothing says which of its inputs ({', '.join(nodes)}) the parts {', '.join(without)} are fed by: "
                + ", ".join(f"`input.parts.{name}.name`" for name in without)
            )
        return {name: names or list(left) for name, names in owned.items()}

    def _taken(self, value: Array, name: str) -> Array:
        """A part of an input."""
        if value.dtype.names != tuple(self.parts) or value.ndim:
            given = ", ".join(value.dtype.names or ()) or f"{value.dtype} {value.shape}"
            raise InvalidInput(f"an input must have the parts {', '.join(self.parts)} (see `join`), not {given}")
        # Parts lie behind each other without gaps, wherever that is in memory.
        return np.require(value[name], requirements=["C", "A"])


def join(**parts: Array) -> Array:
    """One input made of several: an array of no dimensions with a field per part; `codec.pack` packs it."""
    kind = np.dtype([(name, part.dtype, part.shape) for name, part in parts.items()])
    joined = np.zeros((), kind)
    for name, part in parts.items():
        joined[name] = part
    return joined


@contextmanager
def _of_part(name: str) -> Iterator[None]:
    """Says of which part something is wrong."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"part {name!r}: {error}") from error
