"""Names in rules: a class or a zone may be called anything; what is no plain word stands in quotes."""

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[\w./+&-]+( [\w./+&-]+)*")
_LISTED = 100


def quoted(name: str, *, always: bool = False) -> str:
    """A name as it is written in a rule: as it is (unless `always`), or in quotes, a backslash before those within."""
    if _PLAIN.fullmatch(name) and not always:
        return name
    mark = '"' if "'" in name and '"' not in name else "'"
    return mark + name.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark


def unquoted(text: str) -> str:
    """The name that a whole text stands for: without its quotes, if it has any; else without outer spaces.

    Raises:
        ValueError: it begins with a quote and does not end with one.
    """
    text = text.strip()
    if text[:1] not in ("'", '"'):
        return " ".join(text.split())
    name, end = read_quoted(text, 0)
    if end != len(text):
        raise ValueError("nothing should come behind the quotes")
    return name


def read_quoted(text: str, start: int) -> tuple[str, int]:
    r"""The name in the quotes that begin at a position, and the position behind them.

    A quote within is doubled, or stands behind a backslash; a backslash too: `'it''s'`, `'it\'s'`, `'C:\\'`.

    Raises:
        ValueError: the quotes never end.
    """
    mark, name, at = text[start], "", start + 1
    while at < len(text):
        two = text[at : at + 2]
        if two in (f"\\{mark}", "\\\\", mark + mark):
            name += two[1]
            at += 2
        elif text[at] == mark:
            return name, at + 1
        else:
            name += text[at]
            at += 1
    raise ValueError(f"the quote {mark} should come once more")


def matching(name: str, known: Sequence[str]) -> list[int]:
    """Where a name stands in a list: written just so; if none is, in any case of letters and with any spaces."""
    exact = [i for i, each in enumerate(known) if each == name]
    return exact or [i for i, each in enumerate(known) if _loosely(each) == _loosely(name)]


def listed(names: Sequence[str]) -> str:
    """Names in a form that can be pasted into a rule."""
    distinct = list(dict.fromkeys(names))
    return ", ".join(map(quoted, distinct[:_LISTED])) + (", ..." if len(distinct) > _LISTED else "")


def _loosely(name: str) -> str:
    return " ".join(name.split()).casefold()
