"""What a live filter has labelled: which inputs, and what the models' answers make of them. NumPy only."""

import logging
import threading
from collections.abc import Mapping
from functools import partial

import numpy as np

from ...errors import InvalidInput
from ...outputs import OutputSpec
from ..gates.base import Learn, ModelOutput
from ..rules.loss import rule_loss
from ..rules.predicates import Predicate
from .inputs import Seen
from .labels import Labels
from .picker import Picker

logger = logging.getLogger(__name__)


class Labelling:
    """Picks inputs, and takes what the models say of them; the answers may come in another thread, late or never.

    Args:
        rule: what is redundant.
        models: whose outputs it judges, with their digests.
        labels: goes on with these.
        share: how many of all inputs may be kept only to be labelled.
        random: for all random draws.

    Attributes:
        models: name to digest, as they answered last.
        outputs: the models' output specs; without them nothing is judged.
        labels: of the period so far.
        skipped: how many of the period's inputs the filter would have skipped.
        asked: how many inputs were kept only to be labelled.
        labelled: how many labels came.
    """

    def __init__(
        self,
        rule: Predicate,
        models: Mapping[str, str],
        labels: Labels,
        *,
        share: float,
        random: np.random.Generator,
    ) -> None:
        self.rule = rule
        self.models = dict(models)
        self.outputs: dict[str, OutputSpec] = {}
        self.labels = labels
        self.skipped = self.asked = self.labelled = 0
        self._picker = Picker(share, random)
        self._random = random
        self._lock = threading.Lock()
        self._told = False

    def take(self, score: float, *, kept: bool) -> float:
        """With what probability the next input is labelled; 0: it is not."""
        with self._lock:
            probability = self._picker.take(score, kept=kept)
            self.labels.inputs += 1
            self.labels.certain += probability == 1.0
            self.skipped += not kept
            self.asked += probability > 0.0 and not kept
        return probability

    def learner(self, seen: Seen, *, score: float, kept: bool, probability: float) -> Learn:
        """Takes the models' outputs for a labelled input once they are there; they count for this period or never."""
        return partial(self._learn, self.labels, seen, score, kept, probability)

    def renew(self, *, labels: Labels) -> Labels:
        """Begins a period; returns the labels of the one before."""
        with self._lock:
            before, self.labels = self.labels, labels
            self.skipped = 0
        return before

    def changed(self) -> None:
        """Says that from now on another filter scores."""
        with self._lock:
            self._picker.renew()

    def _learn(
        self, labels: Labels, seen: Seen, score: float, kept: bool, probability: float, ran: Mapping[str, ModelOutput]
    ) -> None:
        if not all(name in ran and name in self.outputs for name in self.models):
            return
        try:
            exact = {name: ran[name].value for name in self.models}
            lost = rule_loss(self.rule, dict.fromkeys(exact), exact, self.outputs)
        except InvalidInput as error:
            if not self._told:
                logger.warning("an answer can't be judged, so it is not learnt from (told once): %s", error)
            self._told = True
            return
        with self._lock:
            if labels is not self.labels:
                return
            self.models = {name: ran[name].digest for name in self.models}
            labels.add(seen, score=score, skipped=not kept, needed=lost, probability=probability, random=self._random)
            self.labelled += 1
