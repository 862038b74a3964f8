"""What one decision of a candidate takes, measured on some inputs as a device would meet them."""

import time

import numpy as np

from ..trace import Trace
from .contestants import Contestant
from .feed import Feed
from .graphs import session_of

_TIMED = 20


def decision_s(each: Contestant, trace: Trace, *, pairwise: bool, step_s: float) -> float:
    """The fastest of some decisions, from the input to the score, in seconds: what else runs here is left out.

    Args:
        each: the candidate.
        trace: whose first inputs are decided on.
        pairwise: whether it compares with the last kept input.
        step_s: the least time to the previous frame, in seconds of capture.
    """
    if each.modality is None and trace.info.input != "image":
        # Lots, for any kind of input.
        return 0.0
    feed = Feed(session_of(each.graph), each.modality, pairwise=pairwise, step_s=step_s)
    times = []
    part = trace.part(0, min(_TIMED, len(trace)))
    for value, captured_s in zip(part.inputs(), part.captured_s, strict=True):
        started = time.perf_counter()
        feed.run(value, float(captured_s))
        times.append(time.perf_counter() - started)
    return float(np.min(times))
