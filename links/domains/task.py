"""What a link across domains is for: its sources, its target, the very models, the network; the same at every site."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from ...config_file import checked
from ...errors import InvalidInput, UnknownModel
from ...outputs import OutputSpec
from ...trace import Trace
from .form import Form, target_form
from .shape import HIDDEN, Shape

FORMAT = 1
MOST_NUMBERS = 4096
MOST_HIDDEN = 1024


@dataclass(frozen=True)
class LinkTask:
    """From which models' outputs which model's output is predicted.

    Attributes:
        sources: the sources' output types, in the order the link reads them.
        target: the model, or the oracle, that is predicted.
        output: its output type.
        digests: each source's and the target's file, as traces have them; an oracle has none.
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
        return target_form(self.output)

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
            if data["format"] != FORMAT:
                raise InvalidInput(f"{where}: has format {data['format']}, this version reads {FORMAT}; make it again")
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
