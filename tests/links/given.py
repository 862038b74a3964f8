"""Networks with given weights, in the place of trained ones: what they predict is known on every machine.

They go into `train_links(..., fit=given(...))`: everything else (measures, files, notes) is as after training.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from infilink.links.networks.vector import LinkNetwork, ResidualNetwork
from infilink.links.sequences.residual import ResidualSequenceNetwork
from infilink.links.training.judge import Judge
from infilink.links.training.samples import Situations
from infilink.models.encoding.encoding import Encoding
from infilink.outputs import Array

_FAR = 1000.0

Column = Callable[[Encoding], int]
"""Which column of a source's raw form tells of the target."""


def first(encoding: Encoding) -> int:
    """A number itself, or how many boxes there are of the first class."""
    return 0


def given(rules: Mapping[str, Mapping[str, Column]]) -> Callable[[Situations, Judge], LinkNetwork]:
    """What makes networks by rules: `{target: {source: column}}`, the first source before the others.

    A target follows from the first of its sources that ran: it is the mean of what it was in the recording where that
    column was the same. Without any of them it is its last output, or the mean of all. One without a rule is always
    the mean of all, and so of no use. Of a target that gives tokens the source is another one of the same vocabulary,
    whose output is copied.
    """

    def fit(situations: Situations, judge: Judge) -> LinkNetwork:
        torch.manual_seed(0)
        rule = rules.get(situations.target, {})
        if situations.samples.encodings[situations.target].tokens is not None:
            return _copying(situations, tuple(rule))
        return _following(situations, rule)

    return fit


def _following(situations: Situations, rule: Mapping[str, Column]) -> ResidualNetwork:
    samples, layout = situations.samples, situations.layout
    network = ResidualNetwork(layout)
    first_w, out_w = torch.zeros_like(network.first.weight), torch.zeros_like(network.out.weight)
    first_b, gate_w = torch.zeros_like(network.first.bias), torch.zeros_like(network.gate.weight)
    masks: list[int] = []
    unit = 0
    for name, column in rule.items():
        encoding = samples.encodings[name]
        place = int(np.flatnonzero(encoding.columns == column(encoding))[0])
        read, mask = layout.slices[name].start + place, 2 * layout.total + list(layout.lengths).index(name)
        values = samples.standard(name)[:, place]
        knots, means = _means(values, situations.vectors)
        # A ramp from each value on, whose slopes add up to the steps between them; and the level at the first value.
        slopes = np.diff(means, axis=0) / np.diff(knots)[:, None]
        changes = np.diff(slopes, axis=0, prepend=np.zeros((1, slopes.shape[1])))
        for knot, change in zip(knots[:-1], changes, strict=True):
            first_w[unit, read], first_b[unit] = 1.0, -float(knot) - _FAR
            out_w[:, unit] = torch.from_numpy(change)
            first_w[unit, mask] = _FAR
            first_w[unit, masks] = -_FAR
            unit += 1
        # This one is 1 if the source ran and none of those before it did.
        first_w[unit, mask], first_w[unit, masks] = 1.0, -1.0
        out_w[:, unit] = torch.from_numpy(means[0])
        gate_w[:, unit] = -2 * _FAR
        masks.append(mask)
        unit += 1
    with torch.no_grad():
        network.first.weight.copy_(first_w)
        network.first.bias.copy_(first_b)
        network.second.weight.copy_(torch.eye(len(first_b)))
        network.out.weight.copy_(out_w)
        network.gate.weight.copy_(gate_w)
        network.gate.bias.fill_(_FAR if rule else -_FAR)
        for layer in (network.second, network.out):
            layer.bias.zero_()
        # Sure where a source ran, which closes the gate; else as good as not.
        network.agree_hidden.weight.zero_()
        network.agree_hidden.bias.zero_()
        network.agree_hidden.weight[0, : len(first_b)] = -gate_w[0] / (2 * _FAR)
        network.agree_out.weight.zero_()
        network.agree_out.weight[0, 0] = 7.0
        network.agree_out.bias.fill_(-1.0)
    return network.eval()


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
