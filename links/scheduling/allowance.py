"""The seconds that audits may take: a part of what may be spent, so that they never take the place of answers."""

import math


class Allowance:
    """Processors' seconds for what runs whatever it is worth, to be compared. It begins with none.

    Args:
        cores: processors' seconds that it earns in a second; infinite: no limit.

    Attributes:
        saved_s: what may be taken now; below 0: what was taken beyond it.
    """

    def __init__(self, cores: float) -> None:
        self._earns = cores
        self._counted_s: float | None = None
        self.saved_s = math.inf if math.isinf(cores) else 0.0

    def pass_time(self, now_s: float, *, most_s: float) -> None:
        """The clock has moved on; no more is saved than `most_s`, for what is dearest."""
        if self._counted_s is not None and not math.isinf(self._earns):
            earned_s = self._earns * max(0.0, now_s - self._counted_s)
            self.saved_s = max(self.saved_s, min(self.saved_s + earned_s, most_s))
        self._counted_s = now_s if self._counted_s is None else max(now_s, self._counted_s)

    def spend(self, cost_s: float) -> None:
        """An audit took so much."""
        self.saved_s -= cost_s
