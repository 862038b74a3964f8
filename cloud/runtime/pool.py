"""The models that are loaded, within the memory budgets of the places they run in."""

import asyncio
from collections import ChainMap
from collections.abc import Mapping, MutableMapping

from ...models.providers import HOST
from .card import Card
from .memory import MemoryBudget
from .meter import HostMeter, Meter
from .run_queue import RunQueue
from .worker import Worker

_COMING = "{} (new version)"


class ModelPool:
    """Loads and unloads models; whoever calls it decides which, one at a time: while it holds `changing`.

    Args:
        workers: every model's worker.
        memory: the budget of the machine's own memory; a model is loaded only once its memory is reserved there.
        queue: runs those that are loaded.
        meter: measures that memory; None: it is what the workers say.
        cards: the cards, by the name of each.
        places: by model, where it runs, if not in the machine's own memory.

    Attributes:
        changing: held by whoever loads or unloads.
        pinned: the models that are to stay loaded.
        parked: the models that are not to be loaded, as a person said so.
    """

    def __init__(
        self,
        workers: MutableMapping[str, Worker],
        memory: MemoryBudget,
        queue: RunQueue,
        *,
        meter: Meter | None = None,
        cards: Mapping[str, Card] | None = None,
        places: Mapping[str, str] | None = None,
    ) -> None:
        self.workers = workers
        self.memory = memory
        self.queue = queue
        self.cards = dict(cards or {})
        self.places = dict(places or {})
        self._beside: dict[str, Worker] = {}
        processes = {place: card.process.memory_bytes for place, card in self.cards.items()}
        self.meter: Meter = (
            HostMeter(ChainMap(workers, self._beside), processes=processes, buffers=lambda: queue.inputs.taken_bytes)
            if meter is None
            else meter
        )
        self.changing = asyncio.Lock()
        self.pinned: set[str] = set()
        self.parked: set[str] = set()

    @property
    def reserved(self) -> frozenset[str]:
        """The models that take memory: those that are loaded, or on their way in or out."""
        return self.memory.reserved - self.cards.keys()

    @property
    def budgets(self) -> list[MemoryBudget]:
        """The budget of the machine's own memory, and that of each card."""
        return [self.memory, *(card.budget for card in self.cards.values())]

    def budget_of(self, name: str) -> MemoryBudget:
        """The budget of the place that a model runs in."""
        card = self._card(name)
        return self.memory if card is None else card.budget

    async def load(self, name: str) -> float:
        """Loads a model and warms it up, so that its first output is as fast as the others.

        Returns the seconds of processors that it took.

        Raises:
            OutOfMemory: not enough of a budget is free.
            InfilinkError: what `Worker.load` raises; its memory is free again then, whatever went wrong.
        """
        self._reserve(name)
        try:
            took_s = await self._load(name, self.workers[name])
        except BaseException:
            await self._release(name, self.workers[name])
            raise
        self.queue.loaded.add(name)
        return took_s

    async def unload(self, name: str) -> None:
        """Unloads a model once what runs on it or waits for it has ended; its memory is free when this returns."""
        self.queue.loaded.discard(name)
        await self.queue.drained(name)
        await self.sample()
        worker, budget = self.workers[name], self.budget_of(name)
        if worker.lanes > 1:
            # It comes back with one process, and needs what that takes.
            budget.learn(name, budget.need(name) // worker.lanes * worker.processes)
        await self._release(name, worker)
        await self._recycle_if_due(self._card(name))

    async def replace(self, name: str, worker: Worker, *, place: str = HOST) -> None:
        """Puts another version of a model in its place, without an input that finds none.

        It is loaded and warmed up beside the old one, then what is asked goes to it, and the old one ends with what it
        still has to answer. Where the old one is not loaded, the new one is tried out and unloaded again.

        Args:
            name: the model.
            worker: of the new version; it is closed if that can't be loaded.
            place: where the new version runs.

        Raises:
            OutOfMemory: there is no room for both at once.
            InfilinkError: what `Worker.load` raises; the old one goes on.
        """
        coming, old, was = _COMING.format(name), self.workers[name], self.places.get(name, HOST)
        is_loaded = name in self.queue.loaded
        self.places[coming] = place
        try:
            if place == was:
                self.budget_of(name).expect(coming, name)
            self._reserve(coming)
            self._beside[coming] = worker
            await self._load(coming, worker)
            measured = [(budget, budget.need(coming)) for budget in self.budgets if coming in budget.reserved]
            if not is_loaded:
                await worker.unload()
            self.workers[name], self.places[name] = worker, place
            # What is under way on the old one is measured beside the new one until it has ended.
            self._beside[coming] = old
            # What was handed to it just now begins first.
            await asyncio.sleep(0)
            await old.unload()
            for budget, size_bytes in measured:
                budget.learn(name, size_bytes)
                budget.release(coming)
                budget.forget(coming)
        except BaseException:
            await self._release(coming, worker)
            raise
        finally:
            self.places.pop(coming, None)
            worker_left = self._beside.pop(coming, worker)
            if worker_left is not self.workers[name]:
                await asyncio.to_thread(worker_left.close)
        await self.sample()
        await self._recycle_if_due(self._card(name))

    def introduce(self, name: str, worker: Worker, *, place: str = HOST) -> None:
        """Takes a model that was not there; it is not loaded yet."""
        self.workers[name] = worker
        if place != HOST:
            self.places[name] = place

    async def change(self, name: str, worker: Worker) -> None:
        """Puts another worker in the place of one that is not loaded."""
        old, self.workers[name] = self.workers[name], worker
        await asyncio.to_thread(old.close)
        self.budget_of(name).forget(name)

    async def remove(self, name: str) -> None:
        """Unloads a model for good."""
        await self.unload(name)
        worker = self.workers.pop(name)
        await asyncio.to_thread(worker.close)
        for budget in self.budgets:
            budget.forget(name)
        for each in (self.pinned, self.parked):
            each.discard(name)
        self.places.pop(name, None)

    async def sample(self) -> None:
        """Measures what the models take now.

        The pool does this after every load and before every unload; to see more of what happens between, call it at
        intervals.
        """
        self.memory.sample(await asyncio.to_thread(self.meter.read))
        for card in self.cards.values():
            card.budget.sample(await asyncio.to_thread(card.meter.read))

    def close(self) -> None:
        """Ends the processes that several models are in."""
        for card in self.cards.values():
            card.process.close()

    async def _load(self, name: str, worker: Worker) -> float:
        card = self._card(name)
        before_bytes = 0 if card is None else await asyncio.to_thread(card.taken_bytes)
        took_s = await worker.load()
        if card is not None:
            await asyncio.to_thread(card.loaded, name, before_bytes)
        await self.sample()
        return took_s

    async def _release(self, name: str, worker: Worker) -> None:
        card = self._card(name)
        before_bytes = 0 if card is None else await asyncio.to_thread(card.taken_bytes)
        await worker.unload()
        for budget in self.budgets:
            budget.release(name)
        if card is not None:
            await asyncio.to_thread(card.unloaded, name, before_bytes)

    async def _recycle_if_due(self, card: Card | None) -> None:
        """Where too much of a card did not come back, ends its process and loads what was in it into a new one."""
        if card is None or not card.is_due:
            return
        inside = [name for name in sorted(self.queue.loaded) if self._card(name) is card]
        for name in inside:
            self.queue.loaded.discard(name)
            await self.queue.drained(name)
            await self._release(name, self.workers[name])
        await asyncio.to_thread(card.end_process)
        for name in inside:
            await self.load(name)

    def _card(self, name: str) -> Card | None:
        return self.cards.get(self.places.get(name, HOST))

    def _reserve(self, name: str) -> None:
        """Reserves a model's memory: the machine's, or its card's, whose process counts in the machine's."""
        card = self._card(name)
        reserved: list[tuple[MemoryBudget, str]] = []
        try:
            if card is not None:
                self.memory.learn(name, 0)
                if card.place not in self.memory.reserved:
                    self.memory.reserve(card.place)
                    reserved.append((self.memory, card.place))
                card.budget.reserve(name)
                reserved.append((card.budget, name))
            self.memory.reserve(name)
        except BaseException:
            for budget, key in reserved:
                budget.release(key)
            raise
