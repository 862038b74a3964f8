"""Loss prediction without the reference code's faults: pairs, a head that is no line, labels judged before learning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.links.domains.fit import FitSettings, fit, fit_loss_head, losses, ranking, squared
from infilink.links.domains.network import DomainNetwork, Shape


def test_a_perfect_ranker_loses_nothing():
    """The reference's broadcast of (n, 1) with (n,) scores 311 here."""
    true = np.random.default_rng(0).random((1, 32))
    value, step = ranking(1000.0 * true, true)
    assert value < 0.05
    value, step = ranking(1e9 * true, true)
    assert value == 0.0 and not step.any()


def test_the_worst_ranker_loses_and_is_pushed_the_right_way():
    true = np.array([[0.0, 1.0, 2.0, 3.0]])
    value, step = ranking(-true, true)
    assert value == pytest.approx(3.0)  # Two pairs, each 2 apart the wrong way, and the margin.
    np.testing.assert_allclose(step, [[0.5, 0.5, -0.5, -0.5]])


@given(st.integers(2, 9), st.integers(0, 1000))
def test_a_row_is_compared_with_its_partner_only(count, seed):
    rng = np.random.default_rng(seed)
    expected, true = rng.normal(size=(1, count)), rng.random((1, count))
    half = count // 2
    by_hand = [
        max(0.0, 1.0 - np.sign(true[0, i] - true[0, i + half]) * (expected[0, i] - expected[0, i + half]))
        for i in range(half)
    ]
    value, step = ranking(expected, true)
    assert value == pytest.approx(np.mean(by_hand))
    assert step.shape == expected.shape


def test_equal_losses_say_nothing():
    value, step = ranking(np.array([[1.0, -1.0]]), np.array([[0.5, 0.5]]))
    assert value == 0.0 and not step.any()


def trained_with_head():
    """A link that is wrong in the middle: there the target is noise, which no link can learn."""
    rng = np.random.default_rng(0)
    network = DomainNetwork.initial(Shape(1, 1, variance=True, loss_head=True), rng)
    inputs = rng.uniform(-2.0, 2.0, (400, 1))
    targets = 0.5 * inputs + np.where(np.abs(inputs) < 0.7, rng.normal(0.0, 1.5, inputs.shape), 0.0)
    fit(network, inputs, targets, squared, FitSettings(steps=300), rng)
    link = network.weights[: network.shape.slices["rank"].start].copy()
    fit_loss_head(network, inputs, losses(network, inputs, targets, squared), FitSettings(steps=400), rng)
    return network, link


def test_the_head_is_no_line_in_the_prediction_and_finds_the_middle():
    network, _ = trained_with_head()
    at = np.linspace(-2.0, 2.0, 81)[:, None]
    passed = network.forward(at)
    predicted, expected = passed.mean[0, :, 0], network.predicted_loss(passed)[0]
    line = np.polynomial.Polynomial.fit(predicted, expected, 1)
    assert np.std(expected - line(predicted)) > 0.3 * np.std(expected)
    assert abs(at[np.argmax(expected), 0]) < 0.8


def test_the_head_leaves_the_link_as_it_was():
    network, link = trained_with_head()
    np.testing.assert_array_equal(network.weights[: len(link)], link)
