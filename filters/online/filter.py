"""A SKIP filter that is updated while it runs, on a few real outputs per period (InFi, "Online active update")."""

import math
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ..gates.base import Decision
from ..modalities.stream import Channels
from ..training.fit_loop import one_thread
from ..training.replay import Examples
from ..training.temporal import TemporalNetwork
from ..training.workload import TRAIN_SHARE
from .fit import new_network, train_further
from .inputs import Seen, join_seen, last_seen
from .memory import ReplayMemory, take
from .policies import Picks, Policy
from .threshold import CLOSED, Judged, OnlineThreshold

UNDECIDED = 0.5


@dataclass(frozen=True)
class OnlineSettings:
    """What an online filter may spend and has to keep.

    Attributes:
        period_s: how long a period is, in seconds of capture.
        share: how many of the inputs are labelled, 0 to 1.
        accuracy: the least mean agreement that the threshold is to keep, 0 to 1.
        steps_per_label: training steps for each label, so that every policy trains as much.
        memory_examples: how many labelled inputs are remembered; 38 KB each.
        step_s: the least time to the previous frame, in seconds of capture (see `Channels`).
        seed: of the weights, random draws and batches.
    """

    period_s: float = 3600.0
    share: float = 0.1
    accuracy: float = 0.9
    steps_per_label: float = 2.0
    memory_examples: int = 512
    step_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _need(self.period_s > 0.0, "period_s", self.period_s, "above 0: the seconds between two updates")
        _need(0.0 < self.share < 1.0, "share", self.share, "above 0 and below 1: the part of the inputs to label")
        _need(0.0 < self.accuracy < 1.0, "accuracy", self.accuracy, "above 0 and below 1: what the threshold keeps")
        _need(self.steps_per_label > 0.0, "steps_per_label", self.steps_per_label, "above 0: try 2")
        _need(self.memory_examples >= 2, "memory_examples", self.memory_examples, "at least 2: try 512")
        _need(self.step_s >= 0.0, "step_s", self.step_s, "at least 0: 0 takes the frame before")


