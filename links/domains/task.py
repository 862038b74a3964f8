"""What a link across domains is for: its sources, its target, the very models, the network; the same at every site."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ...errors import InvalidInput, UnknownModel
from ...files import check_format
from ...outputs import Array, OutputSpec
from ...settings import checked
from ...traces.trace import Trace
from ..training.samples import Samples
from .network import HIDDEN, Shape

FORMAT = 1
TARGETS = ("label", "multilabel", "count", "scalar", "vector")
SOURCES = (*TARGETS, "boxes")
MOST_NUMBERS = 4096
MOST_HIDDEN = 1024
_LEAST_P = 1e-4


class Form:
    """Outputs as numbers, and back.

    A label is its log-probabilities, a multilabel its log-odds, boxes the counts of each class, the rest as it is.

    Args:
        output: the outputs' type.

    Raises:
        InvalidInput: the kind is tokens or mask.
    """

    def __init__(self, output: OutputSpec) -> None:
        if output.kind not in SOURCES:
            raise InvalidInput(
                f"kind: links across domains read {', '.join(SOURCES)}, not {output.kind!r}; leave that model out"
            )
        self.output = output
        self.length = len(output.classes) or (output.length if output.kind == "vector" else 1)

    @property
    def is_number(self) -> bool:
        """Whether it is predicted as numbers, not as probabilities."""
        return self.output.kind not in ("label", "multilabel")

    def numbers(self, values: Sequence[Array] | Array) -> Array:
        """The numbers (n, length), float64, of outputs."""
        if self.output.kind == "boxes":
            return np.asarray([self.output.counts(value) for value in values], np.float64).reshape(-1, self.length)
        stacked = np.asarray(values, np.float64).reshape(-1, self.length)
        if self.output.kind == "label":
            return np.asarray(np.log(np.clip(stacked, _LEAST_P, 1.0)))
        if self.output.kind == "multilabel":
            p = np.clip(stacked, _LEAST_P, 1.0 - _LEAST_P)
            return np.asarray(np.log(p / (1.0 - p)))
        return stacked

    def values(self, numbers: Array) -> Array:
        """The outputs (n, length), float32, that numbers stand for; of boxes their counts."""
        if self.output.kind == "label":
            return softmax(numbers).astype(np.float32)
        if self.output.kind == "multilabel":
            return sigmoid(numbers).astype(np.float32)
        if self.output.kind in ("count", "boxes"):
            return np.maximum(numbers, 0.0).astype(np.float32)
        return numbers.astype(np.float32)

    def centred(self, numbers: Array) -> Array:
        """A label's numbers (n, length) as log-probabilities: logits of different heights are not to be averaged."""
        if self.output.kind != "label":
            return numbers
        return np.asarray(numbers - np.logaddexp.reduce(numbers, axis=1, keepdims=True))

    def agreements(self, predicted: Array, exact: Array) -> Array:
        """Agreement with the exact output row by row (n,), from the numbers of both; see `outputs`."""
        compact = [self.output.compact(self.values(numbers)) for numbers in (predicted, exact)]
        assert compact[0] is not None and compact[1] is not None, "no target is compared one by one"
        return self.output.agreements(compact[0], compact[1])


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def sigmoid(logits: Array) -> Array:
    """Probabilities of log-odds; does not overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))


@dataclass(frozen=True)
class LinkTask:
    """From which models' outputs which model's output is predicted.

    Attributes:
        sources: the sources' output types, in the order the link reads them.
        target: the model, or the person's labels, that is predicted.
        output: its output type.
        digests: each source's and the target's file, as traces have them; labels have none.
        hidden: hidden units of the network.
    """

    sources: Mapping[str, OutputSpec]
    target: str
    output: OutputSpec
    digests: Mapping[str, str]
    hidden: int = HIDDEN

    def __post_init__(self) -> None:
        if not self.sources or self.target in self.sources:
            raise InvalidInput(f"sources: name at least one model other than the target {self.target!r}")
        if self.output.kind not in TARGETS:
            raise InvalidInput(
                f"kind: a link across domains predicts {', '.join(TARGETS)}, not {self.output.kind!r}; choose another "
                "target"
            )
        if not 1 <= self.hidden <= MOST_HIDDEN:
            raise InvalidInput(f"hidden must be from 1 to {MOST_HIDDEN}, not {self.hidden}")
        if max(self.inputs, self.form.length) > MOST_NUMBERS:
            raise InvalidInput(
                f"sources: {self.inputs} numbers to {self.form.length} are too many for a link; {MOST_NUMBERS} at most"
            )

    @classmethod
    def of(cls, trace: Trace, sources: Sequence[str], target: str) -> Self:
        """Of models in a trace.

        Args:
            trace: the recording.
            sources: models; none: all but the target.
            target: a model.

        Raises:
            UnknownModel: the trace has no such model.
            InvalidInput: the target is a source too, or a kind can't be used.
        """
        chosen = tuple(sources) or tuple(name for name in trace.models if name != target)
        for name in (*chosen, target):
            if name not in trace.models:
                raise UnknownModel(name, tuple(trace.models))
        digests = {name: trace.info.digests.get(name, "") for name in (*chosen, target)}
        outputs = {name: trace.models[name].output for name in chosen}
        return cls(outputs, target, trace.models[target].output, digests)

    @cached_property
    def source_forms(self) -> dict[str, Form]:
        """How each source's outputs become numbers."""
        return {name: Form(output) for name, output in self.sources.items()}

    @cached_property
    def form(self) -> Form:
        """How the target's outputs become numbers, and back."""
        return Form(self.output)

    @property
    def inputs(self) -> int:
        """How many numbers the link reads."""
        return sum(form.length for form in self.source_forms.values())

    @property
    def shape(self) -> Shape:
        """The network's sizes."""
        return Shape(self.inputs, self.form.length, hidden=self.hidden)

    def dump(self) -> str:
        """As JSON, always the same for the same task."""
        return json.dumps(self._plain(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str, *, where: str) -> Self:
        """Reads what `dump` wrote.

        Raises:
            InvalidInput: it is damaged or of another format; names `where`.
        """
        try:
            data = json.loads(text)
            check_format(data["format"], (FORMAT,), path=where, what="a link across domains")
            sources = {
                str(name): checked(OutputSpec, output, where=f"{where}: {name}") for name, output in data["sources"]
            }
            output = checked(OutputSpec, data["output"], where=f"{where}: {data['target']}")
            digests = {str(name): str(value) for name, value in data["digests"].items()}
            return cls(sources, str(data["target"]), output, digests, int(data["hidden"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"{where}: what the link is for is damaged ({error!r})") from error

    @property
    def hash(self) -> str:
        """16 digits that stand for the whole task."""
        return hashlib.sha256(self.dump().encode()).hexdigest()[:16]

    def differences(self, other: "LinkTask") -> list[str]:
        """In what the other one differs, in words; empty if in nothing."""
        mine, theirs = _flat(self._plain()), _flat(other._plain())
        keys = [*mine, *(key for key in theirs if key not in mine)]
        return [
            f"{key}: {mine.get(key, 'nothing')} here, {theirs.get(key, 'nothing')} there"
            for key in keys
            if mine.get(key) != theirs.get(key)
        ]

    def _plain(self) -> dict[str, Any]:
        outputs = [[name, output.model_dump(mode="json")] for name, output in self.sources.items()]
        return {
            "format": FORMAT,
            "sources": outputs,
            "target": self.target,
            "output": self.output.model_dump(mode="json"),
            "digests": dict(sorted(self.digests.items())),
            "hidden": self.hidden,
        }


def _flat(plain: Mapping[str, Any]) -> dict[str, str]:
    """Every field by where it stands."""
    found = {"sources": ", ".join(name for name, _ in plain["sources"])}
    for name, output in plain["sources"]:
        found |= {f"{name}.{key}": str(value) for key, value in output.items()}
    found |= {f"target {plain['target']}.{key}": str(value) for key, value in plain["output"].items()}
    found |= {f"digest of {name}": value for name, value in plain["digests"].items()}
    return found | {key: str(plain[key]) for key in ("format", "target", "hidden")}


@dataclass(frozen=True)
class Pairs:
    """Aligned outputs as numbers.

    Attributes:
        inputs: the sources', side by side: float64 (n, inputs).
        targets: the target's: float64 (n, length).
    """

    inputs: Array
    targets: Array

    @classmethod
    def of(cls, task: LinkTask, samples: Samples) -> Self:
        """All of a recording, the sources as their vectors tell of them: what the link is given when it serves."""
        read = [
            samples.encodings[name].raw(samples.standard(name))[:, : form.length].astype(np.float64)
            for name, form in task.source_forms.items()
        ]
        return cls(np.concatenate(read, axis=1), task.form.numbers(samples.values[task.target]))

    def __len__(self) -> int:
        """How many."""
        return len(self.inputs)

    def rows(self, rows: Array | slice) -> "Pairs":
        """Some of them."""
        return Pairs(self.inputs[rows], self.targets[rows])

    def blocks(self, *shares: float) -> list["Pairs"]:
        """Stretches in time, with these shares of all, and a gap of 2 % between them: neighbours are alike."""
        gap = max(1, len(self) // 50)
        ends = np.rint(np.cumsum(shares) * len(self)).astype(int).tolist()
        starts = [0, *(end + gap for end in ends[:-1])]
        return [self.rows(slice(start, end)) for start, end in zip(starts, ends, strict=True)]
