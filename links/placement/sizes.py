"""How many bytes an output is as it travels, from its kind."""

from ...outputs import Kind, OutputSpec

_FLOAT_BYTES = 4
_BOXES, _TOKENS, _MASK_BYTES = 8, 64, 64 * 64
_ANY_SIZE: dict[Kind, int] = {"boxes": _BOXES * 6 * _FLOAT_BYTES, "tokens": _TOKENS * 8, "mask": _MASK_BYTES}


def typical_bytes(output: OutputSpec) -> int:
    """The bytes of one output: exact where the kind has one size; else of 8 boxes, 64 tokens, a mask of 64 by 64."""
    if output.kind in _ANY_SIZE:
        return _ANY_SIZE[output.kind]
    (length,) = output.shape
    return length * _FLOAT_BYTES
