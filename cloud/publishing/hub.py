"""Hands each answer, once it is kept, to those who want to hear of it; who reads too slowly misses some and is told."""

import asyncio
import json
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ...errors import Overloaded
from ...models.spec import ModelSpec
from ...protos import edge_pb2
from ...traces.stream_names import is_meant
from ..ledger.rows import Answered
from .summary import summary_of

MOST_SUBSCRIPTIONS = 64
_MOST_BYTES = 16 * 2**20
_REMEMBERED = 20_000


@dataclass(frozen=True)
class Selection:
    """Which results somebody wants to hear of.

    Attributes:
        devices: names of devices or of their streams (DEVICE/STREAM), `*` and `?` allowed; none: all.
        models: names, `*` and `?` allowed; none: all.
        changes: only what says something else than the result before of the same device and model.
    """

    devices: Sequence[str] = ()
    models: Sequence[str] = ()
    changes: bool = False

    def has_device(self, name: str) -> bool:
        """Whether a device's results are wanted."""
        return not self.devices or any(is_meant(name, pattern) for pattern in self.devices)

    def has_model(self, name: str) -> bool:
        """Whether a model's results are wanted."""
        return not self.models or any(fnmatchcase(name, pattern) for pattern in self.models)


@dataclass(frozen=True)
class News:
    """An answer for one who wants to hear of it.

    Attributes:
        message: what is wanted of it.
        specs: of the models in it.
    """

    message: edge_pb2.Published
    specs: dict[str, ModelSpec]


class Subscription:
    """What waits for one reader: of more than `most_bytes` the oldest is dropped, and counted.

    Attributes:
        missed: how many were dropped since the last one that was read.
        left_out: how many in all.
    """

    def __init__(self, selection: Selection, *, most_bytes: int = _MOST_BYTES) -> None:
        self.selection = selection
        self.most_bytes = most_bytes
        self.missed = 0
        self.left_out = 0
        self._waiting: deque[tuple[News, int]] = deque()
        self._waiting_bytes = 0
        self._there = asyncio.Event()
        self._ended = False
        self._last: OrderedDict[tuple[str, str], str] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many answers wait to be read."""
        return len(self._waiting)

    async def next(self) -> News | None:
        """The next answer, as soon as there is one; None: there will be no more."""
        while not self._waiting:
            if self._ended:
                return None
            self._there.clear()
            await self._there.wait()
        news, size_bytes = self._waiting.popleft()
        self._waiting_bytes -= size_bytes
        news.message.missed, self.missed = self.missed, 0
        return news

    def offer(self, answered: Answered, answered_us: int) -> None:
        """Takes what is wanted of an answer."""
        if self._ended or not self.selection.has_device(answered.key.device):
            return
        outputs = [each for each in (*answered.message.result.outputs, *answered.given) if self._wants(each, answered)]
        if outputs:
            news = News(_published(answered, outputs, answered_us), _specs(outputs, answered))
            self._put(news, news.message.ByteSize())

    def end(self) -> None:
        """No more comes; what waits can still be read."""
        self._ended = True
        self._there.set()

    def _put(self, news: News, size_bytes: int) -> None:
        self._waiting.append((news, size_bytes))
        self._waiting_bytes += size_bytes
        while self._waiting_bytes > self.most_bytes and len(self._waiting) > 1:
            self._waiting_bytes -= self._waiting.popleft()[1]
            self.missed += 1
            self.left_out += 1
        self._there.set()

    def _wants(self, output: edge_pb2.Output, answered: Answered) -> bool:
        if not self.selection.has_model(output.model):
            return False
        if not self.selection.changes:
            return True
        of, spec = (answered.key.device, output.model), answered.specs.get(output.model)
        text = json.dumps(summary_of(output, spec)) if spec is not None else ""
        changed = self._last.get(of) != text
        self._last[of] = text
        self._last.move_to_end(of)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        return changed


@dataclass
class Hub:
    """All who want to hear of answers.

    Attributes:
        clock_ns: Unix time.
    """

    clock_ns: Callable[[], int] = time.time_ns
    _subscriptions: set[Subscription] = field(default_factory=set)

    def publish(self, answered: Answered) -> None:
        """Hands an answer to everybody who wants it; nobody is waited for."""
        for subscription in self._subscriptions:
            subscription.offer(answered, self.clock_ns() // 1000)

    def subscribe(self, selection: Selection) -> Subscription:
        """What comes from now on; to be given back with `leave`.

        Raises:
            Overloaded: there are too many already.
        """
        if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            raise Overloaded(f"{MOST_SUBSCRIPTIONS} want to hear of results already: try again later")
        subscription = Subscription(selection)
        self._subscriptions.add(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Nobody reads a subscription any more."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Ends all subscriptions, once they are read."""
        for subscription in self._subscriptions:
            subscription.end()


def _published(answered: Answered, outputs: list[edge_pb2.Output], answered_us: int) -> edge_pb2.Published:
    width, height = answered.size or (0, 0)
    key = answered.key
    message = edge_pb2.Published(
        device=key.device,
        session=key.session,
        sequence=key.sequence,
        captured_ns=answered.captured_ns or 0,
        answered_us=answered_us,
        width=width,
        height=height,
        outputs=outputs,
    )
    for output in message.outputs:
        if output.origin == edge_pb2.ORIGIN_UNSPECIFIED:
            output.origin = edge_pb2.ORIGIN_LOCAL
    return message


def _specs(outputs: list[edge_pb2.Output], answered: Answered) -> dict[str, ModelSpec]:
    return {each.model: answered.specs[each.model] for each in outputs if each.model in answered.specs}
