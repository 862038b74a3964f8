"""Times as a person writes and reads them, in their own zone; what is kept is Unix time, that no clock change moves."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ...errors import InvalidInput
from ...units import parse_seconds

FORMS = '"2026-10-25", "2026-10-25 02:30", "2026-10-25T02:30:00+02:00", or an age: "30min", "2h", "7d"'
_US = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_zone(name: str) -> tzinfo | None:
    """A zone by its name, such as Europe/Berlin or UTC; None for an empty one: this machine's.

    Raises:
        InvalidInput: there is no such zone.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(f"zone {name!r}: is not known; give a name such as Europe/Berlin, or UTC") from error


def since_us(text: str, zone: tzinfo | None, now_us: int) -> int:
    """The beginning of a range, as Unix time in microseconds.

    A time that the clocks showed twice, or never, as they were changed, is taken so that the range is the wider one.

    Raises:
        InvalidInput: it is no time; the message lists the forms.
    """
    return min(_moments(text, zone, now_us, whole_day=False))


def until_us(text: str, zone: tzinfo | None, now_us: int) -> int:
    """The end of a range, which is not in it; of a day without a time its end, so that the day is.

    Raises:
        InvalidInput: it is no time; the message lists the forms.
    """
    return max(_moments(text, zone, now_us, whole_day=True))


def shown(at_us: int, zone: tzinfo | None) -> str:
    """A time as the viewer's clock showed it, with its distance to UTC: no two moments look the same."""
    local = (_EPOCH + at_us * _US).astimezone(zone)
    return local.isoformat(sep=" ", timespec="milliseconds")


def iso_utc(at_us: int) -> str:
    """A time in UTC, for files."""
    return (_EPOCH + at_us * _US).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moments(text: str, zone: tzinfo | None, now_us: int, *, whole_day: bool) -> tuple[int, int]:
    age_s = _age_s(text)
    if age_s is not None:
        at_us = now_us - round(age_s * 1e6)
        return at_us, at_us
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"time {text!r}: write {FORMS}") from None
    if whole_day and len(text.strip()) <= len("2026-10-25"):
        given += timedelta(days=1)
    if given.tzinfo is not None:
        at_us = (given - _EPOCH) // _US
        return at_us, at_us
    first, second = (_local(given.replace(fold=fold), zone) for fold in (0, 1))
    return (first - _EPOCH) // _US, (second - _EPOCH) // _US


def _local(given: datetime, zone: tzinfo | None) -> datetime:
    try:
        return given.astimezone(UTC) if zone is None else given.replace(tzinfo=zone).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise InvalidInput(f"time {given}: is out of what can be reckoned with") from error


def _age_s(text: str) -> float | None:
    if text.strip().lower().endswith("d"):
        number = text.strip()[:-1].strip()
        return float(number) * 86_400 if number.replace(".", "", 1).isdigit() else None
    try:
        # A bare number is no age: it may have been meant as a time.
        return None if text.strip().replace(".", "", 1).isdigit() else parse_seconds(text)
    except InvalidInput:
        return None
