"""What became of the results that one publisher was to hand on, for whoever watches it."""

from dataclasses import dataclass
from typing import Protocol

from .hub import Subscription


@dataclass
class Deliveries:
    """The counts of one publisher.

    Attributes:
        sent: results that were taken: by the web server, or as messages by the broker.
        failures: tries that failed: requests, or connections to the broker that were lost or did not come about.
        given_up: results that are not tried any more.
        connected: whether the last try worked.
        subscription: where its results wait; None: nothing waits.
    """

    sent: int = 0
    failures: int = 0
    given_up: int = 0
    connected: bool = False
    subscription: Subscription | None = None
    _left_out: int = 0

    @property
    def dropped(self) -> int:
        """Results that were never taken: given up, or left out as more than may wait came before they could be sent."""
        left_out = 0 if self.subscription is None else self.subscription.left_out
        return self.given_up + self._left_out + left_out

    @property
    def waiting(self) -> int:
        """How many results wait to be sent."""
        return 0 if self.subscription is None else self.subscription.waiting

    def begin(self, subscription: Subscription) -> None:
        """From now on results wait there."""
        self.subscription = subscription

    def end(self) -> None:
        """What still waits there is not sent any more."""
        if self.subscription is not None:
            self._left_out += self.subscription.left_out + self.subscription.waiting
            self.subscription = None


class Publisher(Protocol):
    """Hands results on until it is cancelled, or the hub is closed."""

    deliveries: Deliveries

    async def run(self) -> None:
        """Does so."""
