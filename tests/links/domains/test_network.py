"""The network's own gradient, and that no start is dead."""

import numpy as np
import pytest
from infilink.links.domains.fit import FitSettings, binary_cross_entropy, cross_entropy, fit, squared
from infilink.links.domains.network import DomainNetwork, Shape


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy, squared])
def test_the_gradient_is_that_of_small_steps(loss):
    rng = np.random.default_rng(0)
    network = DomainNetwork.initial(Shape(3, 4, hidden=5), rng)
    network.weights[:] += rng.normal(0.0, 0.3, network.weights.shape)
    inputs, targets = rng.normal(size=(7, 3)), rng.normal(size=(7, 4))

    def mean(weights):
        return float(loss(DomainNetwork(network.shape, weights).forward(inputs).predicted, targets).each.mean())

    passed = network.forward(inputs)
    found = network.gradient(passed, loss(passed.predicted, targets).slope)
    for index in range(network.shape.size):
        step = np.zeros(network.shape.size)
        step[index] = 1e-6
        expected = (mean(network.weights + step) - mean(network.weights - step)) / 2e-6
        assert found[index] == pytest.approx(expected, abs=1e-6)


def test_no_start_is_dead():
    """A ReLU of width 2 on inputs that are never negative does not learn from every fifth to fourth seed."""
    inputs = np.arange(12.0)[:, None] / 4.0
    targets = 1.0 + 2.0 * inputs
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = DomainNetwork.initial(Shape(1, 1, hidden=4), rng)
        fit(network, inputs, targets, squared, FitSettings(steps=150, batch=12, rate=0.05), rng)
        assert squared(network.forward(inputs).predicted, targets).each.mean() < 0.05