class OnlineFilter:
    """Scores the inputs of one stream, asks for the real outputs of some of them, and learns from these.

    Either frame by frame (`decide`; when `due`, run the model on the inputs that `ask` names and tell `learn`), or
    whole stretches at once (`follow`). Until it has learnt anything it scores NaN, and everything is kept. With one
    seed and the same inputs and labels it does the same. It holds the inputs that may be asked for, 38 KB each, until
    it asks: at many frames per second give a short period.

    Args:
        policy: which inputs it asks for.
        settings: budget, period and promise.

    Attributes:
        threshold: an input is kept if its score is above; set anew after each update.
        network: None before the first update.
        inputs: how many it has scored.
        labelled: how many real outputs it was told.
        updates: how often it learnt from some.
        begun_s: when its stream began; None before the first input.
        asks_at_s: when it asks next; infinite: never.
    """

    def __init__(self, policy: Policy, settings: OnlineSettings) -> None:
        self.policy = policy
        self.settings = settings
        self.threshold = OnlineThreshold(1.0 - settings.accuracy, by_lot=policy.by_lot)
        self.memory = ReplayMemory(settings.memory_examples)
        self.random = np.random.default_rng(settings.seed)
        self.network: TemporalNetwork | None = None
        self.inputs = self.labelled = self.updates = 0
        self.begun_s: float | None = None
        self.asks_at_s = math.inf
        self._channels = Channels(pairwise=False, step_s=settings.step_s)
        self._stretch: list[tuple[Seen, Array, Array]] = []
        self._asked: tuple[Picks, Seen, Array, int] | None = None
        self._passed = 0

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Whether to keep the next frame (uint8 BGR), captured at `captured_s` seconds."""
        self._channels.see(frame, captured_s)
        score = float(self.take(last_seen(self._channels, captured_s))[0])
        # Written so that NaN keeps.
        return Decision(not score <= self.threshold.value, score, self.threshold.value)

    def begin(self, captured_s: float) -> float:
        """When the stream began: at `captured_s` seconds, if it had not yet; periods count from there."""
        if self.begun_s is None:
            self.begun_s = captured_s
            self.asks_at_s = captured_s + self._next_s(0.0)
        return self.begun_s

    def take(self, seen: Seen) -> Array:
        """The scores (float64; NaN before the first update) of the next inputs, which are then eligible for a label."""
        count = len(seen.captured_s)
        begun_s = self.begin(float(seen.captured_s[0]))
        scores = self._score(seen.images, seen.scalars)
        spent = {"period_s": self.settings.period_s, "share": self.settings.share}
        rows = np.flatnonzero(self.policy.eligible(seen.captured_s - begun_s, **spent))
        if len(rows):
            self._stretch.append((seen.rows(rows), scores[rows], self.inputs + rows))
        self.inputs += count
        self._passed += count
        return scores

    def due(self, captured_s: float) -> bool:
        """Whether it is time to `ask`, before the input that is captured at `captured_s` seconds."""
        return self.begun_s is not None and captured_s >= self.asks_at_s

    def ask(self) -> Array:
        """The inputs whose real outputs it wants, as numbers (int64) counted from the stream's first input, 0.

        What was asked before and not answered is forgotten.
        """
        self._asked = None
        if self.begun_s is not None:
            self.asks_at_s = self.begun_s + self._next_s(self.asks_at_s - self.begun_s)
        inputs, self._passed = self._passed, 0
        stretch, self._stretch = self._stretch, []
        if not stretch:
            return np.empty(0, np.int64)
        seen = join_seen([part for part, _, _ in stretch])
        scores, numbers = (np.concatenate([part[i] for part in stretch]) for i in (1, 2))
        picks = self.policy.pick(scores, threshold=self._undecided(), share=self.settings.share, random=self.random)
        self._asked = picks, seen.rows(picks.rows), scores[picks.rows], inputs
        return np.asarray(numbers[picks.rows])

    def learn(self, needed: Array) -> None:
        """Takes what was asked for, updates the network, then sets the threshold anew.

        Args:
            needed: float, one per input that `ask` named last: the loss if it is skipped, 0 (redundant) to 1.

        Raises:
            InvalidInput: there are not as many as were asked for, or one is not from 0 to 1.
        """
        if self._asked is None:
            if len(needed):
                raise InvalidInput(f"needed: {len(needed)} labels came and none were asked for; call ask() first")
            return
        picks, seen, scores, inputs = self._asked
        needed = np.asarray(needed, np.float64)
        if needed.shape != scores.shape or not ((needed >= 0.0) & (needed <= 1.0)).all():
            raise InvalidInput(
                f"needed: give {len(scores)} values from 0 (redundant) to 1 (needed), one per input that ask() named"
            )
        self._asked = None
        if not len(needed):
            return
        self._count(len(needed))
        new = Examples(seen.images, seen.scalars, needed.astype(np.float32))
        # The first labels came before there was a score to judge: the last of them are scored before they are learnt.
        first = 0 if self.network is not None else max(1, round(TRAIN_SHARE * len(needed)))
        rest = np.arange(first, len(needed))
        if first:
            self._update(take(new, np.arange(first)))
            scores = np.append(scores[:first], self._score(new.images[rest], new.scalars[rest]))
        if len(rest):
            self._update(take(new, rest))
            judged = Judged(scores[rest], needed[rest], picks.probabilities[rest], inputs)
            self.threshold.add(judged)

    def absorb(self, new: Examples, judged: Judged) -> None:
        """Takes inputs that were decided on and labelled elsewhere, updates the network, then sets the threshold anew.

        Args:
            new: some of the labelled inputs, at least one.
            judged: all of them, with the scores that this network gave.
        """
        self.inputs += judged.inputs
        self._count(len(judged.needed))
        self._update(new)
        self.threshold.add(judged)

    def _count(self, labelled: int) -> None:
        self.labelled += labelled
        self.updates += 1

    def _score(self, images: Array, scalars: Array) -> Array:
        if self.network is None or not len(images):
            return np.full(len(images), np.nan)
        with one_thread():
            return self.network.scores(images, scalars)

    def _update(self, new: Examples) -> None:
        if self.network is None:
            self.network = new_network(self.settings.seed)
        steps = max(1, round(self.settings.steps_per_label * len(new.targets)))
        train_further(self.network, new, self.memory, steps=steps, random=self.random)
        self.memory.add(new, self.random)

    def _next_s(self, now_s: float) -> float:
        return self.policy.asks_at_s(now_s, period_s=self.settings.period_s, share=self.settings.share)

    def _undecided(self) -> float:
        """Where it is least sure: at its threshold, if it has one."""
        return self.threshold.value if self.threshold.value > CLOSED else UNDECIDED


def _need(fits: bool, field: str, value: float, allowed: str) -> None:
    if not fits:
        raise InvalidInput(f"{field} must be {allowed}; it is {value:g}")
