"""How many inputs of a stream may still be labelled: a share of those that came, saved up only so far."""

from ...errors import InvalidInput
from ...outputs import Array


class LabelBudget:
    """Exact runs of a model that a stream has earned and not yet spent.

    Args:
        share: labels per input, above 0 and below 1.
        most: how many may be saved up, so that a quiet time is not spent in one go.

    Attributes:
        left: how many there are, a fraction.

    Raises:
        InvalidInput: the share is out of range.
    """

    def __init__(self, share: float, *, most: float) -> None:
        self.share = self.checked(share)
        self.most = most
        self.left = most / 2

    @staticmethod
    def checked(share: float) -> float:
        """The share, if it is one."""
        if not 0.0 < share < 1.0:
            raise InvalidInput(f"share must be above 0 and below 1: the part of the inputs to label; it is {share:g}")
        return share

    @property
    def rate(self) -> float:
        """At which rate to spend now: the share if half of what may be saved up is there, else more or less."""
        return min(1.0, self.share * 2.0 * self.left / self.most)

    def earn(self, inputs: int) -> None:
        """Inputs came."""
        self.left = min(self.most, self.left + self.share * inputs)

    def spend(self, rows: Array) -> Array:
        """The first of these rows that can be paid for, and pays for them."""
        paid = rows[: int(self.left)]
        self.left -= len(paid)
        return paid
