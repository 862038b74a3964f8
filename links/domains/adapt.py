"""Adapts a deployed model to what a person says of a few inputs: a link to the oracle, behind the model (TPAMI 2023).

This is the one place where truth comes in: agreement here is with the labels, not with another model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InvalidInput, UnknownModel
from ...outputs import OutputSpec
from ...trace import Trace
from .controls import can_stand_for, constant, linear, nothing, scaled
from .labels import Labels
from .link import DomainLink, learn_link
from .pairs import Pairs
from .task import LinkTask

ORACLE = "oracle"
LEAST_LABELS = 20


@dataclass(frozen=True)
class Contestant:
    """One way to make the model's outputs agree with the labels.

    Attributes:
        name: what it is.
        chosen_on: mean agreement with the labels of the block that is chosen on.
        reported: mean agreement with those of the last block, which nothing was learnt from or chosen on.
        link: what it is made of.
    """

    name: str
    chosen_on: float
    reported: float
    link: DomainLink


@dataclass(frozen=True)
class Adaptation:
    """What came out.

    Attributes:
        learnt: labels that were learnt from.
        chosen: labels that were chosen on.
        reported: labels that were reported on.
        contestants: every way that was tried, from the simplest to the link.
        winner: the one that agreed best on the block that is chosen on; of equals the simplest.
    """

    learnt: int
    chosen: int
    reported: int
    contestants: tuple[Contestant, ...]
    winner: Contestant

    @property
    def standard_error(self) -> float:
        """Of the winner's reported agreement, as if labels were independent; neighbours in time are less than that."""
        share = self.winner.reported
        return math.sqrt(max(0.0, share * (1.0 - share)) / self.reported)


def adapt(
    trace: Trace, models: Sequence[str], labels: Labels, output: OutputSpec | None = None, *, seed: int = 0
) -> Adaptation:
    """Learns from the first 60 % of the labels in time, chooses on the next 20 %, reports on the last 20 %.

    Args:
        trace: holds the models' outputs.
        models: the deployed model, or several that are read together.
        labels: what a person said.
        output: the labels' type; by default that of the first model.
        seed: of everything random.

    Raises:
        InvalidInput: there are fewer than 20 labels, or a kind can't be used.
        UnknownModel: the trace has no such model.
    """
    task = oracle_task(trace, models, output)
    outputs = {name: trace.outputs(name) for name in task.sources}
    sources = {name: [values[row] for row in labels.rows] for name, values in outputs.items()}
    return adapt_pairs(task, Pairs.of(task, sources, labels.values), seed=seed)


def adapt_pairs(task: LinkTask, pairs: Pairs, *, seed: int = 0) -> Adaptation:
    """The same, of what a model said and a person labelled, in time.

    Raises:
        InvalidInput: there are fewer than 20 labels.
    """
    if len(pairs) < LEAST_LABELS:
        raise InvalidInput(f"labels: at least {LEAST_LABELS} are needed, better 200; these are {len(pairs)}")
    train, validation, report = pairs.blocks(0.6, 0.2, 0.2)
    ways: list[tuple[str, DomainLink]] = []
    if can_stand_for(task):
        ways.append(("nothing", nothing(task)))
    ways.append(("constant", constant(task, train)))
    if can_stand_for(task):
        ways.append(("factor and offset" if task.form.is_number else "temperature and bias", scaled(task, train)))
    ways.append(("linear", linear(task, train)))
    ways.append(("link", learn_link(task, train, validation, seed=seed)))
    tried = tuple(Contestant(name, link.agreement(validation), link.agreement(report), link) for name, link in ways)
    # `max` takes the first of equals, which is the simplest.
    winner = max(tried, key=lambda contestant: contestant.chosen_on)
    return Adaptation(len(train), len(validation), len(report), tried, winner)


def oracle_task(trace: Trace, models: Sequence[str], output: OutputSpec | None = None) -> LinkTask:
    """What a link from models to the oracle is for.

    Raises:
        InvalidInput: no model is named.
        UnknownModel: the trace has no such model.
    """
    if not models:
        raise InvalidInput(f"model: name the deployed one (models: {', '.join(trace.models)})")
    for name in models:
        if name not in trace.models:
            raise UnknownModel(name, tuple(trace.models))
    specs = {name: trace.models[name].output for name in models}
    digests = {name: trace.info.digests.get(name, "") for name in specs}
    return LinkTask(specs, ORACLE, output or specs[models[0]], digests)
