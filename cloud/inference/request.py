"""A request for one model's output, and its response: what the gRPC and the REST face have in common."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ...errors import InvalidInput
from ...outputs import Array
from ...traces.stream_names import SLASH, split_name
from ..security.text import LONGEST, shown
from ..sessions.bounds import is_name

Parameter = bool | int | float | str
Fallback = Literal["exact", "prefer_exact", "any"]
"""What a request takes where its model does not run now.

exact: the model's own output alone; it is loaded if that can be. prefer_exact: that, and only where it can't be in time
what links say. any: what links say, and where they say nothing the model is loaded.
"""
FALLBACKS: tuple[Fallback, ...] = get_args(Fallback)

ANSWER = "answer"
"""The output that is the answer as the spec has it, where an input is sent as a whole (`whole.py`)."""

COLORS = ("BGR", "RGB")
# Triton counts priorities from 1, the highest; 0 stands for the default.
_FIRST = 1


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One request.

    Attributes:
        model: the model's name.
        version: which of its versions; empty: the one that is served.
        id: what its response repeats.
        parameters: what it is to be answered by.
        tensors: the inputs by name.
        outputs: the names of the outputs that are wanted; empty: all.
    """

    model: str
    version: str = ""
    id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    tensors: Mapping[str, Array] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What its tensors take."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @property
    def fallback(self) -> Fallback:
        """What it takes where its model does not run now.

        Raises:
            InvalidInput: there is no such thing.
        """
        found = self._text("fallback", "any")
        for known in FALLBACKS:
            if found == known:
                return known
        raise InvalidInput(f"parameter `fallback` must be {', '.join(FALLBACKS)}, not {found[:40]!r}")

    @property
    def stream(self) -> str:
        """The stream that it belongs to; empty: none, it stands for itself.

        Raises:
            InvalidInput: no stream can be called so.
        """
        found = self._text("stream", "")
        device, stream = split_name(found)
        if found and not (is_name(device) and (is_name(stream) if SLASH in found else not stream)):
            raise InvalidInput(
                f"parameter `stream` must be 1 to {LONGEST} letters, digits, '.', '_', '-', or two such names as "
                f"DEVICE/STREAM, not {shown(found)}"
            )
        return found

    @property
    def captured_s(self) -> float | None:
        """When its input was captured; None: it does not say.

        Raises:
            InvalidInput: this is no time.
        """
        found = self.parameters.get("captured_ns")
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or abs(found) >= 2**63:
            raise InvalidInput("parameter `captured_ns` must be a whole number of nanoseconds")
        return found / 1e9

    @property
    def timeout_s(self) -> float | None:
        """How long it may take; None: it does not say.

        Raises:
            InvalidInput: this is no time.
        """
        found = self.parameters.get("timeout")
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 2**63:
            raise InvalidInput("parameter `timeout` must be a number of microseconds, at least 0")
        return found / 1e6 if found else None

    @property
    def traceparent(self) -> str:
        """The trace that it belongs to, as W3C Trace Context writes it; empty: it does not say.

        Raises:
            InvalidInput: this is no text.
        """
        return self._text("traceparent", "")

    @property
    def worth(self) -> float:
        """How it is placed among the inputs that wait for its model: infinite, or below all that devices send.

        Raises:
            InvalidInput: the priority is none.
        """
        found = self.parameters.get("priority", 0)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**32:
            raise InvalidInput("parameter `priority` must be a whole number from 0 to 2^32 - 1; 0 and 1 go first")
        return math.inf if found <= _FIRST else -float(found)

    def check_alone(self) -> None:
        """Makes sure that it is no part of a sequence of Triton's: no model here keeps anything between requests.

        Raises:
            InvalidInput: it is one.
        """
        for name in ("sequence_id", "sequence_start", "sequence_end"):
            if self.parameters.get(name):
                raise InvalidInput(
                    f"parameter `{name}`: there are no sequences here, as no model keeps anything from one request to "
                    "the next; pictures that belong together name a `stream`"
                )

    def color(self) -> str:
        """The order in which a picture of pixels has its colours.

        Raises:
            InvalidInput: it does not say: taken the other way round, a model would answer all the same, and wrongly.
        """
        found = self._text("color", "")
        if found not in COLORS:
            raise InvalidInput(
                f"parameter `color` must be {' or '.join(COLORS)} where pictures are sent as pixels, not {found[:40]!r}"
            )
        return found

    def _text(self, name: str, default: str) -> str:
        found = self.parameters.get(name, default)
        if not isinstance(found, str):
            raise InvalidInput(f"parameter `{name}` must be text")
        return found


@dataclass(frozen=True, slots=True)
class InferResponse:
    """The response to a request, whose `id` it repeats.

    Attributes:
        model: the model that it is of.
        version: which of its versions.
        id: the request's.
        parameters: how the answer came to be.
        outputs: by name.
    """

    model: str
    version: str
    id: str
    parameters: Mapping[str, Parameter]
    outputs: Mapping[str, Array]
