import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.heads.linear import BLOCKS, FURTHEST, Linear
from infilink.outputs import Array

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**16)


def samples(seed: int, n: int, d: int = 12, k: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(n, d)) * rng.uniform(0.1, 5, d) + rng.normal(size=d)).astype(np.float32)
    return features, features @ rng.normal(size=(d, k)) + 0.1 * rng.normal(size=(n, k))


def refit(z: Array, y: Array, strength: float) -> tuple[Array, Array]:
    """Weights and covariance as the textbook has them; the constant is free."""
    ridge = np.full(z.shape[1], strength)
    ridge[-1] = 0.0
    covariance = np.linalg.inv(z.T @ z + np.diag(ridge))
    return covariance @ z.T @ y, covariance


@few
@given(seeds, st.sampled_from([6, 20, 60]))
def test_it_is_ridge_regression_also_with_fewer_inputs_than_features(seed: int, n: int) -> None:
    features, targets = samples(seed, n)
    linear = Linear.fit(features, targets)
    weights, covariance = refit(linear.standard(features), targets, linear.strength)
    np.testing.assert_allclose(linear.weights, weights, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(linear.covariance, covariance, rtol=1e-5, atol=1e-8)


@few
@given(seeds, st.sampled_from([64, 320]))
def test_what_a_block_left_out_says_is_what_a_fit_without_it_says(seed: int, n: int) -> None:
    features, targets = samples(seed, n)
    linear, left_out = Linear.fit_judged(features, targets)
    z, size = linear.standard(features), n // BLOCKS
    block = slice(3 * size, 4 * size)
    kept = np.r_[: block.start, block.stop : n]
    weights, covariance = refit(z[kept], targets[kept], linear.strength)
    np.testing.assert_allclose(left_out.numbers[block], z[block] @ weights, rtol=1e-5, atol=1e-6)
    doubt = np.einsum("nd,de,ne->n", z[block], covariance, z[block])
    np.testing.assert_allclose(left_out.doubt[block], doubt, rtol=1e-5, atol=1e-8)


@few
@given(seeds)
def test_an_update_without_forgetting_is_a_refit(seed: int) -> None:
    features, targets = samples(seed, 50)
    linear = Linear.fit(features[:40], targets[:40])
    for x, y in zip(features[40:], targets[40:], strict=True):
        linear.update(x, y, forget=1.0)
    weights, covariance = refit(linear.standard(features), targets, linear.strength)
    np.testing.assert_allclose(linear.weights, weights, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(linear.covariance, covariance, rtol=1e-5, atol=1e-9)


@few
@given(seeds)
def test_some_targets_are_learnt_as_if_alone(seed: int) -> None:
    features, targets = samples(seed, 41)
    whole = Linear.fit(features[:40], targets[:40])
    some = Linear.fit(features[:40], targets[:40])
    whole.update(features[40], targets[40], forget=1.0)
    some.update(features[40], targets[40, :1], columns=slice(0, 1), share=1 / 3, forget=1.0)
    np.testing.assert_allclose(some.weights[:, :1], whole.weights[:, :1])
    assert np.trace(some.covariance) > np.trace(whole.covariance)


def test_forgetting_for_days_leaves_the_covariance_positive_and_bounded() -> None:
    features, targets = samples(0, 40)
    linear = Linear.fit(features, targets)
    bound = np.trace(linear.covariance) + len(linear.mean) / linear.strength
    for turn in range(3000):
        # A camera that sees all but the same: what says nothing of the rest must not undo the rest.
        linear.update(features[0] + 0.01 * features[turn % 40], targets[0], forget=0.9)
    assert (linear.covariance == linear.covariance.T).all()
    assert np.linalg.eigvalsh(linear.covariance).min() > 0
    assert np.trace(linear.covariance) < 2 * bound
    np.testing.assert_allclose(linear.predict(features[:1])[0], targets[0], atol=0.2)


def test_forgetting_follows_what_has_changed() -> None:
    features, targets = samples(1, 200)
    slow, fast = Linear.fit(features, targets), Linear.fit(features, targets)
    for x, y in zip(features, -targets, strict=True):
        slow.update(x, y, forget=1.0)
        fast.update(x, y, forget=0.8)
    missed = [float(((each.predict(features) + targets) ** 2).mean()) for each in (slow, fast)]
    assert missed[1] < missed[0] / 2


@few
@given(seeds)
def test_folded_it_says_the_same_even_of_the_unheard_of(seed: int) -> None:
    features, targets = samples(seed, 30)
    features[:, 2] = 7.0
    linear = Linear.fit(features, targets)
    strange = np.concatenate([features, features * 50 - 3]).astype(np.float32)
    low, high, weights, constant = linear.folded()
    said = np.clip(strange, low, high) @ weights + constant
    np.testing.assert_allclose(said, linear.predict(strange), rtol=1e-3, atol=1e-3)
    assert np.abs(linear.standard(strange)).max() <= FURTHEST


def test_what_is_unlike_all_that_was_seen_is_doubted() -> None:
    features, targets = samples(3, 50)
    linear = Linear.fit(features, targets)
    assert linear.doubt(features * 3 + 9).min() > 2 * linear.doubt(features).max()


@few
@given(seeds)
def test_a_round_trip_changes_nothing(seed: int) -> None:
    features, targets = samples(seed, 20)
    linear = Linear.fit(features, targets)
    again = Linear.from_arrays(linear.as_arrays("a"), "a")
    assert (again.predict(features) == linear.predict(features)).all()
    linear.update(features[0], targets[1])
    again.update(features[0], targets[1])
    assert (again.covariance == linear.covariance).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.mean", np.zeros(5)),
        ("a.covariance", np.full((13, 13), np.nan)),
        ("a.weights", np.zeros((13, 2))),
        ("a.strength", np.zeros(2)),
    ],
)
def test_damaged_arrays_are_refused(name: str, value: Array) -> None:
    arrays = Linear.fit(*samples(0, 20)).as_arrays("a")
    with pytest.raises(InvalidInput, match="damaged"):
        Linear.from_arrays({**arrays, name: value}, "a")
    del arrays[name]
    with pytest.raises(InvalidInput, match="missing"):
        Linear.from_arrays(arrays, "a")


def test_what_cannot_be_learnt_from_is_refused() -> None:
    features, targets = samples(0, 20)
    features[3, 4] = np.nan
    with pytest.raises(InvalidInput, match="features hold NaN"):
        Linear.fit(features, targets)
    features[3, 4] = 0.0
    with pytest.raises(InvalidInput, match="targets hold NaN"):
        Linear.fit(features, np.where(targets > 1, np.nan, targets))
    with pytest.raises(InvalidInput, match="two inputs"):
        Linear.fit(features[:1], targets[:1])
    linear = Linear.fit(features, targets)
    with pytest.raises(InvalidInput, match="this stem's"):
        linear.predict(features[:, :5])


def test_features_that_never_change_say_nothing_until_they_do() -> None:
    features, targets = samples(2, 20)
    linear = Linear.fit(np.ones_like(features), targets)
    np.testing.assert_allclose(linear.predict(features), np.repeat(targets.mean(axis=0)[None], 20, axis=0))


def test_counts_weigh_inputs() -> None:
    features, targets = samples(4, 30)
    counts = np.where(np.arange(30) < 10, 2.0, 1.0)
    linear = Linear.fit(features, targets, counts=counts)
    z = linear.standard(features)
    twice = np.concatenate([z[:10], z])
    weights, _ = refit(twice, np.concatenate([targets[:10], targets]), linear.strength)
    np.testing.assert_allclose(linear.weights, weights, rtol=1e-5, atol=1e-7)
