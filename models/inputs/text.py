"""A text: as tokens, as one string, or as its bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...errors import InvalidInput
from ...outputs import Array
from .base import BaseInput, Shapes, fitting, size_in
from .fed import Fed, Feeder, only
from .form import as_text
from .tokens import MASKS, TYPES, Tokenizer, its_nodes

_STRING = "tensor(string)"
_BYTES: dict[str, np.dtype[Any]] = {
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
}
_WHOLE: dict[str, np.dtype[Any]] = {"tensor(int32)": np.dtype(np.int32), "tensor(int64)": np.dtype(np.int64)}

_LONG = "Is anybody there? Call 0800 123 456 now! " * 60


class TextInput(BaseInput):
    """How a text (UTF-8) becomes what a model's graph takes.

    As `tokens` it is three inputs at most: the tokens' ids, which of them count, and which sentence each is of; the two
    last only where the graph has them.
    """

    modality: Literal["text"]
    form: Literal["tokens", "string", "bytes"] = Field(
        default="tokens", description="ids of tokens; the text itself, as one string; or its bytes as numbers"
    )
    tokenizer: str = Field(
        default="tokenizer.json", min_length=1, description="tokens: the file beside the model that says what they are"
    )
    mask: str = Field(default="", description="tokens: the input that says which count; empty: by its usual names")
    types: str = Field(default="", description="tokens: that which says which sentence each is of; empty: likewise")
    length: int = Field(
        default=0,
        ge=0,
        le=2**20,
        description="tokens or bytes: longer texts are cut; 0: as the graph or the tokenizer says, or else 512 tokens "
        "or any number of bytes",
    )
    padded: bool = Field(default=False, description="shorter ones are filled up also where the graph needs no `length`")
    pad: int | None = Field(
        default=None, ge=0, description="what they are filled up with; nothing said: as the tokenizer says, or 0"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if Path(self.tokenizer).name != self.tokenizer:
            raise ValueError(f"`tokenizer` must be the name of a file beside the model, not {self.tokenizer!r}")
        if self.padded and not self.length:
            raise ValueError("`padded` needs a `length`")
        if self.form != "tokens" and (self.mask or self.types):
            raise ValueError('`mask` and `types` are for `form = "tokens"`')
        return self

    def check(self, value: Array) -> None:
        """Raises InvalidInput if this is no text: uint8 (bytes,), UTF-8."""
        as_text(value)

    def told(self) -> str:
        """As what it is fed, and how much of it."""
        length = f", {self.length}" if self.length and self.form != "string" else ""
        return f"text as {'a ' if self.form == 'string' else ''}{self.form}{length}"

    def samples(self) -> list[Array]:
        """Inputs to try a model out with."""
        return [from_text("Nothing happened here today."), from_text("Is anybody there? Call 0800 123 456 now!")]

    def trials(self) -> list[Array]:
        """Inputs to measure a model with: also a text that is longer than most."""
        return [from_text(_LONG), *self.samples(), from_text(_LONG)]

    def files(self) -> tuple[str, ...]:
        """The tokenizer's."""
        return (self.tokenizer,) if self.form == "tokens" else ()

    def filled(self, shapes: Shapes) -> Self:
        """As long as the graph says."""
        if self.length or self.form == "string":
            return self
        left = its_nodes(shapes, self.name, self.mask, self.types)["ids"] if self.form == "tokens" else self.name
        length = size_in(shapes, left, 1, 2)
        return self.model_copy(update={"length": length, "padded": bool(length)}) if length else self

    def claims(self, nodes: Mapping[str, Any]) -> list[str]:
        """The ids, and what else is of them."""
        if self.form != "tokens":
            return super().claims(nodes)
        return [name for name in its_nodes(nodes, self.name, self.mask, self.types).values() if name]

    def feeder(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        """What makes the tensors.

        Raises:
            InvalidInput: the graph takes something else, or the tokenizer is missing or can't be read.
        """
        if self.form == "tokens":
            return self._tokens(nodes, folder)
        node = only(self.name, nodes)
        return self._string(node) if self.form == "string" else self._bytes(node)

    def _string(self, node: Any) -> Feeder:
        if node.type != _STRING or len(node.shape) > 2 or not fitting(node, (1,) * len(node.shape)):
            raise InvalidInput(f"its input {node.name!r} is {node.type} {node.shape}, not one string (`input.form`)")

        def feed(value: Array) -> Fed:
            return Fed({node.name: np.full((1,) * len(node.shape), as_text(value), object)})

        return feed

    def _bytes(self, node: Any) -> Feeder:
        kind = _BYTES.get(node.type)
        if kind is None or not fitting(node, (1, self.length if self.padded else None)):
            raise InvalidInput(
                f"its input {node.name!r} is {node.type} {node.shape}, and bytes are fed as {', '.join(_BYTES)} "
                f"[1, {self.length or 'bytes'}] (`input.form`, `input.length`, `input.padded`)"
            )

        def feed(value: Array) -> Fed:
            as_text(value)
            taken = value[: self.length] if self.length else value
            # A graph can't be fed nothing.
            missing = max(0, (self.length if self.padded else 1) - len(taken))
            filled = np.pad(taken.astype(kind), (0, missing), constant_values=self.pad or 0)
            return Fed({node.name: filled[None]})

        return feed

    def _tokens(self, nodes: Mapping[str, Any], folder: Path) -> Feeder:
        named = its_nodes(nodes, self.name, self.mask, self.types)
        for key, said in (("mask", self.mask), ("types", self.types)):
            if said and said not in nodes:
                raise InvalidInput(f"has no input {said!r}: `input.{key}` must be one of {', '.join(nodes)}")
        others = [name for name in nodes if name not in named.values()]
        if not named["ids"] or others:
            raise InvalidInput(
                f"its inputs are {', '.join(nodes)}: name that of the ids (`input.name`), {'/'.join(MASKS[:1])} "
                f"(`input.mask`), {'/'.join(TYPES[:1])} (`input.types`), and give others numbers (`input.constants`)"
            )
        used: list[tuple[Any, str]] = [(nodes[name], part) for part, name in named.items() if name]
        for node, part in used:
            if node.type not in _WHOLE or not fitting(node, (1, self.length if self.padded else None)):
                raise InvalidInput(
                    f"its input {node.name!r} is {node.type} {node.shape}, and {part} of tokens are fed as "
                    f"{', '.join(_WHOLE)} [1, {self.length or 'tokens'}] (`input.length`, `input.padded`)"
                )
        tokenizer = Tokenizer(folder / self.tokenizer, length=self.length, padded=self.padded, pad=self.pad)

        def feed(value: Array) -> Fed:
            made = tokenizer(as_text(value))
            return Fed({node.name: np.array([made[part]], _WHOLE[node.type]) for node, part in used})

        return feed


def from_text(text: str) -> Array:
    """A text as an input."""
    return np.frombuffer(text.encode(), np.uint8)
