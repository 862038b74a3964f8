"""What a result says, in a few words for a table."""

from collections import Counter

from ...errors import InvalidInput
from ...models.spec import ModelSpec
from ...protos import edge_pb2
from ...protos.arrays import read_array
from .query import Found
from .rows import named_classes

_MOST = 60


def said(found: Found) -> str:
    """What a result of the ledger says."""
    return said_by(found.output, found.spec)


def said_by(output: edge_pb2.Output, spec: ModelSpec | None) -> str:
    """The class, the boxes' classes with how many there are, the number, or how large it is.

    Args:
        output: what was said.
        spec: the model's; None: it is not known, and classes have no names.
    """
    known = spec.output.classes if spec is not None else ()

    def name(index: int) -> str:
        return known[index] if 0 <= index < len(known) else f"class {index}"

    try:
        value, kind = read_array(output), output.kind
    except InvalidInput:
        return "can't be read"
    if kind == "boxes":
        counts = Counter(name(int(index)) for index in value[:, 5])
        text = ", ".join(f"{number} {each}" for each, number in counts.most_common()) or "nothing"
    elif kind == "label":
        text = f"{name(int(value.argmax()))} {value.max():.2f}"
    elif kind == "multilabel":
        text = ", ".join(named_classes(spec.output, value)) if spec is not None else ""
        text = text or "none"
    elif kind in ("count", "scalar"):
        text = f"{value[0]:.4g}"
    elif kind == "mask":
        text = f"{value.shape[1]}x{value.shape[0]}, {(value >= 0.5).mean():.0%} on"
    else:
        text = f"{value.size} {'tokens' if kind == 'tokens' else 'numbers'}"
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."
