"""What one model usually says on one stream: of the learnt constant and its latest outputs the most typical one."""

import numpy as np

from ...outputs import Array, OutputSpec
from ..answer import Exact

KEPT = 16
_FADES = 0.9
_PRIOR = 4.0


class Usual:
    """The output that most probably agrees with whatever one model says next on one stream.

    Among the learnt constant and the latest exact outputs that is the one which agrees best with all of these outputs,
    older ones counting less, and with what the recording showed: the constant counts there with what it reached, any
    other with as much of that as it agrees with the constant. Its memory is that of 16 outputs.

    Args:
        output: the type of the model's outputs.
        constant: the learnt one.
        reached: its measured agreement.
    """

    def __init__(self, output: OutputSpec, constant: Exact, reached: float) -> None:
        self._output = output
        self._reached = reached
        self._candidates = [constant]
        self._compact = output.compact([constant.value])
        self._agreements = np.ones((1, 1))
        self._weights = np.zeros(1)
        self._best, self._share = 0, reached

    @property
    def exact(self) -> Exact:
        """The output."""
        return self._candidates[self._best]

    @property
    def share(self) -> float:
        """How probably it agrees."""
        return self._share

    @property
    def adapted(self) -> bool:
        """Whether it is another one than the learnt constant."""
        return self._best > 0

    def observe(self, exact: Exact) -> None:
        """Takes the model's output on one input."""
        fresh = self._agreements_with(exact)
        self._candidates.append(exact)
        kept = np.arange(len(self._candidates))
        agreements = np.ones((len(kept), len(kept)))
        agreements[:-1, :-1] = self._agreements
        agreements[-1, :-1] = agreements[:-1, -1] = fresh
        weights = np.append(self._weights * _FADES, 1.0)
        if len(kept) > KEPT + 1:
            kept = np.delete(kept, 1)
            del self._candidates[1]
            agreements, weights = agreements[np.ix_(kept, kept)], weights[kept]
        if self._compact is not None:
            added = self._output.compact([exact.value])
            assert added is not None
            self._compact = np.concatenate([self._compact, added])[kept]
        self._agreements, self._weights = agreements, weights
        # No output speaks for itself.
        others = agreements @ weights - weights
        shares = (_PRIOR * self._reached * agreements[0] + others) / (_PRIOR + weights.sum() - weights)
        self._best = int(shares.argmax())
        self._share = float(shares[self._best])

    def _agreements_with(self, exact: Exact) -> Array:
        """Of every candidate with an output."""
        if self._compact is None:
            each = [self._output.agreement(candidate.value, exact.value) for candidate in self._candidates]
            return np.asarray(each)
        compact = self._output.compact([exact.value])
        assert compact is not None
        return self._output.agreements(self._compact, compact)
