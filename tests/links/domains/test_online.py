"""Online links: every input is predicted before it is learnt from, within the budget, in bounded memory."""

from functools import cache

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.domains.follow import STRETCH, follow
from infilink.links.domains.form import Form
from infilink.links.domains.online import OnlineLink, OnlineSettings
from infilink.links.domains.policies import ExpectedLoss, Offline, Periodic, Random, Uncertain
from infilink.links.domains.replay import ReplayBuffer
from infilink.outputs import OutputSpec

PERIOD, PERIODS, SHARE = 400, 6, 0.05
COUNT = Form(OutputSpec(kind="count"))
LABEL = Form(OutputSpec(kind="label", classes=("few", "many")))
MAKERS = {
    "offline": lambda: Offline(round(SHARE * PERIOD * PERIODS)),
    "periodic": lambda: Periodic(share=SHARE, period=PERIOD),
    "random": lambda: Random(share=SHARE, period=PERIOD),
    "uncertainty": lambda: Uncertain(share=SHARE, period=PERIOD),
    "loss prediction": lambda: ExpectedLoss(share=SHARE, period=PERIOD),
}


def drifting(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = PERIOD * PERIODS
    at = np.arange(count) / PERIOD
    vehicles = np.rint(5.0 + 4.0 * np.sin(at * 5.0) + rng.normal(0.0, 1.0, count)).clip(0.0)
    people = np.rint(3.0 + 0.4 * at + vehicles + rng.normal(0.0, 0.2, count))
    return vehicles[:, None], people[:, None]


@cache
def run(name: str, wrong_from: int = PERIOD * PERIODS):
    inputs, targets = drifting(0)
    targets[wrong_from:] += 50.0
    return follow(OnlineLink(1, COUNT, MAKERS[name]()), inputs, targets)


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_is_learnt_from_before_it_is_scored(name):
    """What comes later, and what of an hour itself is not yet labelled, can't have changed what was predicted."""
    at = 25 * STRETCH
    whole, other = run(name), run(name, wrong_from=at)
    np.testing.assert_array_equal(whole.predicted[: at + STRETCH], other.predicted[: at + STRETCH])
    # It does not hang on luck: later the wrong labels are learnt, except by what learns no more.
    assert (name == "offline") == bool(np.array_equal(whole.predicted, other.predicted))


@pytest.mark.parametrize("name", MAKERS)
def test_the_budget_holds_over_time(name):
    labelled = run(name).labelled
    assert labelled.sum() <= SHARE * len(labelled) + SHARE * PERIOD / 2
    assert labelled.sum() >= 0.7 * SHARE * len(labelled)
    if name != "offline":
        spent = np.cumsum(labelled)[PERIOD - 1 :: PERIOD]
        assert (spent <= SHARE * PERIOD * (np.arange(PERIODS) + 1.5)).all()


@pytest.mark.parametrize("name", ["periodic", "random", "uncertainty", "loss prediction"])
def test_on_a_stream_that_drifts_whatever_keeps_learning_beats_what_does_not(name):
    later = slice(3 * PERIOD, None)
    offline = run("offline").agreements[later].mean()
    assert run(name).agreements[later].mean() > offline + 0.2


def test_the_same_seed_does_the_same():
    np.testing.assert_array_equal(run("random").predicted, run.__wrapped__("random").predicted)


@pytest.mark.parametrize("name", ["uncertainty", "random"])
def test_labels_are_predicted_too(name):
    inputs, people = drifting(1)
    many = (people > people.mean()).astype(int)[:, 0]
    targets = LABEL.numbers(np.eye(2)[many])
    online = OnlineLink(1, LABEL, MAKERS[name](), OnlineSettings(half_lives_labels=(20.0, 100.0)))
    followed = follow(online, inputs, targets)
    assert followed.agreements[PERIOD:].mean() > max(many.mean(), 1 - many.mean()) + 0.1


def test_before_anything_is_learnt_it_says_nothing():
    online = OnlineLink(1, LABEL, Random(share=0.1, period=100))
    numbers, _ = online.predict(np.zeros((3, 1)))
    np.testing.assert_allclose(LABEL.values(numbers), 0.5)
    assert not online.has_learnt


def test_memory_is_bounded_and_keeps_the_latest():
    memory = ReplayBuffer(4, 1, 1)
    for start in (0, 3, 5):
        rows = np.arange(start, start + (3 if start == 0 else 2 if start == 3 else 9), dtype=float)[:, None]
        memory.add(rows, rows, rows[:, 0])
    assert len(memory) == 4
    assert sorted(memory.inputs[:, 0]) == [10, 11, 12, 13]
    np.testing.assert_array_equal(memory.inputs, memory.targets)


def test_labels_that_do_not_fit_are_refused():
    online = OnlineLink(1, COUNT, Random(share=0.1, period=100))
    with pytest.raises(InvalidInput, match="one finite row for each of the 2 inputs"):
        online.learn(np.zeros((2, 1)), np.zeros((1, 1)))
    with pytest.raises(InvalidInput, match="finite"):
        online.learn(np.zeros((1, 1)), np.full((1, 1), np.nan))


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InvalidInput, match="share must be above 0 and below 1"):
        Periodic(share=share, period=100)
