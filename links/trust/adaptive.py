"""Adaptive conformal inference: the risk level that makes regions cover in the long run, whatever the stream does."""

GAMMA = 0.02
"""How much one audited sample moves the level."""
HIGHEST = 0.5


class AdaptiveLevel:
    """The level at which to ask for a radius, so that a share `alpha` of exact outputs lies outside.

    From Gibbs & Candes, "Adaptive conformal inference under distribution shift" (2021). After n samples the share
    outside is at most alpha + (alpha + gamma) / (gamma * n), without any assumption on the stream, if a level of 0 or
    less means the region that holds everything.

    Args:
        alpha: the share that may lie outside.
        gamma: the step.
    """

    def __init__(self, alpha: float, *, gamma: float = GAMMA) -> None:
        self.alpha = alpha
        self.gamma = gamma
        self.level = alpha

    def update(self, *, outside: bool) -> float:
        """Takes one compared sample; returns the next level."""
        # A highest level keeps regions from being empty; it can only make them cover more.
        self.level = min(HIGHEST, self.level + self.gamma * (self.alpha - float(outside)))
        return self.level
