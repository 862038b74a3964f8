"""How a trace is cut for learning and certifying, and whether a rule leaves anything to learn on it."""

from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...traces.trace import Trace
from .losses import Losses

LEAST_INPUTS = 60
TRAIN_SHARE = 0.65
GAP_S = 2.0
_GAP_SHARE = 0.05


@dataclass(frozen=True)
class Split:
    """Where a trace is cut: inputs up to `trained` to learn from, those from `calibrated` on to certify with."""

    trained: int
    calibrated: int
    stop: int


def split_of(trace: Trace) -> Split:
    """The cut in time, with a gap so that what is certified on does not touch what was learnt from.

    Raises:
        InvalidInput: the trace is too short, or its times do not rise.
    """
    if len(trace) < LEAST_INPUTS:
        raise InvalidInput(
            f"{trace.path}: {len(trace)} inputs are too few to learn a filter from: record at least {LEAST_INPUTS}, "
            "better 600"
        )
    if not (np.diff(trace.captured_s) > 0).all():
        raise InvalidInput(f"{trace.path}: the times of capture do not rise from input to input")
    trained = round(TRAIN_SHARE * len(trace))
    end_s = trace.captured_s[trained] + GAP_S
    gap = min(int(np.searchsorted(trace.captured_s, end_s)) - trained, round(_GAP_SHARE * len(trace)))
    return Split(trained, trained + gap, len(trace))


def check_worth(losses: Losses, split: Split, accuracy: float) -> None:
    """Refuses a rule that leaves nothing to learn.

    Raises:
        InvalidInput: with the numbers, and what to do.
    """
    name = f"rule {losses.rule.text!r} on {', '.join(losses.models)}"
    if losses.pairwise:
        current = np.arange(1, split.stop)
        if float(losses.of(np.zeros_like(current), current).max()) <= 0.0:
            raise InvalidInput(f"{name} is trivial: no output ever changes in this trace; record more, or other scenes")
        return
    needed = losses.needed.mean(axis=0)
    redundant = 1.0 - float(needed.mean())
    if redundant <= 0.0:
        raise InvalidInput(f"{name} never fires: none of {len(needed)} inputs is redundant; give another rule")
    if redundant >= 1.0:
        raise InvalidInput(f"{name} is trivial: all {len(needed)} inputs are redundant, so nothing needs the models")
    for part, values in (("training", needed[: split.trained]), ("calibration", needed[split.calibrated :])):
        if values.max() <= 0.0 or values.min() >= 1.0:
            kind = "redundant" if values.max() <= 0.0 else "needed"
            raise InvalidInput(
                f"{name}: all {len(values)} inputs of the {part} part are {kind}; record a longer trace, "
                "so that both kinds occur early and late"
            )
    if redundant >= accuracy:
        raise InvalidInput(
            f"{name} is trivial at accuracy {accuracy:g}: to skip everything is right for {redundant:.3f} of the "
            f"inputs; ask for more than that, for instance --accuracy {(1 + redundant) / 2:.3f}"
        )
