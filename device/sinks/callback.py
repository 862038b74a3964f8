"""A function of yours as a sink, for programs that run an agent within themselves."""

from collections.abc import Callable

from .delivered import Delivered, EventPicture


class Callback:
    """Calls a function with each input and what is known of it, from a thread of the sink's own.

    Args:
        function: called with each input, in order of a stream's inputs.
        pictures: whether `Delivered.picture` is wanted, too; that takes memory.
        on_event: called with the picture of each event (`[event_pictures]`).
    """

    def __init__(
        self,
        function: Callable[[Delivered], None],
        *,
        pictures: bool = False,
        on_event: Callable[[EventPicture], None] = lambda event: None,
    ) -> None:
        self.function = function
        self.wants_pictures = pictures
        self.on_event = on_event

    def take(self, delivered: Delivered) -> None:
        """Calls it."""
        self.function(delivered)

    def take_event(self, event: EventPicture) -> None:
        """Calls that for events."""
        self.on_event(event)

    def close(self) -> None:
        """Nothing is to be closed."""
