"""The traffic light at the crossing."""

GREEN_S, AMBER_S, RED_S = 27.0, 2.0, 17.0
CYCLE_S = GREEN_S + AMBER_S + RED_S
WALK_S = 8.0


class Signal:
    """A fixed cycle: green and amber for the cars, then red, in whose first part people may start to cross."""

    def __init__(self, offset_s: float) -> None:
        self.at_s = offset_s % CYCLE_S

    def step(self, step_s: float) -> None:
        """Advance the cycle."""
        self.at_s = (self.at_s + step_s) % CYCLE_S

    @property
    def colour(self) -> str:
        """``green``, ``amber`` or ``red``, for the cars."""
        if self.at_s < GREEN_S:
            return "green"
        return "amber" if self.at_s < GREEN_S + AMBER_S else "red"

    @property
    def walk(self) -> bool:
        """Whether people may start to cross."""
        since_red_s = self.at_s - GREEN_S - AMBER_S
        return 1.5 <= since_red_s < WALK_S
