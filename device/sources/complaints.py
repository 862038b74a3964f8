"""What is wrong with a source's inputs, said the first time and then by its count, so that no log fills with it."""

from collections import Counter
from collections.abc import Callable

from ...errors import InvalidInput


class Complaints:
    """Says what is wrong once, again at ten, a hundred, a thousand times, and in the end how often it was.

    Args:
        told: called with each line.
        strict: whether nothing may be left out: one of several sources side by side would not fit them any more.
    """

    def __init__(self, told: Callable[[str], None], *, strict: bool = False) -> None:
        self.strict = strict
        self.counts: Counter[str] = Counter()
        self._said: Counter[str] = Counter()
        self._told = told

    def add(self, kind: str, text: str, *, lost: bool = True) -> None:
        """One more that is wrong.

        Args:
            kind: what is counted together.
            text: what is wrong with this one, for people.
            lost: whether something is left out for it.

        Raises:
            InvalidInput: it is, and nothing may be.
        """
        if self.strict and lost:
            raise InvalidInput(f"{text}: what is joined by its order must be whole")
        self.counts[kind] += 1
        count = self.counts[kind]
        if count <= self._said[kind]:
            return
        if count == 1 or (count % 10 == 0 and count == 10 ** (len(str(count)) - 1)):
            self._said[kind] = count
            self._told(text if count == 1 else f"{text} ({count} so far)")

    def finish(self) -> None:
        """Says how often each was, where that is not known from the last line."""
        for kind, count in self.counts.items():
            if count > self._said[kind]:
                self._said[kind] = count
                self._told(f"{kind}: {count} times in all")

    def forget(self) -> None:
        """Counts from nothing again: what was complained of was a first look."""
        self.counts.clear()
