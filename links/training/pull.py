"""A camera's regressions among those of a site: drawn to what the other cameras taught, as far as that holds here."""

from .design import Design
from .fit_linear import FittedLinear, Pull
from .judge import Judge

STRENGTH = 25.0
"""How strongly they are drawn there, in times the ridge. One alone: to choose among several by few inputs costs more
than the best of them gains (eight street cameras with 30 inputs each: .565 of agreement, with one .572)."""


def fit_pulled(own: Design, shared: Design, judge: Judge, pooled: FittedLinear, camera: str) -> FittedLinear:
    """A camera's links to a target: what it teaches by itself, or that drawn to what all others taught.

    It is what errs less on the stretches of the camera's recording that are left out in turn. So where the others show
    something else, nothing of theirs stays.

    Args:
        own: the camera's recording as numbers of its own.
        shared: the same as all cameras' numbers.
        judge: of the target, on the camera's recording.
        pooled: what all cameras taught.
        camera: its name.
    """
    alone, drawn = FittedLinear(own, judge), FittedLinear(shared, judge, Pull(pooled, camera, STRENGTH))
    return alone if alone.left_out_error() <= drawn.left_out_error() else drawn
