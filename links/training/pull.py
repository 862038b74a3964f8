"""A camera's regressions among those of a site: drawn to what the other cameras taught, as far as that holds here."""

from .fit_linear import Design, FittedLinear, Pull
from .judge import Judge

STRENGTHS = (1.0, 10.0, 1e6)
"""How strongly they may be drawn there, in times the ridge; the last leaves a camera hardly more than its own level."""


def fit_pulled(
    own: Design, shared: Design, judge: Judge, pooled: FittedLinear, camera: str, *, seed: int
) -> FittedLinear:
    """A camera's links to a target: what it teaches by itself, or that drawn to what all others taught.

    Which, and how strongly, is what errs least on the stretches of the camera's recording that are left out in turn. So
    where the others show something else, nothing of theirs stays.

    Args:
        own: the camera's recording as numbers of its own.
        shared: the same as all cameras' numbers.
        judge: of the target, on the camera's recording.
        pooled: what all cameras taught.
        camera: its name.
        seed: of the draws that their sureness is learnt from.
    """
    alone = FittedLinear.left_out_error(own, judge)
    pulls = [Pull(pooled, camera, strength) for strength in STRENGTHS]
    errors = [FittedLinear.left_out_error(shared, judge, pull) for pull in pulls]
    if alone <= min(errors):
        return FittedLinear.fit(own, judge, seed=seed)
    return FittedLinear.fit(shared, judge, seed=seed, pull=pulls[errors.index(min(errors))])
