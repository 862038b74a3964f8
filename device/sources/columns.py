"""The columns of a table: which is the time and in which unit, and which are the channels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .cut import Cut

_TIME = re.compile(
    r"(?:time|t|timestamp|time_?stamp|ts|date_?time|epoch|unix(?:_?time)?|seconds|elapsed|zeit)"
    r"[ _]*[(\[]?(s|sec|seconds|ms|us|µs|ns|)[)\]]?",
    re.IGNORECASE,
)
_UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "": 1.0}
NONE = "-"
_LATEST_S = 1e11


@dataclass(frozen=True)
class Columns:
    """Where things stand in a row.

    Attributes:
        time: which column is the time; None: none is.
        unit_s: what that counts, in seconds; None: by its size.
        channels: which columns are the channels, in order.
        names: the channels' names.
    """

    time: int | str | None
    unit_s: float | None
    channels: tuple[int | str, ...]
    names: tuple[str, ...]

    def seconds(self, cells: Sequence[str | float]) -> Array:
        """Times in seconds; NaN: it is none."""
        return sane(np.array([_seconds(cell, self.unit_s) for cell in cells]))


def named_columns(names: Sequence[str], numeric: Sequence[bool], cut: Cut) -> Columns:
    """The columns of a table whose first line has their names.

    Args:
        names: the names.
        numeric: whether what stands in each is a number.
        cut: which are wanted.

    Raises:
        InvalidInput: one that is wanted is not there, or none is a number.
    """
    time, unit_s = _time_of(names, cut)
    if cut.channels:
        absent = [name for name in cut.channels if name not in names]
        if absent:
            raise InvalidInput(f"`channels` {', '.join(absent)}: there is no such column, only {', '.join(names)}")
        wanted = [names.index(name) for name in cut.channels]
    else:
        wanted = [place for place, number in enumerate(numeric) if number and place != time and names[place]]
    if not wanted:
        raise InvalidInput(f"no column holds numbers: {', '.join(names)}")
    if twice := [names[place] for place in wanted if list(names).count(names[place]) > 1]:
        raise InvalidInput(
            f"two of its columns are called {twice[0]!r}: give each a name of its own, or choose others with `channels`"
        )
    return Columns(time, unit_s, tuple(wanted), tuple(names[place] for place in wanted))


def numbered_columns(rows: Array, cut: Cut) -> Columns:
    """The columns of a table without names: by their numbers, from 0, or as `channels` names them in order.

    The first is the time if it rises from row to row by steps of anything but 1; if they are 1, it counts the rows.

    Raises:
        InvalidInput: one that is wanted is not there.
    """
    count = rows.shape[1]
    names = [str(place) for place in range(count)]
    if cut.time_column and cut.time_column != NONE:
        time, unit_s = _time_of(names, cut)
    else:
        time, unit_s = None, _unit(cut, "")
        steps = np.diff(rows[:, 0]) if count > 1 and len(rows) > _RISES else np.zeros(1)
        if cut.time_column != NONE and (steps > 0).all():
            time = 0
    rest = [place for place in range(count) if place != time]
    if time == 0 and not cut.time_column and (np.diff(rows[:, 0]) == 1).all():
        time = None
    if not cut.channels:
        return Columns(time, unit_s, tuple(rest), tuple(names[place] for place in rest))
    if all(name in names for name in cut.channels):
        wanted = [int(name) for name in cut.channels]
    elif len(cut.channels) == len(rest):
        wanted = rest
    else:
        raise InvalidInput(
            f"has {len(rest)} columns without names, and `channels` names {len(cut.channels)}: name all of them, or "
            f"choose by their numbers ({', '.join(names[place] for place in rest)})"
        )
    return Columns(time, unit_s, tuple(wanted), cut.channels)


_RISES = 8


def is_number(cell: str) -> bool:
    """Whether a cell may hold a number: also if it is empty or says that there is none."""
    return cell.strip().lower() in _MISSING or not np.isnan(number(cell))


_MISSING = ("", "nan", "na", "n/a", "null", "none", "-")


def number(cell: str) -> float:
    """A cell's number; NaN: it holds none."""
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _time_of(names: Sequence[str], cut: Cut) -> tuple[int | None, float | None]:
    """Which column is the time, and its unit."""
    wanted = cut.time_column
    if wanted == NONE:
        return None, None
    if wanted:
        if wanted not in names:
            raise InvalidInput(f"`time_column` {wanted!r}: there is no such column, only {', '.join(names)}")
        return list(names).index(wanted), _unit(cut, wanted)
    for place, name in enumerate(names):
        if _TIME.fullmatch(name.strip()) and name not in cut.channels:
            return place, _unit(cut, name)
    return None, None


def is_time(name: str) -> bool:
    """Whether a name is that of a time."""
    return bool(_TIME.fullmatch(name.strip()))


def sane(times_s: Array) -> Array:
    """Times without those that are none: beyond the year 5000 floats have no milliseconds, and it is no time anyway."""
    return np.where(np.abs(times_s) <= _LATEST_S, times_s, np.nan)


def _unit(cut: Cut, name: str) -> float | None:
    if cut.time_unit is not None:
        return _UNITS[cut.time_unit]
    found = _TIME.fullmatch(name.strip())
    return _UNITS[found[1].lower()] if found and found[1] else None


def seconds_unit(cut: Cut, name: str) -> float | None:
    """What a column or field with this name counts, in seconds; None: by its size."""
    return _unit(cut, name)


def _seconds(cell: str | float, unit_s: float | None) -> float:
    try:
        value = float(cell)
    except ValueError:
        return _date(str(cell))
    if unit_s is not None:
        return value * unit_s
    # Since 1970 it has been some thousand million seconds.
    size = abs(value)
    return value * (1.0 if size < 1e11 else 1e-3 if size < 1e14 else 1e-6 if size < 1e17 else 1e-9)


def _date(text: str) -> float:
    """A date's seconds since 1970; without a zone as if it were UTC; NaN: it is none."""
    try:
        moment = datetime.fromisoformat(text.strip().strip('"'))
    except ValueError:
        return float("nan")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
