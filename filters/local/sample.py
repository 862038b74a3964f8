"""Which of the inputs whose outputs are known stand for all inputs alike."""

# Of an input that the audit draws, while nothing is known of how many it draws.
_AT_FIRST = 100.0
_NEW = 0.2


class FairSample:
    """A sample of a stream of which some inputs are always known, and of the others those that the audit draws.

    Of what is always known it takes one of as many as each drawn input stands for, so that a mean over the sample is
    one over the stream.

    Attributes:
        stands_for: how many inputs one that is drawn stands for, lately.
        unknown: how many inputs have passed by since one was drawn.
    """

    def __init__(self) -> None:
        self.stands_for = _AT_FIRST
        self.unknown = self._known = 0

    def pass_by(self) -> None:
        """Counts an input that only the audit might know."""
        self.unknown += 1

    def drawn(self) -> int:
        """The audit drew an input: how many it stands for, itself among them."""
        count, self.unknown = max(1, self.unknown), 0
        self.stands_for += _NEW * (count - self.stands_for)
        return count

    def takes(self) -> bool:
        """Whether the next input that is known anyway is one of the sample."""
        self._known += 1
        if self._known < self.stands_for:
            return False
        self._known = 0
        return True
