"""How many inputs go to a model's process at once: as many as the measured curve of its batches says."""

from collections.abc import Sequence

_BELIEVED = 0.1
# Inputs that take little time go together, as the way to the process and back takes as long as they do.
_TOGETHER_S, _MOST_TOGETHER = 0.008, 16
# What a larger batch has to save of each input's time, as all of them wait for the last.
_WORTH = 0.95
_TRY_AGAIN_EVERY = 500


class Batching:
    """Measures what groups of each size take, and says how large the next one is.

    Args:
        most: the most inputs that one run takes.
        preferred: the sizes that are tried; none: 1, 2, 4, 8 and so on.
        delay_s: how long an input waits at most for others to fill the largest.

    Attributes:
        took_s: by size, what a group took lately.
    """

    def __init__(self, most: int = 1, preferred: Sequence[int] = (), delay_s: float = 0.0) -> None:
        self.most = most
        sizes = {1, *preferred} if preferred else {2**n for n in range(9)} | {most}
        self.sizes = sorted(size for size in sizes if size <= most)
        self.delay_s = delay_s
        self.took_s: dict[int, float] = {}
        self._count = 0

    def ran(self, size: int, took_s: float) -> None:
        """A group of that size took so long."""
        before_s = self.took_s.get(size, took_s)
        self.took_s[size] = before_s + _BELIEVED * (took_s - before_s)
        self._count += 1

    def choose(self, waiting: int) -> int:
        """How many of those that wait share the next run: the size that answers most, of those that can be had."""
        sizes = [size for size in self.sizes if size <= waiting] or self.sizes[:1]
        if self._count % _TRY_AGAIN_EVERY == _TRY_AGAIN_EVERY - 1:
            # What was slow once may be so no longer.
            self._count += 1
            return sizes[-1]
        best = sizes[0]
        for size in sizes:
            if size not in self.took_s:
                return size
            if self.took_s[size] / size < _WORTH * self.took_s[best] / best:
                best = size
        return best

    def wait_s(self, waiting: int, waited_s: float) -> float:
        """How much longer the oldest of those that wait is to wait for others."""
        return max(0.0, self.delay_s - waited_s) if waiting < self.sizes[-1] else 0.0


def few(waiting: int, each_s: float, *, free: int = 1) -> int:
    """How many inputs go together to a process that takes one after another: more than one only if they are short.

    Args:
        waiting: how many wait.
        each_s: what each takes.
        free: how many processes could begin now; all get their share.
    """
    return max(1, min(-(-waiting // free), _MOST_TOGETHER, int(_TOGETHER_S / each_s))) if each_s else 1
