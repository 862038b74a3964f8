"""Which streams each sender of requests names: a name costs memory and has a quota, and is easily invented."""

import time
from collections import OrderedDict
from collections.abc import Callable

from ...errors import QueueFull

_MOST_SENDERS = 1024
# So long after it was named last, another may take a name's place.
_KEPT_S = 60.0


class Senders:
    """Remembers what streams senders name.

    Args:
        streams: how many one sender may name within a minute.
        clock: seconds that never go back.
    """

    def __init__(self, streams: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.streams = streams
        self.clock = clock
        self._by_sender: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()

    def name(self, sender: str, stream: str) -> None:
        """A sender names a stream.

        Raises:
            QueueFull: it names too many.
        """
        now_s, named = self.clock(), self._by_sender.setdefault(sender, OrderedDict())
        self._by_sender.move_to_end(sender)
        while len(self._by_sender) > _MOST_SENDERS:
            self._by_sender.popitem(last=False)
        while named and now_s - next(iter(named.values())) > _KEPT_S:
            named.popitem(last=False)
        if stream not in named and len(named) >= self.streams:
            raise QueueFull(
                f"`stream`: {sender} named {len(named)} within a minute, and may name no more (`max_devices`)",
                retry_after_s=_KEPT_S - (now_s - next(iter(named.values()))),
            )
        named[stream] = now_s
        named.move_to_end(stream)
