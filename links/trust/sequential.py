"""A test that may be looked at after every sample: is the mean still on the side that was promised?"""

import math
from collections.abc import Sequence

_MOST = 1e12


class SequentialTest:
    """A betting test of "the mean of values in [0, 1] does not lie beyond `bound`", whose change may come at any time.

    While that holds (of every value's mean, given those before), `evidence` exceeds 1 / risk with a probability of at
    most `risk`, over the whole of time and however often one looks: it is an e-process (Waudby-Smith & Ramdas, JRSS B
    2024). It is a mixture over when the mean changed and to what. Starting points share a mass of 1; after n samples
    1 / (1 + log(1 + n)) of it is left for those to come, so that a change after 1000 samples needs only 11 nats
    more than one at the start. Constant memory: all that started alike are one number.

    Args:
        bound: what the mean is promised to be at most (or at least).
        alternatives: the means to look out for, all above `bound`, or all below it.
    """

    def __init__(self, bound: float, alternatives: Sequence[float]) -> None:
        if not 0.0 < bound < 1.0:
            raise ValueError(f"bound must be between 0 and 1, not {bound}")
        self.bound = bound
        self.alternatives = tuple(alternatives)
        # A bet is the likelihood ratio of an alternative to the bound, extended linearly to values between 0 and 1.
        self._at_zero = [(1.0 - mean) / (1.0 - bound) for mean in self.alternatives]
        self._slope = [mean / bound - zero for mean, zero in zip(self.alternatives, self._at_zero, strict=True)]
        self.reset()

    def reset(self) -> None:
        """Forgets all samples."""
        self.count = 0
        self.evidence = 1.0
        self._running = [0.0] * len(self.alternatives)

    def update(self, value: float, *, share: float = 1.0) -> float:
        """Takes the next sample; returns the evidence that the mean lies beyond the bound.

        Args:
            value: in [0, 1].
            share: how many independent samples it is worth, at most 1; known before it. A bet to a power below 1 is
                still a fair one or worse (Jensen), so whatever it is, what holds is not doubted more often.
        """
        opened = _mass_left(self.count) - _mass_left(self.count + 1)
        self.count += 1
        self._running = [
            min(_MOST, (running + opened) * (zero + slope * value) ** share)
            for running, zero, slope in zip(self._running, self._at_zero, self._slope, strict=True)
        ]
        self.evidence = sum(self._running) / len(self._running) + _mass_left(self.count)
        return self.evidence

    def as_list(self) -> list[float]:
        """Where it stands, as plain values for JSON."""
        return [float(self.count), self.evidence, *self._running]

    def restore(self, values: Sequence[float]) -> None:
        """Goes on from where `as_list` said it stood.

        Raises:
            ValueError: it was of a test with other alternatives.
        """
        count, evidence, *running = values
        if len(running) != len(self.alternatives):
            raise ValueError(f"a test of {len(self.alternatives)} alternatives has as many numbers, not {len(running)}")
        self.count, self.evidence, self._running = int(count), evidence, running


def _mass_left(count: int) -> float:
    return 1.0 / (1.0 + math.log1p(count))
