"""The network's own gradient, and that no start is dead."""

import numpy as np
import pytest
from infilink.links.domains.fit import FitSettings, binary_cross_entropy, cross_entropy, fit, squared
from infilink.links.domains.network import DomainNetwork, Shape


def total(network, inputs, targets, loss):
    """What the gradient is of; the weighted likelihood is checked part by part below."""
    passed = network.forward(inputs)
    return float(loss(passed.mean, passed.log_variance, targets).each.sum()) / len(inputs)


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy, squared])
def test_the_gradient_is_that_of_small_steps(loss):
    rng = np.random.default_rng(0)
    network = DomainNetwork.initial(Shape(3, 4, hidden=5, members=2), rng)
    network.weights[:] += rng.normal(0.0, 0.3, network.weights.shape)
    inputs, targets = rng.normal(size=(7, 3)), rng.normal(size=(7, 4))
    passed = network.forward(inputs)
    found = network.gradient(passed, loss(passed.mean, None, targets[None]).mean, None)
    for index in range(network.shape.size):
        step = np.zeros(network.shape.size)
        step[index] = 1e-6
        up, down = (DomainNetwork(network.shape, network.weights + sign * step) for sign in (1, -1))
        expected = (total(up, inputs, targets, loss) - total(down, inputs, targets, loss)) / 2e-6
        assert found[index] == pytest.approx(expected, abs=1e-6)


def test_the_variance_s_gradient_is_zero_where_it_is_right_and_points_up_where_it_is_too_small():
    wrong = np.array([[[1.0], [3.0]]])
    graded = squared(wrong, np.zeros((1, 2, 1)), np.zeros((1, 2, 1)))
    assert graded.log_variance is not None
    assert graded.log_variance[0, 0, 0] == pytest.approx(0.0)
    assert graded.log_variance[0, 1, 0] < 0.0


def test_the_gradient_reaches_every_weight_also_the_variance_s():
    rng = np.random.default_rng(1)
    network = DomainNetwork.initial(Shape(2, 1, members=2, variance=True), rng)
    network.weights[:] += rng.normal(0.0, 0.1, network.weights.shape)
    passed = network.forward(rng.normal(size=(20, 2)))
    graded = squared(passed.mean, passed.log_variance, np.ones((1, 20, 1)))
    assert (network.gradient(passed, graded.mean, graded.log_variance) != 0.0).all()


def test_no_start_is_dead():
    """A ReLU of width 2 on inputs that are never negative does not learn from every fifth to fourth seed."""
    inputs = np.arange(12.0)[:, None] / 4.0
    targets = 1.0 + 2.0 * inputs
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = DomainNetwork.initial(Shape(1, 1, hidden=4), rng)
        assert fit(network, inputs, targets, squared, FitSettings(steps=150, batch=12, rate=0.05), rng) < 0.05


def test_an_ensemble_s_members_differ_where_nothing_was_learnt_and_agree_where_it_was():
    rng = np.random.default_rng(3)
    network = DomainNetwork.initial(Shape(1, 1, members=5, variance=True), rng)
    inputs = rng.uniform(-1.0, 0.0, (60, 1))
    fit(network, inputs, np.sin(3.0 * inputs), squared, FitSettings(steps=400), rng)
    passed = network.forward(np.array([[-0.5], [2.5]]))
    known, unknown = passed.mean.var(axis=0)[:, 0]
    assert unknown > 10.0 * known
