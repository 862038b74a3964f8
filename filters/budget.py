"""A budget for what a gate sends: its threshold moves so that the share of the inputs that it sends is held."""

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

WINDOW_S = 600.0
"""Over so long a gate sends at most twice its budget."""


class Budget(BaseModel):
    """The share that a gate sends, and what it may send beyond.

    Attributes:
        share: of the inputs, in the long run.
        reserve: so many inputs more than that share of them are sent in no stretch, however long or short.
        step: how much the threshold rises for each e-fold less that is to be sent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(gt=0.0, lt=1.0)
    reserve: float = Field(ge=1.0)
    step: float = Field(gt=0.0)

    @classmethod
    def over(cls, share: float, *, window_s: float, step_s: float, step: float) -> Self:
        """One that is exceeded by as much again over a window, and by less over anything longer.

        Args:
            share: of the inputs.
            window_s: how long the window is.
            step_s: from one input to the next.
            step: of the threshold.
        """
        return cls(share=share, reserve=max(2.0, share * window_s / max(step_s, 1e-6)), step=max(step, 1e-6))


class BudgetControl:
    """Follows what a gate sends. What is left of the budget is a level that every input raises by the share.

    An input that is sent takes 1 of it. At half the reserve the threshold is the learnt one; it rises without bound as
    the level falls to nothing, and falls as the reserve fills. The level is the integral of what was sent too little,
    so that the share is held whatever the scores have become; and what is not there cannot be sent.

    Args:
        budget: what is held.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._level = budget.reserve / 2.0

    def reset(self) -> None:
        """Starts a new stream."""
        self._level = self.budget.reserve / 2.0

    def threshold(self, learnt: float) -> float:
        """What the next input is compared with, in place of the learnt threshold."""
        reserve = self.budget.reserve
        if self._level < 1.0:
            return math.inf
        full = min(self._level / reserve, 1.0 - 0.5 / reserve)
        return learnt + self.budget.step * math.log((1.0 - full) / full)

    def note(self, *, sent: bool) -> None:
        """Takes whether it was sent."""
        level = self._level + self.budget.share - sent
        self._level = min(max(level, 0.0), self.budget.reserve)
