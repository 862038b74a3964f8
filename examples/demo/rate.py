"""The threshold at which frame difference keeps as many frames as the filter: both are compared at one cost."""

from ...filters.open_gate import open_gate
from .daemons import Stretch

_STEPS = 12


def difference_threshold(stretch: Stretch, kept_share: float) -> float:
    """The threshold at which frame difference keeps that share of the stretch's frames, or the next more.

    It is found on the served stretch itself, which favours frame difference: no user could know it beforehand.
    """
    frames = [(frame.image, frame.captured_s) for frame in stretch.read()]

    def share(threshold: float) -> float:
        gate = open_gate(f"difference:{threshold:.6f}")
        return sum(gate.decide(image, captured_s).keep for image, captured_s in frames) / len(frames)

    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if share(middle) >= kept_share:
            low = middle
        else:
            high = middle
    return low
