"""What onnxruntime runs a model on: the processors, or a card, by the name of the execution provider.

CUDA is what is built and tested for. TensorRT, OpenVINO, CoreML and DirectML are handed on by name, never tried yet.
Whatever can't be had is left out, with one warning, and the processors run the model.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import onnxruntime as ort
from pydantic import BeforeValidator

from ..units import parse_size

logger = logging.getLogger(__name__)

NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""The providers that have a short name."""
UNTESTED = ("tensorrt", "openvino", "coreml", "directml")
_ON_CARDS = ("cuda", "tensorrt")
HOST = "host"
"""The place of what runs in the machine's own memory."""


@dataclass(frozen=True)
class Provider:
    """One execution provider, and its options as onnxruntime takes them.

    Attributes:
        name: as in `NAMES`, or onnxruntime's own name of it.
        options: what onnxruntime is told; what is not there is its default, or `_CUDA` below.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Any) -> Self:
        """A provider as it stands in TOML: its name, or a table with `name` and its options.

        Raises:
            ValueError: it is neither, or of no provider that there is.
        """
        if isinstance(value, cls):
            return value
        table = {"name": value} if isinstance(value, str) else value
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            raise ValueError('must be a name ("cuda"), or a table with `name` and options ({ name = "cuda" })')
        name = table["name"]
        if name.lower() in NAMES:
            name = name.lower()
        elif not name.endswith("ExecutionProvider"):
            raise ValueError(f"{name!r} is no provider: {', '.join(NAMES)}, or onnxruntime's own name of one")
        else:
            name = next((short for short, full in NAMES.items() if full == name), name)
        options = {key: _option(key, item) for key, item in table.items() if key != "name"}
        return cls(name, options)

    @property
    def full_name(self) -> str:
        """What onnxruntime calls it."""
        return NAMES.get(self.name, self.name)

    @property
    def is_on_card(self) -> bool:
        """Whether its sessions take a card's memory."""
        return self.name in _ON_CARDS

    def for_session(self, device: int) -> tuple[str, dict[str, str]]:
        """What a session is opened with.

        Args:
            device: the card's number.
        """
        options = dict(self.options)
        if self.is_on_card:
            options = {**({} if self.name != "cuda" else _CUDA), "device_id": str(device), **options}
        return self.full_name, options


# Each piece of the arena is as large as was asked for, not the next power of two: what a model takes is what it needs,
# and comes back as it was taken.
_CUDA = {"arena_extend_strategy": "kSameAsRequested"}


def _option(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if not isinstance(value, str | int | float):
        raise ValueError(f"the option `{key}` must be a text or a number")
    # As everywhere in these files, sizes may be written with their unit.
    return str(parse_size(value)) if key.endswith("mem_limit") and isinstance(value, str) else str(value)


CPU = Provider("cpu")


def _providers(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError('must be a list with at least one provider, such as ["cuda", "cpu"]')
    return tuple(Provider.parse(each) for each in value)


Providers = Annotated[tuple[Provider, ...], BeforeValidator(_providers)]
"""The providers of a session in a configuration, the one that is liked best first."""


@dataclass(frozen=True)
class Execution:
    """How one model's session runs.

    Attributes:
        providers: what it may run on, the one that is liked best first; the processors stand behind them all.
        device: which card, counted from 0, where one of them runs on cards.
        threads: how many threads of the processors one inference may use.
    """

    providers: tuple[Provider, ...] = (CPU,)
    device: int = 0
    threads: int = 1

    @property
    def place(self) -> str:
        """Whose memory it takes: "host", or "cuda:0" for the first card."""
        return f"cuda:{self.device}" if any(each.is_on_card for each in self.providers) else HOST

    @property
    def on_host(self) -> bool:
        """Whether the processors alone run it."""
        return all(each.name == "cpu" for each in self.providers)

    def for_session(self) -> list[tuple[str, dict[str, str]]]:
        """The providers as onnxruntime takes them."""
        named = [each.for_session(self.device) for each in self.providers]
        return named if CPU.full_name in [name for name, _ in named] else [*named, (CPU.full_name, {})]


def available(
    providers: Sequence[Provider], *, what: str, there: Collection[str] | None = None
) -> tuple[Provider, ...]:
    """Those of the providers that the installed onnxruntime has; of what it lacks it is warned once.

    Args:
        providers: as configured.
        what: for which model, in the warning.
        there: what it has, by onnxruntime's names; None: it is asked.
    """
    there = ort.get_available_providers() if there is None else there
    missing = [each for each in providers if each.full_name not in there]
    for each in missing:
        logger.warning(
            "%s: the provider %r is not in the installed onnxruntime (it has: %s), so the processors run it; %s",
            what,
            each.name,
            ", ".join(_short(name) for name in there),
            "install onnxruntime-gpu in the place of onnxruntime" if each.is_on_card else "leave it out",
        )
    return tuple(each for each in providers if each not in missing) or (CPU,)


def _short(name: str) -> str:
    return next((short for short, full in NAMES.items() if full == name), name)
