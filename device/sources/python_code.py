"""Inputs that a program makes: any iterable, or a function of a Python file that the user names."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np

from ...errors import InfilinkError, InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array
from .base import Input, Times
from .cut import Cut, Span
from .formats import utf8
from .row_times import hole_of
from .windower import Windower

_WINDOWED = ("audio", "signal", "video")
_MOST_BYTES = 2**28


class PythonSource:
    """Gives what an iterable gives; the fields are those of `Source`.

    Each value is a picture (uint8, height x width x 3, BGR), a window of pictures, a sound (int16, or float32 from -1
    to 1), a signal (steps, channels), a map (channels, height, width), a text (`str`), or a dictionary of some of
    these: the parts of one input. `(time_s, value)` says when it was captured.

    Args:
        name: as it may be shown.
        values: the iterable.
        cut: `rate_hz` and `channels` say what the values are; with a window, sounds and signals are pieces that windows
            are cut of, and pictures are the frames of one.
        live: whether values come when they are captured: their times are when they come.

    Raises:
        InvalidInput: the first value is none of these.
    """

    def __init__(self, name: str, values: Iterable[Any], cut: Cut, *, live: bool = False) -> None:
        self.name = name
        self.cut = cut
        self.live = live
        self.input_count = len(values) if isinstance(values, Sized) and not cut.is_windowed else None
        self._closed = False
        self._every = self._inputs()
        self._given = self._taken = 0
        self._last_s = 0.0
        self._values = iter(values)
        pulled = self._pulled()
        first = next(pulled, None)
        if first is None:
            raise InvalidInput(f"{name}: gives nothing")
        first_s, value = first
        self._items = chain([first], pulled)
        self._kind = _form_of(name, value, cut)
        rate_hz = cut.rate_hz or 0.0
        span = cut.span(rate_hz, where=name)
        if span.window and self._kind.modality not in ("image", "audio", "signal"):
            raise InvalidInput(f"{name}: windows are for pictures, sounds and signals, not for {self._kind.modality}")
        self.form = _windows_of(self._kind, span, rate_hz)
        self.times: Times = "read" if live or first_s is not None else "order"
        self.inputs_per_s = rate_hz / span.stride if span.window and rate_hz else 1.0
        self._windower = Windower(span, max(hole_of(rate_hz), 1.0 if live else 0.0)) if span.window else None

    def __iter__(self) -> Iterator[Input]:
        """Every input; going on where an earlier loop stopped.

        Raises:
            InvalidInput: a value is of another kind, or the program failed.
        """
        for each in self._every:
            if self._closed:
                return
            yield each

    def _inputs(self) -> Iterator[Input]:
        for time_s, value in self._items:
            self._taken += 1
            try:
                self._kind.check(value)
            except InvalidInput as error:
                raise InvalidInput(f"{self.name}: value {self._taken}: {error}") from error
            at_s = float(self._given) if time_s is None else time_s
            if self._windower is None:
                yield self._input(value, at_s)
                continue
            pieces = value[None] if self._kind.modality == "image" else value
            step_s = 1.0 / self.form.rate_hz if self.form.rate_hz else 0.0
            if time_s is None:
                at_s = self._last_s + len(pieces) * step_s
            self._last_s = at_s
            times_s = at_s - step_s * np.arange(len(pieces) - 1, -1, -1)
            for window in self._windower.push(np.array(pieces), times_s):
                yield self._input(window.values, float(self._given) if self.times == "order" else window.time_s)

    def close(self) -> None:
        """Ends the program's generator."""
        self._closed = True
        close = getattr(self._values, "close", None)
        if close is not None:
            try:
                close()
            except ValueError:
                return  # It runs just now, in another thread, and is left alone.

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self.close()

    def _input(self, value: Array, at_s: float) -> Input:
        self._given += 1
        return Input(self._given - 1, at_s, value, None if self.live else at_s)

    def _pulled(self) -> Iterator[tuple[float | None, Array]]:
        """Every value as an array, with its time."""
        last_s = -np.inf
        while not self._closed:
            try:
                value = next(self._values)
            except StopIteration:
                return
            except InfilinkError:
                raise
            except (Exception, SystemExit) as error:
                raise InvalidInput(f"{self.name}: failed after {self._taken} values: {error!r}") from error
            time_s: float | None = time.monotonic() if self.live else None
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int | float):
                time_s, value = time_s if self.live else float(value[0]), value[1]
            if time_s is not None and not time_s >= last_s:
                raise InvalidInput(
                    f"{self.name}: the time {time_s!r} of value {self._taken + 1} lies before the last one"
                )
            last_s = last_s if time_s is None else time_s
            yield time_s, _array(self.name, value)


