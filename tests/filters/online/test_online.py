"""The online filter: what it asks for, what it remembers, what it promises, and that it goes on where it stopped."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.modalities.stream import CHANNELS, SCALARS, SIDE
from infilink.filters.online.filter import OnlineFilter, OnlineSettings
from infilink.filters.online.inputs import Seen
from infilink.filters.online.memory import ReplayMemory
from infilink.filters.online.policies import Active, Mixed, Offline, Periodic, Random
from infilink.filters.online.state import load_online, save_online, write_online
from infilink.filters.online.threshold import CLOSED, Judged, OnlineThreshold, provable
from infilink.filters.rules.parser import parse_rule
from infilink.filters.spec import load_filter
from infilink.filters.training.replay import Examples
from infilink.outputs import Array

POLICIES = (Offline(30.0), Periodic(), Random(), Active(), Mixed())
SETTINGS = OnlineSettings(period_s=50.0, share=0.2, accuracy=0.8, steps_per_label=2.0, memory_examples=64, seed=1)
QUICK = replace(SETTINGS, period_s=20.0, share=0.1, steps_per_label=0.5)


def draw(inputs: int, *, seed: int = 0, bright: bool = False) -> tuple[Seen, np.ndarray]:
    """Pictures with a square in every needed one; `bright`: as another camera would see them."""
    random = np.random.default_rng(seed)
    needed = (random.random(inputs) < 0.5).astype(np.float64)
    base = 150 if bright else 60
    images = np.clip(random.normal(base, 6, (inputs, SIDE, SIDE, CHANNELS)), 0, 255).astype(np.uint8)
    for image, is_needed in zip(images, needed, strict=True):
        if is_needed:
            x, y = random.integers(10, 80, 2)
            image[y : y + 20, x : x + 20] = 240 if bright else 190
    scalars = random.normal(0, 1, (inputs, len(SCALARS))).astype(np.float32)
    return Seen(images, scalars, np.arange(inputs, dtype=np.float64)), needed


@dataclass(frozen=True)
class Followed:
    """How an online filter went through a stretch: scores and thresholds as they were when each input came."""

    scores: Array
    thresholds: Array
    labelled: Array


def follow(online: OnlineFilter, seen: Seen, label: Callable[[Array], Array]) -> Followed:
    """Sends inputs through an online filter in their order, and labels what it asks for."""
    count = len(seen.captured_s)
    found = Followed(np.full(count, np.nan), np.empty(count), np.zeros(count, bool))
    offset, at = online.inputs, 0
    while at < count:
        if online.due(float(seen.captured_s[at])):
            numbers = online.ask()
            online.learn(label(numbers))
            found.labelled[(numbers - offset)[numbers >= offset]] = True
            continue
        online.begin(float(seen.captured_s[at]))
        stop = int(np.searchsorted(seen.captured_s, online.asks_at_s, side="left"))
        found.scores[at:stop] = online.take(seen.rows(slice(at, stop)))
        found.thresholds[at:stop] = online.threshold.value
        at = stop
    return found


@pytest.fixture(scope="module")
def scene() -> tuple[Seen, np.ndarray]:
    return draw(201)


@pytest.fixture(scope="module")
def learnt(scene) -> OnlineFilter:
    """One that went through the scene, labels picked by lot and by doubt."""
    online = OnlineFilter(Mixed(), SETTINGS)
    seen, needed = scene
    follow(online, seen, lambda numbers: needed[numbers])
    return online


@given(
    policy=st.sampled_from(POLICIES),
    scores=st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=80),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 9),
)
def test_what_is_picked_is_within_the_budget_and_has_a_probability(policy, scores, share, seed):
    random = np.random.default_rng(seed)
    picks = policy.pick(np.asarray(scores), threshold=0.5, share=share, random=random)
    assert (np.diff(picks.rows) > 0).all() and len(picks.rows) == len(picks.probabilities)
    assert ((picks.probabilities >= 0) & (picks.probabilities <= 1)).all()
    if isinstance(policy, Random | Active | Mixed):
        assert len(picks.rows) == round(share * len(scores))
    if policy.by_lot and len(picks.rows):
        assert (picks.probabilities > 0).all()


@given(
    policy=st.sampled_from(POLICIES),
    period_s=st.floats(0.1, 1e4),
    share=st.floats(0.01, 0.99),
    now_s=st.floats(0, 1e6),
)
def test_the_next_question_is_always_later(policy, period_s, share, now_s):
    spent = {"period_s": period_s, "share": share}
    first = policy.asks_at_s(now_s, **spent)
    assert first > now_s - 1e-6 * period_s
    assert policy.asks_at_s(first, **spent) > first or first == math.inf


def test_the_picks_by_lot_are_an_unbiased_sample():
    scores, values = np.linspace(0, 1, 40), np.arange(40.0)
    for policy in (Random(), Mixed()):
        random = np.random.default_rng(0)
        sums = []
        for _ in range(1500):
            picks = policy.pick(scores, threshold=0.5, share=0.25, random=random)
            sums.append(float((values[picks.rows] / picks.probabilities).sum()))
        assert np.mean(sums) == pytest.approx(values.sum(), rel=0.02)


def test_active_picks_what_it_is_least_sure_of_and_mixed_half_of_that():
    scores = np.linspace(0, 1, 101)
    random = np.random.default_rng(0)
    active = Active().pick(scores, threshold=0.3, share=0.1, random=random)
    assert np.abs(scores[active.rows] - 0.3).max() <= 0.051
    mixed = Mixed().pick(scores, threshold=0.3, share=0.1, random=random)
    assert (mixed.probabilities == 1.0).sum() == 5
    assert np.abs(scores[mixed.rows[mixed.probabilities == 1.0]] - 0.3).max() <= 0.031


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_every_policy_spends_the_same_budget_and_scores_before_it_learns(scene, policy):
    seen, needed = (scene[0].rows(slice(0, 81)), scene[1])
    online = OnlineFilter(Offline(8.0) if policy.name == "offline" else policy, QUICK)
    told = []

    def label(numbers):
        assert (numbers < online.inputs).all()
        told.extend(numbers)
        return needed[numbers]

    found = follow(online, seen, label)
    assert online.labelled == len(told) == len(set(told)) == found.labelled.sum()
    # The next period's first inputs are asked for when they are over.
    assert online.labelled == 8
    assert online.inputs == len(seen.captured_s)
    first = {"offline": 8, "periodic": 2}.get(policy.name, 20)
    assert np.isnan(found.scores[:first]).all() and not np.isnan(found.scores[first:]).any()


def test_the_same_seed_does_the_same_and_another_one_does_not(scene):
    seen, needed = (scene[0].rows(slice(0, 81)), scene[1])
    first, again, other = (OnlineFilter(Mixed(), replace(QUICK, seed=seed)) for seed in (1, 1, 2))
    found = [follow(online, seen, lambda numbers: needed[numbers]) for online in (first, again, other)]
    assert np.array_equal(found[0].scores, found[1].scores, equal_nan=True)
    assert not np.array_equal(found[0].labelled, found[2].labelled)
    for one, two in zip(first.network.parameters(), again.network.parameters(), strict=True):
        assert np.array_equal(one.detach().numpy(), two.detach().numpy())


def test_it_learns_what_the_camera_turns_to_and_does_not_forget(scene, learnt, tmp_path):
    seen, needed = scene
    save_online(tmp_path / "state.pt", learnt)
    online = load_online(tmp_path / "state.pt")
    later, needed_later = draw(150, seed=5, bright=True)
    later = Seen(later.images, later.scalars, later.captured_s + 201)
    found = follow(online, later, lambda numbers: np.append(needed, needed_later)[numbers])
    assert ((found.scores > 0.5) == (needed_later > 0.5))[100:].mean() > 0.85
    known = online.network.scores(seen.images[100:], seen.scalars[100:]) > 0.5
    assert (known == (needed[100:] > 0.5)).mean() > 0.85


def test_saved_and_resumed_it_goes_on_as_if_it_had_not_stopped(tmp_path):
    seen, needed = draw(80, seed=3)
    whole = OnlineFilter(Mixed(), QUICK)
    follow(whole, seen.rows(slice(0, 40)), lambda numbers: needed[numbers])
    whole.learn(needed[whole.ask()])
    save_online(tmp_path / "state.pt", whole)
    resumed = load_online(tmp_path / "state.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    rest = seen.rows(slice(40, 80))
    expected, found = (follow(online, rest, lambda numbers: needed[numbers]) for online in (whole, resumed))
    assert np.array_equal(expected.scores, found.scores) and np.array_equal(expected.labelled, found.labelled)
    assert np.array_equal(expected.thresholds, found.thresholds)
    assert resumed.threshold.level == whole.threshold.level and resumed.labelled == whole.labelled


def test_what_is_no_state_is_refused(tmp_path):
    path = tmp_path / "state.pt"
    with pytest.raises(InvalidInput, match="holds no online filter"):
        load_online(path)
    for content in (b"", b"something else", b"PK"):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="give a file that save_online wrote"):
            load_online(path)


def test_a_device_gets_it_as_an_ordinary_filter(tmp_path, scene, learnt):
    seen, _ = scene
    path = tmp_path / "filter.onnx"
    spec = write_online(path, learnt, rule=parse_rule("value < 1"), models={"squares": "d0"})
    assert spec.threshold == learnt.threshold.value and spec.certificate.certified
    assert spec.certificate.upper_bound <= 0.2 and spec.level(0.8).rate > 0
    assert FilterRuntime(path).threshold == spec.threshold
    _, session = load_filter(path)
    channels = np.ascontiguousarray(seen.images[:20].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    scores = session.run(None, {"channels": channels, "scalars": seen.scalars[:20]})[0][:, 0]
    assert scores == pytest.approx(learnt.network.scores(seen.images[:20], seen.scalars[:20]), abs=1e-4)


def test_it_is_not_written_before_it_has_learnt_nor_without_an_answer(tmp_path, learnt):
    with pytest.raises(InvalidInput, match="learnt nothing yet"):
        write_online(tmp_path / "f.onnx", OnlineFilter(Random(), SETTINGS), rule=parse_rule("empty"), models={})
    with pytest.raises(InvalidInput, match="answering class"):
        write_online(tmp_path / "f.onnx", learnt, rule=parse_rule("label in (free)"), models={"traffic": ""})


def test_frame_by_frame_it_keeps_all_until_it_has_learnt_and_sees_what_training_sees():
    online = OnlineFilter(Random(), OnlineSettings(period_s=10.0, share=0.5, seed=0))
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (12, 120, 160, 3), np.uint8)
    decisions = []
    for i, frame in enumerate(frames):
        if online.due(float(i)):
            numbers = online.ask()
            assert len(numbers) == 5
            online.learn(np.asarray(numbers % 2, float))
        decisions.append(online.decide(frame, float(i)))
    assert all(decision.keep and math.isnan(decision.score) for decision in decisions[:10])
    assert not math.isnan(decisions[10].score) and decisions[10].threshold == CLOSED and decisions[10].keep


def test_labels_that_were_not_asked_for_are_refused(scene):
    seen, _ = scene
    online = OnlineFilter(Random(), SETTINGS)
    with pytest.raises(InvalidInput, match="none were asked for"):
        online.learn(np.ones(3))
    online.take(seen.rows(slice(0, 50)))
    assert len(online.ask()) == 10
    with pytest.raises(InvalidInput, match="give 10 values from 0"):
        online.learn(np.full(10, 2.0))
    with pytest.raises(InvalidInput, match="give 10 values from 0"):
        online.learn(np.ones(9))


@pytest.mark.parametrize(
    ("field", "value"),
    [("period_s", 0.0), ("share", 1.0), ("accuracy", 0.0), ("steps_per_label", 0.0), ("memory_examples", 1)],
)
def test_a_setting_that_makes_no_sense_is_named(field, value):
    with pytest.raises(InvalidInput, match=f"{field} must be"):
        OnlineSettings(**{field: value})
    with pytest.raises(InvalidInput, match="stretch_s must be above 0"):
        Offline(0.0)


@given(st.integers(2, 9), st.lists(st.booleans(), max_size=60), st.integers(0, 5))
def test_the_memory_is_bounded_balanced_and_holds_only_what_came(capacity, kinds, seed):
    random = np.random.default_rng(seed)
    memory = ReplayMemory(capacity)
    targets = np.asarray(kinds, np.float32)
    scalars = np.repeat(np.arange(len(kinds), dtype=np.float32)[:, None], len(SCALARS), axis=1)
    memory.add(Examples(np.zeros((len(kinds), SIDE, SIDE, CHANNELS), np.uint8), scalars, targets), random)
    assert len(memory) <= capacity
    held = memory.all()
    assert len(set(held.scalars[:, 0])) == len(memory)
    assert np.array_equal(held.targets, targets[held.scalars[:, 0].astype(int)])
    if len(memory):
        drawn = memory.draw((3, 5), random)
        assert len(drawn.targets) == 8
        if 0 < targets.sum() < len(targets):
            assert drawn.targets.sum() == 5


def test_every_example_is_as_likely_to_stay_in_the_memory():
    stayed = np.zeros(20)
    for seed in range(400):
        memory = ReplayMemory(8)
        scalars = np.repeat(np.arange(20, dtype=np.float32)[:, None], len(SCALARS), axis=1)
        images = np.zeros((20, SIDE, SIDE, CHANNELS), np.uint8)
        memory.add(Examples(images, scalars, np.ones(20, np.float32)), np.random.default_rng(seed))
        stayed[memory.all().scalars[:, 0].astype(int)] += 1
    assert stayed / 400 == pytest.approx(np.full(20, 4 / 20), abs=0.08)


def judged(labels: int, *, wrong: float = 0.0, probability: float = 0.1, seed: int = 0) -> Judged:
    """Labels whose scores tell needed from redundant but for a share that is `wrong`."""
    random = np.random.default_rng(seed)
    needed = (random.random(labels) < 0.5).astype(np.float64)
    swapped = random.random(labels) < wrong
    scores = np.where(swapped, 1.0 - needed, needed) * 0.8 + random.uniform(0, 0.2, labels)
    return Judged(scores, needed, np.full(labels, probability), round(labels / probability))


def with_probability(found: Judged, probability: float) -> Judged:
    return replace(found, probabilities=np.full(len(found.scores), probability))


def test_the_threshold_opens_as_far_as_the_labels_prove_and_no_further():
    few, many = (OnlineThreshold(0.1, by_lot=True) for _ in range(2))
    few.add(judged(10))
    many.add(judged(200))
    assert few.value == CLOSED and not few.certified
    assert many.certified and many.level.upper_bound <= 0.1 and many.level.rate == pytest.approx(0.5, abs=0.1)
    wider = [level for level in many.table(50) if level.threshold > many.value]
    assert all(level.upper_bound > 0.1 for level in wider)


def test_a_few_certain_labels_prove_nothing_and_many_do():
    for labels, proven in ((10, False), (60, True)):
        threshold = OnlineThreshold(0.1, by_lot=True)
        threshold.add(with_probability(replace(judged(labels), inputs=labels), 1.0))
        assert (threshold.value > CLOSED) == proven == provable(labels, 0, labels, target=0.1)


@given(st.integers(0, 200), st.integers(0, 100), st.integers(1, 500), st.floats(0.01, 0.5))
def test_what_is_provable_is_what_labels_without_a_loss_prove(certain, drawn, others, target):
    probabilities = np.concatenate([np.ones(certain), np.full(drawn, 0.1)])
    found = Judged(np.zeros(len(probabilities)), np.zeros(len(probabilities)), probabilities, certain + others)
    threshold = OnlineThreshold(target, by_lot=True)
    threshold.window.append(found)
    upper = threshold.at(0.0).upper_bound
    assert provable(certain, drawn, certain + others, target=upper * (1 + 1e-6) + 1e-9)
    assert not provable(certain, drawn, certain + others, target=upper * (1 - 1e-6) - 1e-9)


def test_what_contradicts_the_window_closes_the_threshold_until_there_is_new_proof():
    threshold = OnlineThreshold(0.1, by_lot=True)
    threshold.add(judged(200))
    assert threshold.value > CLOSED
    threshold.add(judged(20, wrong=1.0, seed=1))
    assert threshold.value == CLOSED and threshold.drifts == 1
    threshold.add(judged(200, seed=2))
    assert threshold.value > CLOSED


def test_least_sure_labels_prove_nothing_alone_and_count_as_they_are_beside_a_lot():
    alone = OnlineThreshold(0.1, by_lot=False)
    alone.add(with_probability(judged(300), 0.0))
    assert alone.value == CLOSED
    lot, known = judged(100), judged(50, wrong=1.0, seed=3)
    both = Judged(
        np.concatenate([lot.scores, known.scores]),
        np.concatenate([lot.needed, known.needed]),
        np.concatenate([np.full(100, 0.1), np.ones(50)]),
        1050,
    )
    threshold = OnlineThreshold(0.1, by_lot=True)
    threshold.add(both)
    level = threshold.at(0.5)
    lost = float(known.needed[known.scores <= 0.5].sum())
    assert level.error == pytest.approx(lost / 1050)


def test_the_bound_holds_as_often_as_it_says():
    """On a stream whose losses come in runs, over many lots."""
    random = np.random.default_rng(0)
    needed = np.repeat(random.random(200) < 0.3, 10).astype(np.float64)
    scores = np.clip(0.25 + 0.4 * needed + random.normal(0, 0.15, 2000), 0, 1)
    broken = 0
    for seed in range(100):
        picks = Mixed().pick(scores, threshold=0.4, share=0.1, random=np.random.default_rng(seed))
        threshold = OnlineThreshold(0.1, by_lot=True)
        threshold.add(Judged(scores[picks.rows], needed[picks.rows], picks.probabilities, 2000))
        broken += float((needed * (scores <= threshold.value)).mean()) > 0.1
    assert broken <= 0.05 * 100 + 6
