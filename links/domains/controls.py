"""What costs no network and may spend the same labels: a link must be better than these to be of use."""

import numpy as np

from ...outputs import Array
from .fit import Adam
from .link import DomainLink, moments_of
from .losses import loss_of
from .moments import Standard
from .network import DomainNetwork
from .pairs import Pairs
from .task import LinkTask

_STEPS = 400
_RATE = 0.05
_RIDGE = 1e-3


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
        predicted = train.inputs * weights[0] + weights[1:]
        graded = loss(predicted[None], None, train.targets[None]).mean[0]
        adam.step(weights, np.append((graded * train.inputs).sum(), graded.sum(axis=0)), _RATE)
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
        graded = loss(predicted[None], None, train.targets[None]).mean[0]
        adam.step(weights, np.append((inputs.T @ graded).ravel(), graded.sum(axis=0)), _RATE)
    return affine_link(task, weights[:size].reshape(-1, length), weights[size:], of_inputs)


def affine_link(task: LinkTask, matrix: Array, bias: Array, of_inputs: Standard | None = None) -> DomainLink:
    """A link that is only a straight line, so that whichever wins is served from the same kind of file."""
    network = DomainNetwork(task.shape, np.zeros(task.shape.size))
    network.parts["skip"][0], network.parts["bias"][0] = matrix, bias
    of_inputs = of_inputs or Standard.plain(task.inputs)
    return DomainLink(task, of_inputs, Standard.plain(task.form.length), network)
