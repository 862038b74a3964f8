"""Links with given weights, in the place of learnt ones: what they predict is known on every machine.

They go into `train_links(..., fit=given(...))`: everything else (measures, files, notes) is as after training.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from infilink.links.linear.basis import Basis
from infilink.links.linear.expected import Compared
from infilink.links.linear.regression import KNOTS_S, Regression
from infilink.links.networks.vector import LinkNetwork
from infilink.links.sequences.residual import ResidualSequenceNetwork
from infilink.links.training.design import Design
from infilink.links.training.fit_linear import FittedLinear
from infilink.links.training.judge import Judge
from infilink.links.training.samples import Situations
from infilink.links.training.sets import all_sets
from infilink.models.encoding.encoding import Encoding
from infilink.outputs import Array

_FAR = 1000.0
_WIDE = 4.0

Column = Callable[[Encoding], int]
"""Which column of a source's raw form tells of the target."""


def first(encoding: Encoding) -> int:
    """A number itself, or how many boxes there are of the first class."""
    return 0


def given(rules: Mapping[str, Mapping[str, Column]]) -> Callable[[Situations, Judge], LinkNetwork | FittedLinear]:
    """What makes links by rules: `{target: {source: column}}`, the first source before the others.

    A target follows from the first of its sources that ran: it is the mean of what it was in the recording where that
    column was the same. Without any of them it is its last output, or the mean of all. One without a rule is always
    the mean of all, and so of no use. Of a target that gives tokens the source is another one of the same vocabulary,
    whose output is copied.
    """

    def fit(situations: Situations, judge: Judge) -> LinkNetwork | FittedLinear:
        torch.manual_seed(0)
        rule = rules.get(situations.target, {})
        if situations.samples.encodings[situations.target].tokens is not None:
            return _copying(situations, tuple(rule))
        return _following(situations, rule)

    return fit


def _following(situations: Situations, rule: Mapping[str, Column]) -> FittedLinear:
    samples, design = situations.samples, Design.of(situations.samples)
    bases, ramps = dict(design.bases), {}
    for name, column in rule.items():
        encoding = samples.encodings[name]
        place = int(np.flatnonzero(encoding.columns == column(encoding))[0])
        knots, means = _means(samples.standard(name)[:, place], situations.vectors)
        # A ramp from each value on, whose slopes add up to the steps between them; and the level at the first value.
        slopes = np.diff(means, axis=0) / np.diff(knots)[:, None]
        bases[name] = _ramps(encoding.length, place, knots[:-1])
        ramps[name] = (np.diff(slopes, axis=0, prepend=np.zeros((1, slopes.shape[1]))) * _WIDE, means[0])
    vectors = {name: samples.standard(name) for name in bases}
    numbers = [basis.numbers(vectors[name]) for name, basis in bases.items()]
    ends = np.cumsum([0, *(each.shape[1] for each in numbers)]).tolist()
    places = {name: np.arange(*ends_of) for name, ends_of in zip(bases, pairwise(ends), strict=True)}
    design = replace(
        design, bases=bases, places=places, numbers=np.concatenate([*numbers, np.ones((len(samples), 1))], axis=1)
    )
    fitted = FittedLinear(design, Judge(samples, situations.target))
    for sources in all_sets(fitted.telling):
        looked_at = len(Compared.of(fitted.judge.encoding).columns)
        fitted.give(sources, _regression(design, sources, ramps, situations.vectors, looked_at))
    return fitted


def _ramps(length: int, place: int, knots: Array) -> Basis:
    """The numbers of a source, and ramps of one of them."""
    zero, one = np.zeros(length), np.full(length, 1.0 / _WIDE)
    count = length + len(knots)
    bent = np.full(len(knots), place)
    return Basis(
        np.zeros((length, 0)), zero, one, bent, knots / _WIDE, np.zeros((0, 0)), np.zeros(count), np.ones(count)
    )


def _regression(
    design: Design, sources: tuple[str, ...], ramps: Mapping[str, tuple[Array, Array]], vectors: Array, looked_at: int
) -> Regression:
    """From the first source with a ramp; without one what the target last said, and no trust where it never ran."""
    columns = design.columns(sources)
    weights = np.zeros((len(columns), vectors.shape[1]), np.float32)
    told = next((name for name in ramps if name in sources), None)
    if told is None:
        held = np.full(len(KNOTS_S), float(bool(ramps)), np.float32)
        far = np.asarray([[9.0], [-9.0]], np.float32).repeat(looked_at, axis=1)
        return Regression(weights, held, far)
    changes, level = ramps[told]
    at = np.flatnonzero(np.isin(columns, design.places[told]))[-len(changes) :]
    weights[at], weights[-1] = changes, level
    return Regression(weights, np.zeros(len(KNOTS_S), np.float32), np.zeros((1, looked_at), np.float32))


def _means(values: Array, vectors: Array) -> tuple[Array, Array]:
    """The different values (k,), rising, and the mean vector (k, length) at each."""
    knots, which = np.unique(np.round(values, 5), return_inverse=True)
    means = np.stack([vectors[which == index].mean(axis=0) for index in range(len(knots))])
    return knots.astype(np.float64), means.astype(np.float32)


def _copying(situations: Situations, sources: tuple[str, ...]) -> ResidualSequenceNetwork:
    network = ResidualSequenceNetwork(situations.layout, situations.samples.encodings, situations.target)
    names = list(situations.layout.ids)
    with torch.no_grad():
        network.gate.weight.zero_()
        network.gate.bias.fill_(-_FAR)
        network.gate.bias[0] = 40.0
        for place, index in enumerate(network.same_words):
            if names[index] in sources:
                network.gate.bias[1 + place] = 80.0
    return network.eval()
