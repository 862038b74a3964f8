"""Adapts a deployed model to what a person says of a few inputs: a link to the labels, behind the model (TPAMI 2023).

This is the one place where truth comes in: agreement here is with the labels, not with another model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput, UnknownModel
from ...outputs import Array, OutputSpec
from .fit import Adam, loss_of
from .folder import LinkFolder
from .link import DomainLink, learn_link, moments_of
from .moments import Standard
from .network import DomainNetwork
from .task import LinkTask, Pairs

ORACLE = "oracle"
"""What a person's labels are called, unless they get another name."""
LEAST_LABELS = 20
_STEPS = 400
_RATE = 0.05
_RIDGE = 1e-3


@dataclass(frozen=True)
class Entrant:
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
        entrants: every way that was tried, from the simplest to the link.
        winner: the one that agreed best on the block that is chosen on; of equals the simplest.
    """

    learnt: int
    chosen: int
    reported: int
    entrants: tuple[Entrant, ...]
    winner: Entrant

    @property
    def standard_error(self) -> float:
        """Of the winner's reported agreement, as if labels were independent; neighbours in time are less than that."""
        share = self.winner.reported
        return math.sqrt(max(0.0, share * (1.0 - share)) / self.reported)


def adapt(task: LinkTask, pairs: Pairs, *, seed: int = 0) -> Adaptation:
    """Learns from the first 60 % of the labels in time, chooses on the next 20 %, reports on the last 20 %.

    Args:
        task: from which models' outputs to the labels.
        pairs: what the models said and a person labelled, in time.
        seed: of everything random.

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
    tried = tuple(Entrant(name, link.agreement(validation), link.agreement(report), link) for name, link in ways)
    # `max` takes the first of equals, which is the simplest.
    winner = max(tried, key=lambda contestant: contestant.chosen_on)
    return Adaptation(len(train), len(validation), len(report), tried, winner)


def label_task(
    folder: LinkFolder, models: Sequence[str], output: OutputSpec | None = None, *, name: str = ORACLE
) -> LinkTask:
    """What a link from models to a person's labels is for.

    Args:
        folder: knows the models.
        models: the deployed model, or several that are read together.
        output: the labels' type; by default that of the first model.
        name: what the labels are called.

    Raises:
        InvalidInput: no model is named, or a kind can't be used.
        UnknownModel: a model is not known.
    """
    known = folder.samples.models
    if not models:
        raise InvalidInput(f"model: name the deployed one (models: {', '.join(known)})")
    for model in models:
        if model not in known:
            raise UnknownModel(model, tuple(known))
    specs = {model: known[model].output for model in models}
    digests = {model: folder.digests.get(model, "") for model in specs}
    return LinkTask(specs, name, output or specs[models[0]], digests)


def can_stand_for(task: LinkTask) -> bool:
    """Whether the one source's outputs are of the target's very type, so that they may be answered as they are."""
    outputs = list(task.sources.values())
    return len(outputs) == 1 and outputs[0] == task.output


def nothing(task: LinkTask) -> DomainLink:
    """The source's output as it is; only where `can_stand_for`."""
    return affine_link(task, np.eye(task.inputs), np.zeros(task.form.length))


def constant(task: LinkTask, train: Pairs) -> DomainLink:
    """The same answer always: the most frequent class, the median of numbers."""
    form = task.form
    if form.is_number:
        answer = np.median(train.targets, axis=0)
    else:
        answer = form.numbers(form.values(train.targets).mean(axis=0)[None])[0]
    return affine_link(task, np.zeros((task.inputs, form.length)), answer)


def scaled(task: LinkTask, train: Pairs) -> DomainLink:
    """One temperature and a bias for each class; of numbers a factor and an offset each. Where `can_stand_for`."""
    if task.form.is_number:
        mean, wanted = train.inputs.mean(axis=0), train.targets.mean(axis=0)
        from_mean = train.inputs - mean
        slope = (from_mean * (train.targets - wanted)).sum(axis=0) / (np.square(from_mean).sum(axis=0) + _RIDGE)
        return affine_link(task, np.diag(slope), wanted - mean * slope)
    weights = np.append(1.0, np.zeros(task.form.length))
    loss, adam = loss_of(task.form), Adam(len(weights))
    for _ in range(_STEPS):
        slope = loss(train.inputs * weights[0] + weights[1:], train.targets).slope
        adam.step(weights, np.append((slope * train.inputs).sum(), slope.sum(axis=0)), _RATE)
    return affine_link(task, np.eye(task.inputs) * weights[0], weights[1:])


def linear(task: LinkTask, train: Pairs) -> DomainLink:
    """A small classifier on the sources' outputs: logistic, or ridge regression for numbers."""
    of_inputs = moments_of(train).standard.part(slice(task.inputs))
    inputs = of_inputs.apply(train.inputs)
    if task.form.is_number:
        wanted = train.targets.mean(axis=0)
        ridge = _RIDGE * len(inputs) * np.eye(task.inputs)
        matrix = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ (train.targets - wanted))
        return affine_link(task, matrix, wanted, of_inputs)
    size, length = task.inputs * task.form.length, task.form.length
    weights = np.zeros(size + length)
    loss, adam = loss_of(task.form), Adam(len(weights))
    for _ in range(_STEPS):
        predicted = inputs @ weights[:size].reshape(-1, length) + weights[size:]
        slope = loss(predicted, train.targets).slope
        adam.step(weights, np.append((inputs.T @ slope).ravel(), slope.sum(axis=0)), _RATE)
    return affine_link(task, weights[:size].reshape(-1, length), weights[size:], of_inputs)


def affine_link(task: LinkTask, matrix: Array, bias: Array, of_inputs: Standard | None = None) -> DomainLink:
    """A link that is only a straight line, so that whichever wins is served in the same way."""
    network = DomainNetwork(task.shape, np.zeros(task.shape.size))
    network.parts["skip"][:], network.parts["bias"][:] = matrix, bias
    of_inputs = of_inputs or Standard.plain(task.inputs)
    return DomainLink(task, of_inputs, Standard.plain(task.form.length), network)
