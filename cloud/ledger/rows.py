"""What the ledger keeps of an answer: the row of its input, a row for each model, and back again."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...models.spec import ModelSpec
from ...outputs import Array, OutputSpec
from ...protos import edge_pb2
from ...protos.arrays import read_array

LARGEST_SEQUENCE = 2**63 - 1
_ANSWER_BYTES, _RESULT_BYTES = 110, 45
"""What a row takes beside its texts and its output, its places in the indexes included (measured on SQLite)."""
_SPECS_KEPT = 4096
_ORIGINS = {number: name.removeprefix("ORIGIN_").lower() for name, number in edge_pb2.Origin.items()}


@dataclass(frozen=True)
class InputKey:
    """Identifies an input of any device, for ever.

    Raises:
        InvalidInput: no database can keep it.
    """

    device: str
    session: str
    sequence: int

    def __post_init__(self) -> None:
        if not 0 <= self.sequence <= LARGEST_SEQUENCE:
            raise InvalidInput(f"`sequence`: {self.sequence} is not within 0 to 2^63 - 1")
        if "\0" in self.device or "\0" in self.session:
            raise InvalidInput("`device` and `session` may hold no NUL")


@dataclass(slots=True)
class Kept:
    """Where an answer stands in the ledger, and what is known of it by then.

    Attributes:
        number: the ledger's; 0: it stands in none.
        answered_us: Unix time.
        classes: by model the classes that it names, as `results.classes` has them.
    """

    number: int = 0
    answered_us: int = 0
    classes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Answered:
    """An answer, with what is kept beside it.

    Attributes:
        key: the input's.
        message: the answer as it is sent: a Result.
        captured_ns: on the source's own clock; None: not known.
        specs: of the models, by name.
        given: what the device's own models said of the input.
        why: of models that ran, why on this input.
        size: the picture's width and height; None: there was none.
        kept: filled in by the ledger as it writes the answer.
    """

    key: InputKey
    message: edge_pb2.CoordinatorMessage
    captured_ns: int | None = None
    specs: Mapping[str, ModelSpec] = field(default_factory=dict)
    given: Sequence[edge_pb2.Output] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    kept: Kept = field(default_factory=Kept, compare=False)

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory while it waits."""
        size_bytes: int = self.message.ByteSize() + sum(output.ByteSize() for output in self.given)
        return size_bytes


class SpecIds:
    """Names each spec by what it says, so that it is kept once however many results are."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[ModelSpec, int, str]] = {}

    def of(self, spec: ModelSpec | None) -> tuple[int | None, str]:
        """A spec's number and its JSON."""
        if spec is None:
            return None, ""
        found = self._texts.get(id(spec))
        if found is None:
            if len(self._texts) >= _SPECS_KEPT:
                self._texts.clear()
            text = spec.model_dump_json(exclude_defaults=True)
            number = int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1
            # The spec is kept as well: no other object gets its id meanwhile.
            found = self._texts[id(spec)] = (spec, number, text)
        return found[1], found[2]


def answer_rows(
    answered: Answered, number: int, now_us: int, specs: SpecIds
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[int, str]]:
    """The row of the input, those of the models, and the specs that these name."""
    key, result = answered.key, answered.message.result
    rows, named = [], {}
    for place, output in enumerate((*result.outputs, *answered.given)):
        spec = answered.specs.get(output.model)
        spec_id, text = specs.of(spec)
        if spec_id is not None:
            named[spec_id] = text
        rows.append(
            {
                "answer": number,
                "place": place,
                "model": output.model,
                "spec": spec_id,
                "origin": _ORIGINS.get(output.origin, "unspecified"),
                "confidence": output.confidence,
                "trusted": output.trusted,
                "why": answered.why.get(output.model, ""),
                "classes": classes_text(spec, output),
                "output": output.SerializeToString(),
            }
        )
    for row in rows[len(result.outputs) :]:
        # The message says nothing of what everybody knows of what ran on the device.
        row.update(origin="local", confidence=1.0, trusted=True)
    width, height = answered.size or (None, None)
    size_bytes = _ANSWER_BYTES + len(key.device) + len(key.session) + sum(map(_row_bytes, rows))
    answer = {
        "number": number,
        "device": key.device,
        "session": key.session,
        "sequence": key.sequence,
        "captured_ns": answered.captured_ns,
        "answered_us": now_us,
        "executed_s": result.executed_s,
        "width": width,
        "height": height,
        "size_bytes": size_bytes,
    }
    return answer, rows, named


def answer_message(sequence: int, executed_s: float, outputs: Iterable[bytes]) -> edge_pb2.CoordinatorMessage:
    """The answer that rows were made of: the same again."""
    result = edge_pb2.Result(sequence=sequence, executed_s=executed_s)
    for output in outputs:
        result.outputs.add().MergeFromString(output)
    return edge_pb2.CoordinatorMessage(result=result)


def named_classes(spec: OutputSpec, value: Array) -> list[str]:
    """The classes that an output says are there; none of kinds without classes."""
    if spec.kind == "label":
        indices = [int(value.argmax())]
    elif spec.kind == "multilabel":
        indices = np.flatnonzero(value >= 0.5).tolist()
    elif spec.kind == "boxes":
        indices = sorted({int(index) for index in value[:, 5].tolist()})
    else:
        return []
    return [spec.classes[index] for index in indices if 0 <= index < len(spec.classes)]


def classes_text(spec: ModelSpec | None, output: edge_pb2.Output) -> str:
    """The classes that an output names, each between two line feeds, as `results.classes` has them."""
    if spec is None or not spec.output.classes:
        return ""
    try:
        names = named_classes(spec.output, spec.output.check_shape(read_array(output)))
    except InvalidInput:
        return ""
    return "".join(f"\n{name}" for name in names) + "\n" if names else ""


def spec_of(text: str | None) -> ModelSpec | None:
    """The spec that a row of `specs` has; None: there is none, or it can't be read any more."""
    if not text:
        return None
    try:
        return ModelSpec.model_validate(json.loads(text))
    except ValueError:
        return None


def _row_bytes(row: Mapping[str, Any]) -> int:
    return _RESULT_BYTES + len(row["output"]) + len(row["model"]) + len(row["classes"]) + len(row["why"])
