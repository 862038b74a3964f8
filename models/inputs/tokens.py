"""Tokens of a text, by the file beside a model that says what they are (Hugging Face's `tokenizer.json`)."""

from collections.abc import Collection
from pathlib import Path

from ...errors import InvalidInput

IDS = ("input_ids", "ids", "token_ids", "tokens", "input", "text")
MASKS = ("attention_mask", "input_mask", "mask")
TYPES = ("token_type_ids", "segment_ids", "type_ids")
_MOST_TOKENS = 512
# What is far beyond the tokens that count is not looked at: a text of megabytes would take seconds.
_LETTERS_A_TOKEN = 64
_PADS = ("[PAD]", "<pad>", "<|pad|>", "<PAD>")


def its_nodes(names: Collection[str], ids: str, mask: str, types: str) -> dict[str, str]:
    """Which inputs of a graph tokens are fed to: `ids`, empty if it can't be told; `mask` and `types`, if it has them.

    Args:
        names: all inputs of the graph that are not spoken for.
        ids: that of the ids, if it is said.
        mask: that which says which tokens count.
        types: that which says which sentence each is of.
    """
    found = {
        "mask": mask or next((name for name in MASKS if name in names), ""),
        "types": types or next((name for name in TYPES if name in names), ""),
    }
    left = [name for name in names if name not in found.values()]
    only = left[0] if len(left) == 1 else ""
    chosen = ids or next((name for name in IDS if name in left), only)
    return {"ids": chosen if chosen in names else "", **{part: name for part, name in found.items() if name in names}}


class Tokenizer:
    """Makes tokens of texts.

    Args:
        path: the file.
        length: at most so many; 0: as the file says, or else 512.
        padded: whether shorter texts are filled up to `length`.
        pad: the id that they are filled up with; None: as the file says.

    Raises:
        InvalidInput: the package or the file is missing, or it is no such file.
    """

    def __init__(self, path: Path, *, length: int, padded: bool, pad: int | None) -> None:
        try:
            import tokenizers
        except ModuleNotFoundError as error:
            raise InvalidInput("needs the package tokenizers: pip install 'infilink[text]'") from error
        if not path.is_file():
            raise InvalidInput(f"{path.name} is missing beside the model (`input.tokenizer`): put it there")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # it raises plain Exceptions
            told = " ".join(str(error).split())[:200]
            raise InvalidInput(f"{path.name} can't be read as a tokenizer (`input.tokenizer`): {told}") from error
        said = self._tokenizer.truncation or {}
        most = length or int(said.get("max_length", _MOST_TOKENS))
        side = str(said.get("direction", "right")).lower()
        self._tokenizer.enable_truncation(most, direction=side)
        letters = _LETTERS_A_TOKEN * most
        self._looked_at = slice(-letters, None) if side == "left" else slice(letters)
        self._pad = self._pad_id() if pad is None else pad
        self._pads_left = str((self._tokenizer.padding or {}).get("direction", "right")).lower() == "left"
        self._tokenizer.no_padding()
        self._least = most if padded else 1

    def __call__(self, text: str) -> dict[str, list[int]]:
        """The `ids` of a text's tokens, the `mask` of those that count, and the `types` of their sentences."""
        found = self._tokenizer.encode(text[self._looked_at])
        missing = max(0, self._least - len(found.ids))
        parts = {
            "ids": (found.ids, self._pad),
            "mask": (found.attention_mask, 0),
            "types": (found.type_ids, 0),
        }
        if self._pads_left:
            return {name: [value] * missing + list(values) for name, (values, value) in parts.items()}
        return {name: list(values) + [value] * missing for name, (values, value) in parts.items()}

    def _pad_id(self) -> int:
        said = self._tokenizer.padding
        if said is not None:
            return int(said["pad_id"])
        return next((found for name in _PADS if (found := self._tokenizer.token_to_id(name)) is not None), 0)
