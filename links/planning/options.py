"""What a planner may spend beside memory, and between what times of refresh it chooses."""

import os
from dataclasses import dataclass

from ...errors import InvalidInput

REFRESH_CHOICES_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
# A model that never runs can't be seen to differ from what is said in its place. With 0.2 models had turns where others
# should have stayed (campus at 20 %: .79 instead of .91); with 0.02 links from a short recording were believed too far.
AUDIT_GAIN = 0.06
SEEN_S = 2.0
"""Turns as often as this show as much of a model as if it ran on every input, rarer ones less in proportion: a turn a
minute neither tells much nor has what it told at hand when a link goes wrong."""


@dataclass(frozen=True)
class PlanOptions:
    """What plans are made by, whatever the models and the memory.

    Attributes:
        max_load_share: the share of real time that may go into loading and running rotating models one after another.
        max_at_once: how many of them may be loaded and run at once where there is room: at most one per processor.
        audit_gain: what it is worth, in its agreement, that a model runs: all of it for one that runs on every input
            or every `SEEN_S`, less the rarer its turns; above 0, each has its turn now and then if it can.
        input_every_s: the time between two inputs of a stream, behind its filter: nothing is answered for in between,
            so outputs go stale that long however often a model could run; 0: only what is said of inputs themselves
            counts.
        refresh_choices_s: the times between two exact outputs of a rotating model to choose from, for each its own;
            none: no model rotates.

    Raises:
        InvalidInput: one makes no sense.
    """

    max_load_share: float = 1 / 6
    max_at_once: int = os.cpu_count() or 1
    audit_gain: float = AUDIT_GAIN
    input_every_s: float = 0.0
    refresh_choices_s: tuple[float, ...] = REFRESH_CHOICES_S

    def __post_init__(self) -> None:
        if not 0 <= self.max_load_share <= 1:
            raise InvalidInput(f"max_load_share must be from 0 to 1, not {self.max_load_share}")
        if not 0 <= self.input_every_s < float("inf"):
            raise InvalidInput(f"input_every_s must be at least 0 s, not {self.input_every_s}")
        if self.max_at_once < 1:
            raise InvalidInput(f"max_at_once must be at least 1, not {self.max_at_once}")
        if any(not 0 < refresh_s < float("inf") for refresh_s in self.refresh_choices_s):
            raise InvalidInput(f"refresh_choices_s must be above 0 s, not {self.refresh_choices_s}")


DEFAULTS = PlanOptions()
