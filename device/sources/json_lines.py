"""JSON lines: each a text, a row of numbers, several rows, or both: a signal with a text."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array
from .columns import NONE, Columns, is_time, seconds_unit
from .complaints import Complaints
from .cut import Cut
from .formats import Item, NothingYet, utf8

_TEXT_FIELDS = ("text", "sentence", "message", "msg", "content", "body")
_ONE_A_LINE = "write each object on a line of its own (`jq -c '.[]' FILE`)"


class JsonFormat:
    """Makes an item of each line.

    A line is an object with a field for each channel (a number, or as many numbers in each), or a text, or both; or it
    is a text, a number, a list of numbers, or a list of such lists, as they are.

    Args:
        cut: which fields are channels, the text, the time; and what an item is, if it could be several.
        complaints: told of lines that can't be read.
    """

    per_line = True

    def __init__(self, cut: Cut, complaints: Complaints) -> None:
        self.cut = cut
        self.form: InputForm | None = None
        self.says_times = bool(cut.time_column) and cut.time_column != NONE
        self._complaints = complaints
        self._text = cut.text_column
        self._channels: tuple[str, ...] = cut.channels
        self._time: str | None = cut.time_column if self.says_times else None
        if cut.modality == "text" or (cut.channels and cut.time_column):
            self._settle()

    def begin(self, lines: list[bytes]) -> None:
        """Finds the fields, in the first line that has any."""
        why: InvalidInput | None = None
        first = next((line.strip() for line in lines if line.strip()), b"")
        if first in (b"[", b"{"):
            raise InvalidInput(f"is JSON over several lines: {_ONE_A_LINE}")
        for line in lines:
            try:
                found = json.loads(line)
                if isinstance(found, dict):
                    self._find(found)
                elif not isinstance(found, str):
                    rows = self._rows(found)
                    self._channels = self._channels or tuple(map(str, range(rows.shape[1])))
            except InvalidInput as error:
                why = why or error  # A logger's first word, perhaps: others may follow.
            except (ValueError, RecursionError):
                continue
            else:
                self._settle()
                return
        if why is None:
            shown = next((line for line in lines if line.strip()), None)
            found = (
                ""
                if shown is None
                else f" ({shown[:60]!r}): for rows write csv:PATH, for texts text:PATH (or - as PATH)"
            )
            raise NothingYet(f"holds no JSON{found}")
        raise NothingYet(str(why))

    def anew(self) -> None:
        """Nothing: each line stands for itself."""

    def items(self, lines: list[bytes]) -> list[Item]:
        """Each line's item."""
        found = []
        for line in lines:
            if not line.strip():
                continue
            try:
                found.append(self._item(json.loads(line)))
            except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
                self._complaints.add("no JSON", f"a line is no JSON ({line[:60]!r}): it is left out")
            except (InvalidInput, ValueError, TypeError, OverflowError) as error:
                self._complaints.add("can't be read", f"a line can't be read ({error}): it is left out")
        return found

    def _find(self, found: Mapping[str, Any]) -> None:
        """The fields, from an object."""
        if not self._time and self.cut.time_column != NONE:
            self._time = next((name for name in found if is_time(name) and name not in self._channels), None)
            self.says_times = self._time is not None
        wanted = self.cut.modality
        if not self._text and wanted != "signal":
            self._text = next((name for name in _TEXT_FIELDS if isinstance(found.get(name), str)), "")
        if not self._channels and wanted != "text" and not (self._text and wanted is None):
            self._channels = tuple(name for name, value in found.items() if name != self._time and _is_numbers(value))
        if not self._text and not self._channels:
            raise InvalidInput(
                f"a line has no field that is a text ({', '.join(_TEXT_FIELDS)}) and none that is a number, only "
                f"{', '.join(found)}: name them with `text_column` or `channels`"
            )

    def _settle(self) -> None:
        text = InputForm(modality="text")
        if not self._channels:
            self.form = text
            return
        signal = InputForm(modality="signal", channels=self._channels)
        if self._text and self.cut.modality != "signal":
            self.form = InputForm(modality="signal+text", parts={"signal": signal, "text": text})
        else:
            self.form = signal

    def _item(self, found: Any) -> Item:
        assert self.form is not None
        times_s = self._seconds(found)
        if self.form.modality == "text":
            return Item(self._words(found), times_s)
        if self.form.modality == "signal":
            rows = self._signal(found)
            if times_s is not None and len(times_s) != len(rows):
                times_s = np.full(len(rows), times_s[-1])
            return Item(rows, times_s)
        rows, text = self._signal(found), self._words(found)
        kind = np.dtype([("signal", rows.dtype, rows.shape), ("text", text.dtype, text.shape)])
        value = np.zeros((), kind)
        value["signal"], value["text"] = rows, text
        return Item(value, times_s)

    def _words(self, found: Any) -> Array:
        text = found.get(self._text or _TEXT_FIELDS[0]) if isinstance(found, dict) else found
        if not isinstance(text, str):
            raise InvalidInput(f"its field {self._text or _TEXT_FIELDS[0]!r} is no text")
        if not text.strip():
            raise InvalidInput("its text is empty")
        return utf8(text)

    def _signal(self, found: Any) -> Array:
        if not isinstance(found, dict):
            rows = self._rows(found)
        else:
            absent = [name for name in self._channels if name not in found]
            if absent:
                raise InvalidInput(f"it has no {', '.join(absent)}")
            rows = self._rows([found[name] for name in self._channels], turned=True)
        if rows.shape[1] != len(self._channels):
            raise InvalidInput(f"it has {rows.shape[1]} numbers, not {len(self._channels)}")
        if not np.isfinite(rows).all():
            raise InvalidInput("a number is missing")
        return rows

    def _rows(self, found: Any, *, turned: bool = False) -> Array:
        """Numbers as rows of channels."""
        if isinstance(found, list) and any(isinstance(each, dict) for each in found):
            raise InvalidInput(f"it is a list of objects: {_ONE_A_LINE}")
        try:
            with np.errstate(over="ignore"):  # Infinite, and refused.
                array = np.array(found, np.float32)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInput("it is no number, no list of numbers and no list of such lists") from error
        if found is None:
            raise InvalidInput("it is null")
        if array.ndim > 2 or not array.size:
            raise InvalidInput(f"it is of the shape {array.shape}")
        if array.ndim == 2:
            return array.T.copy() if turned else array
        return array.reshape(1, -1)

    def _seconds(self, found: Any) -> Array | None:
        if not self._time:
            return None
        value = found.get(self._time) if isinstance(found, dict) else None
        if value is None:
            raise InvalidInput(f"it has no {self._time}")
        cells = value if isinstance(value, list) else [value]
        columns = Columns(None, seconds_unit(self.cut, self._time), (), ())
        times_s = columns.seconds(cells)
        if not np.isfinite(times_s).all():
            raise InvalidInput(f"its {self._time} is no time: {value!r}")
        return times_s


def _is_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_is_numbers(each) and not isinstance(each, list) for each in value)
    return isinstance(value, int | float) and not isinstance(value, bool)
