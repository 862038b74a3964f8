"""What a second of the processors has to bring now, so that what is spent meets what may be spent."""

import math
import sys

_BANK_S = 2.0
"""So many seconds' budget can be saved up: for when much happens at once."""
_LEAST_RUNS = 4.0
"""But at least so many runs of the dearest model, or a small budget could never pay for one."""
_FULL = 0.9
"""From such a share of the most that can be saved on, what is not spent is as good as lost."""
_KEPT = 0.25
"""Such a share of the most that can be saved is not for what has to run whatever it is worth."""
_REACTS = 0.75
"""When so much of what can be saved is spent beyond what is earned, the price rises e-fold."""


class Price:
    """Holds the price at which spending meets the budget, and the seconds that were saved.

    Saved seconds are spent when they are worth more than usual: the price is what it was lately at a bank that is half
    full, infinite at an empty one and nothing at a full one.

    Args:
        cores: processors' seconds that may be spent in a second; infinite: all that is asked for.
        dearest_s: what one run of the dearest model takes.

    Attributes:
        bank_s: what has been saved; below 0 where something took longer than was expected. It begins full.
        bank_limit_s: the most that is saved.
        spent_s: everything that was spent.
    """

    def __init__(self, cores: float, *, dearest_s: float) -> None:
        self.cores = cores
        self.bank_limit_s = max(_BANK_S * cores, _LEAST_RUNS * dearest_s)
        self.bank_s = self.bank_limit_s
        self.spent_s = 0.0
        self._log_usual: float | None = None
        self._counted_s: float | None = None

    @property
    def value(self) -> float:
        """What a second has to bring now, in losses that it prevents."""
        share = self.share
        if share >= _FULL:
            return 0.0
        usual = math.exp(self._log_usual) if self._log_usual is not None else sys.float_info.min
        return usual * (_FULL - share) / share if share > 0.0 else math.inf

    @property
    def share(self) -> float:
        """How full the bank is."""
        return 1.0 if math.isinf(self.bank_limit_s) else self.bank_s / self.bank_limit_s

    @property
    def at_once_s(self) -> float:
        """What one thing may cost now: what was saved; with half of the most that can be, as much as it likes."""
        return math.inf if self.share >= 0.5 else self.bank_s

    @property
    def spare_s(self) -> float:
        """The same for what is not weighed against the rest: it leaves something to what waits."""
        return math.inf if self.share >= 0.5 else self.bank_s - _KEPT * self.bank_limit_s

    def pass_time(self, now_s: float) -> None:
        """The clock has moved on."""
        if self._counted_s is not None and not math.isinf(self.cores):
            self._change(self.cores * max(0.0, now_s - self._counted_s))
        self._counted_s = now_s if self._counted_s is None else max(now_s, self._counted_s)

    def spend(self, cost_s: float) -> None:
        """So much is spent; below 0: given back."""
        self.spent_s += cost_s
        if not math.isinf(self.cores):
            self._change(-cost_s)

    def ask(self, index: float) -> None:
        """Something worth that much a second asks to run: the first one sets the price."""
        if self._log_usual is None and index > 0.0:
            self._log_usual = math.log(index)

    def _change(self, saved_s: float) -> None:
        before_s, self.bank_s = self.bank_s, min(self.bank_s + saved_s, self.bank_limit_s)
        if self._log_usual is not None:
            # What is owed, for a load that took long, is no sign of what runs are worth.
            moved_s = max(before_s, 0.0) - max(self.bank_s, 0.0)
            self._log_usual += moved_s / (_REACTS * self.bank_limit_s)
