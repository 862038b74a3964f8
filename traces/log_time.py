"""When a logged input was captured: seconds, dates, or counts of milliseconds since 1970; and what is said of times."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..errors import InvalidInput

TIMES = ("captured_s", "time", "timestamp")

_LATEST_S = 1e11
_PER_SECOND = ((1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
"""Counts since 1970 up to these are of milliseconds, microseconds, nanoseconds: as seconds they would be far off."""
_SUFFIXES = {"_ms": 1e3, "_us": 1e6, "_ns": 1e9}
_EARLIEST_DATE_S = 1e8
_HOUR_S = 3600.0


def time_column(columns: Sequence[str], wanted: str = "") -> str:
    """The column of times: the wanted one, or the first there is of `TIMES`, in any case; empty if there is none."""
    for name in (wanted,) if wanted else TIMES:
        found = named(columns, name)
        if found:
            return found
    return ""


def named(columns: Sequence[str], name: str) -> str:
    """The column of that name, or else the one whose name differs by its case only; empty if there is none."""
    if name in columns:
        return name
    return next((column for column in columns if column.lower() == name.lower()), "")


def seconds(value: Any, where: str, column: str = "") -> float:
    """A time in seconds.

    Args:
        value: a number of seconds, or of milli-, micro- or nanoseconds since 1970; ISO 8601 (UTC, if it does not say);
            or a date.
        where: names it in an error.
        column: its column: a name that ends in `_ms`, `_us` or `_ns` says what it counts.

    Raises:
        InvalidInput: it is none of these.
    """
    try:
        if isinstance(value, str):
            value = _number_or_date(value.strip())
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{where}: {value!r} is no time; write seconds (12.5) or ISO 8601 (2026-01-31T08:00:00+01:00)"
        ) from error
    if not np.isfinite(found):
        raise InvalidInput(f"{where}: time {value!r} is not finite")
    per_second = next((each for suffix, each in _SUFFIXES.items() if column.lower().endswith(suffix)), None)
    if per_second is None and abs(found) > _LATEST_S:
        per_second = next((each for most, each in _PER_SECOND if abs(found) < most), None)
        if per_second is None:
            raise InvalidInput(f"{where}: time {value!r} is too large for a time since 1970, even in nanoseconds")
    return found / (per_second or 1.0)


def _number_or_date(text: str) -> float | datetime:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text)


def told(at_s: float) -> str:
    """A time for people: a date, if it is one."""
    if not _EARLIEST_DATE_S <= at_s <= _LATEST_S:
        return f"{at_s:g} s"
    return f"{datetime.fromtimestamp(at_s, UTC).isoformat(sep=' ', timespec='milliseconds').removesuffix('+00:00')} UTC"


def not_rising(before_s: float, after_s: float, names: tuple[str, str], step_s: float) -> str:
    """What is wrong with a time that does not come after the one before it, and what to do.

    Args:
        before_s: the time before it.
        after_s: the time.
        names: what the two rows are called.
        step_s: what usually lies between two times; 0: not known.
    """
    back_s = before_s - after_s
    if back_s == 0:
        return (
            f"{names[1]} has the time of {names[0]}, {told(after_s)}: one row an input; where the clock counts whole "
            "seconds only, log their fractions too"
        )
    said = f"{names[1]} has time {told(after_s)}, which does not come after the {told(before_s)} of {names[0]}"
    if after_s >= _EARLIEST_DATE_S and 0 <= _HOUR_S - back_s <= max(60.0, 3 * step_s):
        return (
            f"{said}: it falls back by about an hour, as local time does at the end of summer time: log UTC, or write "
            "the zone with each time (2026-10-25T02:00:00+01:00); in order of these times, two hours would be mixed"
        )
    return f"{said}: sort the log by time, one row an input, one source a log"
