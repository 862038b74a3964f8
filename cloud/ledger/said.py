"""What a result says, in a few words for a table."""

from collections import Counter

from ...errors import InvalidInput
from .query import Found

_MOST = 60


def said(found: Found) -> str:
    """The class, the boxes' classes with how many there are, the number, or how large it is."""
    try:
        value, kind = found.value, found.output.kind
    except InvalidInput:
        return "can't be read"
    if kind == "boxes":
        counts = Counter(found.class_name(int(index)) for index in value[:, 5])
        text = ", ".join(f"{number} {name}" for name, number in counts.most_common()) or "nothing"
    elif kind == "label":
        text = f"{found.class_name(int(value.argmax()))} {value.max():.2f}"
    elif kind == "multilabel":
        text = ", ".join(found.classes) or "none"
    elif kind in ("count", "scalar"):
        text = f"{value[0]:g}"
    elif kind == "mask":
        text = f"{value.shape[1]}x{value.shape[0]}, {(value >= 0.5).mean():.0%} on"
    else:
        text = f"{value.size} {'tokens' if kind == 'tokens' else 'numbers'}"
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."
