"""What an output says, as a short value: a class, how many boxes, a number; it changes when something else is said."""

from collections import Counter
from typing import Any

from ...errors import InvalidInput
from ...models.spec import ModelSpec
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ..ledger.rows import named_classes

SUMMED_UP = ("label", "multilabel", "boxes", "count", "scalar")
"""The kinds of outputs that a short value can stand for."""


def summary_of(output: edge_pb2.Output, spec: ModelSpec) -> dict[str, Any]:
    """The `state` of an output, and of kinds with classes how often each that it names is there.

    Of a label the class, of boxes how many there are, of a count or a scalar the number, of several labels their names.
    A kind that no short value can stand for has its bytes instead, so that a change shows.
    """
    kind, classes = spec.output.kind, spec.output.classes
    try:
        value = spec.output.check_shape(read_array(output))
    except InvalidInput:
        return {"state": None}
    if kind == "boxes":
        counts = Counter(int(index) for index in value[:, 5].tolist())
        named = {classes[index]: count for index, count in sorted(counts.items()) if 0 <= index < len(classes)}
        return {"state": len(value), "classes": named}
    if kind in ("label", "multilabel"):
        names = named_classes(spec.output, value)
        return {"state": ", ".join(names) or "none", "classes": dict.fromkeys(names, 1)}
    if kind in ("count", "scalar"):
        # Of float32 no more digits than it has.
        return {"state": float(f"{float(value[0]):.6g}")}
    return {"state": output.value.hex() if len(output.value) <= 64 else hash(output.value)}