def load_function(name: str, path: Path, function: str) -> Callable[[], Iterable[Any]]:
    """A function of a Python file; the file is run.

    Raises:
        InvalidInput: there is no such file or function, or the file can't be run.
    """
    try:
        code = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name}: there is no Python file {path} ({error.strerror})") from error
    module = ModuleType(f"infilink_source_{path.stem}")
    module.__file__ = str(path)
    try:
        exec(compile(code, module.__file__, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise InvalidInput(f"{name}: {path} can't be run: {error!r}") from error
    found = getattr(module, function, None)
    if not callable(found):
        raise InvalidInput(f"{name}: {path} has no function {function!r}")
    loaded: Callable[[], Iterable[Any]] = found
    return loaded


def call_function(name: str, function: Callable[[], Iterable[Any]]) -> Iterable[Any]:
    """What a user's function gives.

    Raises:
        InvalidInput: it fails, or gives nothing that can be iterated over.
    """
    try:
        values = function()
    except InfilinkError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidInput(f"{name}: the function failed: {error!r}") from error
    if not isinstance(values, Iterable):
        raise InvalidInput(f"{name}: the function gives {type(values).__name__}, which is nothing to iterate over")
    return values


def _array(name: str, value: Any) -> Array:
    if isinstance(value, str):
        return utf8(value.encode("utf-8", "replace").decode())
    if isinstance(value, Mapping):
        parts = {str(key): _array(name, part) for key, part in value.items()}
        if wrong := [key for key in parts if not key.isidentifier()]:
            raise InvalidInput(f"{name}: a part is called {wrong[0]!r}: names are letters, digits and _")
        joined = np.zeros((), np.dtype([(key, part.dtype, part.shape) for key, part in parts.items()]))
        for key, part in parts.items():
            joined[key] = part
        return joined
    if not isinstance(value, np.ndarray):
        raise InvalidInput(
            f"{name}: gives {type(value).__name__}; an input is an array, a text, or a dictionary of these"
        )
    if value.nbytes > _MOST_BYTES:
        raise InvalidInput(f"{name}: gives {value.dtype} {value.shape}: an input has up to {_MOST_BYTES // 2**20} MiB")
    array = value.astype(np.float32) if value.dtype.kind == "f" and value.dtype != np.float32 else value
    return np.array(array)  # The program may write into its own again.


def _form_of(name: str, value: Array, cut: Cut) -> InputForm:
    """What a value is, whole."""
    if value.dtype.names is not None:
        parts = {key: _form_of(name, value[key], Cut()) for key in value.dtype.names}
        return InputForm(modality="+".join(part.modality for part in parts.values()), parts=parts)
    kinds = {
        (np.dtype(np.uint8), 1): "text",
        (np.dtype(np.uint8), 3): "image",
        (np.dtype(np.uint8), 4): "video",
        (np.dtype(np.int16), 1): "audio",
        (np.dtype(np.float32), 1): "audio",
        (np.dtype(np.float32), 2): "signal",
        (np.dtype(np.float32), 3): "map",
    }
    kind = kinds.get((value.dtype, value.ndim))
    if kind is None:
        raise InvalidInput(
            f"{name}: a value of {value.dtype} {value.shape} is no input of any kind (see docs/SOURCES.md)"
        )
    if cut.modality is not None and cut.modality != kind and not (cut.modality == "video" and kind == "image"):
        raise InvalidInput(f"{name}: gives values of {kind}, and `modality` is {cut.modality}")
    rate_hz = (cut.rate_hz or 0.0) if kind in _WINDOWED else 0.0
    return InputForm(modality=kind, rate_hz=rate_hz, channels=cut.channels if kind == "signal" else ())


def _windows_of(form: InputForm, span: Span, rate_hz: float) -> InputForm:
    if not span.window:
        return form
    modality = "video" if form.modality == "image" else form.modality
    return form.model_copy(
        update={"modality": modality, "rate_hz": rate_hz, "window": span.window, "stride": span.stride}
    )
