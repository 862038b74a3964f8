"""Where models run: in processes of their own, or on cards in one process each; and what each place may hold.

What devices send is decoded in processes of their own, too.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from ...errors import InvalidInput
from ...models.cost import ModelCost, measure_cost
from ...models.process import ModelProcess
from ...models.providers import HOST, Execution
from ...models.shared_process import SharedModelProcess, SharedProcess
from ...models.split.parts import TailProcess
from ...models.supervisor import Supervisor
from ..config import CloudConfig
from ..model_config import ModelConfig, execution
from ..model_store import ServedModel
from .batching import Batching
from .card import Card
from .memory import MemoryBudget
from .meter import CardMeter, Meter
from .video_decoders import VideoDecoders
from .worker import Worker


class Machine:
    """The places that models run in, and what starts them there. Close it when no model runs any more.

    Args:
        config: the coordinator's.
        meters: what measures each card; one that is not named is measured as its driver shows it.
    """

    def __init__(self, config: CloudConfig, *, meters: Mapping[str, Meter] | None = None) -> None:
        self.config = config
        self.cards: dict[str, Card] = {}
        self.decoders = VideoDecoders()
        self._meters = dict(meters or {})
        self._executions: dict[str, Execution] = {}

    def execution(self, name: str) -> Execution:
        """How a model runs."""
        if name not in self._executions:
            table = self.config.model.get(name, ModelConfig())
            self._executions[name] = execution(
                table, name, providers=self.config.providers, threads=self.config.threads
            )
        return self._executions[name]

    def use(self, name: str, how: Execution) -> None:
        """Has a model run in that way, whatever the configuration and the installed onnxruntime say."""
        self._executions[name] = how

    def place(self, name: str) -> str:
        """Whose memory a model takes: "host", or its card's name.

        Raises:
            InvalidInput: the card can't be measured.
        """
        place = self.execution(name).place
        if place != HOST:
            self._card(place)
        return place

    def main_place(self, names: Collection[str]) -> str:
        """The place that most of these models run in: whose memory they take turns in, if it is not enough for all."""
        counts = Counter(self.place(name) for name in names)
        return max(sorted(counts), key=lambda place: (counts[place], place == HOST), default=HOST)

    def worker(self, model: ServedModel, *, is_tail: bool = False) -> Worker:
        """What runs a version of a model."""
        how, table = self.execution(model.name), self.config.model.get(model.name, ModelConfig())
        kind: Any = TailProcess if is_tail else ModelProcess
        if self.place(model.name) != HOST:
            if is_tail:
                raise InvalidInput(f"{model.name}: a second part of a model runs on the processors: leave its card out")
            kind = partial(SharedModelProcess, shared=self._card(how.place).process)
        return Worker(
            Supervisor(
                model.name,
                model.path,
                threads=how.threads,
                # What onnxruntime makes of a graph for a card can't be kept.
                optimized=model.optimized if how.on_host else None,
                providers=how.for_session(),
                digest=model.digest,
                kind=kind,
                infer_timeout_s=self.config.infer_timeout_s,
                repeat=True,
            ),
            processes=table.processes or 1,
            batching=Batching(table.max_batch, table.preferred_batches, table.batch_delay_s),
        )

    def measure(self, model: ServedModel) -> ModelCost:
        """What a model costs here, measured with nothing else in its process.

        Raises:
            InvalidInput: it can't be loaded.
        """
        how, trials = self.execution(model.name), model.spec.fed.trials()
        if self.place(model.name) == HOST:
            alone = partial(ModelProcess, providers=how.for_session())
            return measure_cost(model.path, trials, threads=how.threads, kind=alone)
        card = self._card(how.place)
        on_card = partial(_OnCard, card=card, shared=card.process, providers=how.for_session())
        try:
            cost = measure_cost(model.path, trials, threads=how.threads, kind=on_card)
            card.context_bytes = context_bytes = card.taken_bytes()
        finally:
            card.process.close()
        taken_bytes = max(0, cost.memory_bytes - context_bytes)
        return ModelCost(taken_bytes, cost.infer_s, cost.load_s)

    def close(self) -> None:
        """Ends the processes of cards and decoders; closing twice is fine."""
        self.decoders.stop()
        for card in self.cards.values():
            card.process.close()
            with suppress(AttributeError):
                card.meter.close()  # type: ignore[attr-defined]

    def _card(self, place: str) -> Card:
        if place not in self.cards:
            process = SharedProcess(place, threads=self.config.threads)
            meter = self._meters.get(place) or CardMeter(int(place.partition(":")[2]), lambda: process.pid)
            limit_bytes = self.config.card_budget(place, meter.total_bytes)
            budget = MemoryBudget(limit_bytes, {}, first_bytes=self.config.reserve_of(place), place=place)
            self.cards[place] = Card(place, meter, budget, process)
        return self.cards[place]


class _OnCard(SharedModelProcess):
    """A model on a card, whose memory is the card's."""

    def __init__(self, *arguments: Any, card: Card, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.card = card

    def memory_bytes(self) -> int:
        """What is taken of the card."""
        return self.card.taken_bytes()

    def transient_bytes(self) -> int:
        """0: what a card's arenas once held, they hold."""
        return 0
