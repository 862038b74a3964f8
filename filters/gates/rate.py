"""Whether a filter still drops as much as in calibration: a test that needs no model. NumPy only."""

from ...evidence import SequentialTest

_RISK = 0.01
# Beyond what calibration says by more than that is far.
_MARGIN = 0.05
_WAYS = (0.1, 0.3, 0.7)


class RateWatch:
    """Tests, block by block, the share of the inputs that a filter does not keep.

    It is a sign that the stream is not the one that was learnt from, and no proof that anything is lost: a quiet night
    is dropped, too. So it says that somebody should look, and nothing more.

    Args:
        low: the share in calibration, at least.
        high: at most.

    Attributes:
        far: "above" or "below" where the share is shown to lie; empty: neither.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = max(0.0, low - _MARGIN), min(1.0, high + _MARGIN)
        self.far = ""
        self._begin()

    def add(self, share: float) -> bool:
        """Takes a block's share; whether `far` changes."""
        for to, test, falls in self._tests:
            if test.update(1.0 - share if falls else share) >= 1.0 / _RISK:
                self.far = to
                self._begin()
                return True
        return False

    def begin_anew(self) -> None:
        """Nothing is shown yet."""
        self.far = ""
        self._begin()

    def _begin(self) -> None:
        """The tests of what may come next: what would be so, by which test, and whether it is one of low shares."""
        if self.far:
            bound = 1.0 - self.high if self.far == "above" else self.low
            self._tests = [("", _test(bound), self.far == "above")]
            return
        self._tests = [("above", _test(self.high), False)] if self.high < 1.0 else []
        if self.low > 0.0:
            self._tests.append(("below", _test(1.0 - self.low), True))


def _test(bound: float) -> SequentialTest:
    """That a mean lies above `bound`."""
    return SequentialTest(bound, [bound + (1.0 - bound) * way for way in _WAYS])
