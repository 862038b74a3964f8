import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.heads.best_place import BestPlace
from infilink.models.heads.binary import Binary
from infilink.models.heads.calibration import fit_logistic, logistic
from infilink.outputs import Array


def area(scores: Array, truth: Array) -> float:
    return float((scores[truth][:, None] > scores[~truth][None]).mean())


def samples(n: int, share: float, seed: int = 0, d: int = 30) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    return (rng.normal(size=(n, d)) + truth[:, None] * (np.arange(d) < 6) * 1.5).astype(np.float32), truth


def scene(n: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Places of a picture in which something small stands in one cell of half the inputs: places, truth, cells."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.5
    usual = 5 * rng.normal(size=(1, 8, 6, 9))
    places = usual + rng.normal(size=(n, 8, 6, 9))
    cells = np.zeros((n, 6, 9), bool)
    for i in np.flatnonzero(truth):
        row, column = rng.integers(6), rng.integers(9)
        places[i, :3, row, column] += 4.0
        cells[i, row, column] = True
    return places.astype(np.float16), truth, cells


@pytest.mark.parametrize(("n", "share", "least"), [(20, 0.5, 0.9), (50, 0.3, 0.95), (400, 0.03, 0.95)])
def test_few_labels_and_rare_answers_are_enough(n: int, share: float, least: float) -> None:
    features, truth = samples(n, share)
    head = Binary.fit(features, truth)
    later, then = samples(2000, share, seed=1)
    assert area(head.predict(later), then) > least


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_its_probability_is_a_probability(share: float) -> None:
    head = Binary.fit(*samples(600, share))
    later, truth = samples(4000, share, seed=1)
    p = head.predict(later)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        among = (p >= low) & (p < high)
        if among.sum() > 50:
            assert abs(p[among].mean() - truth[among].mean()) < 0.1


@pytest.mark.parametrize("always", [True, False])
def test_what_was_always_the_same_is_probably_so_again(always: bool) -> None:
    features, _ = samples(18, 0.5)
    head = Binary.fit(features, np.full(18, always))
    np.testing.assert_allclose(head.predict(features), 0.95 if always else 0.05)
    head.update(features[0], not always)
    assert head.folded() is None
    assert Binary.from_arrays(head.as_arrays("b"), "b").predict(features)[0] == head.predict(features)[0]


def test_noise_is_told_apart_from_what_can_be_learnt() -> None:
    features, _ = samples(200, 0.5)
    truth = np.random.default_rng(5).random(200) < 0.3
    assert abs(Binary.fit(features, truth).predict(features) - 0.3).max() < 0.35


def test_an_update_moves_it_the_right_way() -> None:
    features, truth = samples(50, 0.5)
    head = Binary.fit(features, truth)
    before = head.predict(features[:1])[0]
    head.update(features[0], before < 0.5)
    assert (head.predict(features[:1])[0] > before) == (before < 0.5)


def test_the_best_place_is_found_with_boxes_and_without() -> None:
    places, truth, cells = scene(150)
    later, then, there = scene(300, seed=1)
    # The usual look of this scene differs, so that only what stands out counts: the same camera sees both.
    later += places.mean(axis=0) - later.mean(axis=0)
    taught, left_out = BestPlace.fit(places, truth[:, None], cells[:, None])
    guessed, _ = BestPlace.fit(places, truth[:, None])
    assert area(taught.score(later)[:, 0], then) > 0.95
    assert area(guessed.score(later)[:, 0], then) > 0.85
    assert area(left_out[:, 0], truth) > 0.9
    found = taught.cells(later)[then, 0].reshape(then.sum(), -1).argmax(axis=1)
    assert (found == there[then].reshape(then.sum(), -1).argmax(axis=1)).mean() > 0.8


def test_a_head_with_places_is_ahead_where_things_are_small() -> None:
    places, truth, cells = scene(150)
    features = places.astype(np.float32).mean(axis=(2, 3))
    alone = Binary.fit(features[:100], truth[:100])
    head = Binary.fit(features[:100], truth[:100], places=places[:100], cells=cells[:100])
    both = area(head.predict(features[100:], places[100:]), truth[100:])
    assert both > 0.9 > area(alone.predict(features[100:]), truth[100:])
    low, high, weights, constant = head.folded() or pytest.fail("it has a map")
    folded = head.best_place or pytest.fail("it looks at places")
    odds = (np.clip(features, low, high) @ weights + constant)[:, 0] + folded.score(places)[:, 0]
    np.testing.assert_allclose(logistic(odds), head.predict(features, places), atol=1e-3)
    again = Binary.from_arrays(head.as_arrays("b"), "b")
    assert (again.predict(features, places) == head.predict(features, places)).all()
    with pytest.raises(InvalidInput, match="give both"):
        head.predict(features)
    with pytest.raises(InvalidInput, match="must have shape"):
        head.predict(features, places[:, :4])


@pytest.mark.parametrize("name", ["b.curve", "b.best_place.weights", "b.linear.mean"])
def test_a_damaged_head_is_refused(name: str) -> None:
    places, truth, _ = scene(40)
    arrays = Binary.fit(places.mean(axis=(2, 3)), truth, places=places).as_arrays("b")
    with pytest.raises(InvalidInput, match="damaged"):
        Binary.from_arrays({**arrays, name: np.full_like(arrays[name], np.nan)}, "b")


def test_what_cannot_be_learnt_from_is_refused() -> None:
    features, truth = samples(20, 0.5)
    with pytest.raises(InvalidInput, match="truth"):
        Binary.fit(features, truth[:5])
    with pytest.raises(InvalidInput, match="truth"):
        Binary.fit(features[:0], truth[:0])
    with pytest.raises(InvalidInput, match="same inputs"):
        Binary.fit(features, truth, places=np.zeros((5, 2, 3, 3)))
    with pytest.raises(InvalidInput, match="places hold NaN"):
        Binary.fit(features, truth, places=np.full((20, 2, 3, 3), np.inf))


@pytest.mark.parametrize("n", [2, 3, 9])
@pytest.mark.parametrize("grid", [(1, 1), (1, 2), (3, 4)])
def test_hardly_any_inputs_or_places_are_no_error(n: int, grid: tuple[int, int]) -> None:
    truth = np.arange(n) % 2 == 0
    places = np.zeros((n, 4, *grid), np.float32)
    places[:, 0] = truth[:, None, None]
    for each in (places, np.ones_like(places)):
        p = Binary.fit(each.mean(axis=(2, 3)), truth, places=each).predict(each.mean(axis=(2, 3)), each)
        assert ((p > 0) & (p < 1)).all()


def test_a_cue_that_says_the_opposite_is_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.5
    cues = np.stack([truth, ~truth], axis=1) + rng.normal(size=(200, 2))
    slopes = fit_logistic(cues, truth.astype(float))
    assert slopes[0] > 0.5
    assert slopes[1] == 0.0


def test_cues_that_tell_all_apart_are_no_certainty() -> None:
    truth = np.arange(20) < 10
    slopes = fit_logistic(truth[:, None].astype(float), truth.astype(float))
    p = logistic(truth[:, None] @ slopes[:1] + slopes[1])
    assert 0.9 < p[0] < 1.0 - 1e-3
