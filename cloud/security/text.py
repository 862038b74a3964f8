"""Text that crosses the door: what a stranger wrote is shown escaped and short, what goes out names no folder."""

import re

LONGEST = 100
"""Characters of what a stranger wrote that are shown, and the longest name or session that is taken."""
_MOST_OUT = 1000
# A path of at least two parts that begins at the root, up to the last part; not what follows a scheme (https://...).
_FOLDERS = re.compile(r"(?<![\w/:.])(?:/[\w.+@~-][\w.+@~ -]*)+/(?=[\w.+@~-])")


def shown(text: str) -> str:
    """What a stranger wrote, as it may stand in a log or a message: in quotes, escaped, cut."""
    return repr(text) if len(text) <= LONGEST else f"{text[:LONGEST]!r}... ({len(text)} characters)"


def printable(text: str) -> str:
    """What a stranger wrote, as it may stand among other words: nothing in it moves the cursor or sets a colour."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def for_outside(text: str) -> str:
    """A message as it may go to a device: in one line, not endless, files by their names without their folders."""
    line = _FOLDERS.sub("", " ".join(text.split()))
    return line if len(line) <= _MOST_OUT else f"{line[:_MOST_OUT]}..."
