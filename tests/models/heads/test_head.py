from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.heads.guard import RING, Guard
from infilink.models.heads.head import Head
from infilink.models.heads.readout import Readout
from infilink.outputs import Array, OutputSpec

N, D = 160, 20
Says = Callable[[Array], Array]


def boxes(state: Array) -> Array:
    count = int(np.clip(np.rint(1.5 + state[0]), 0, 3))
    rows = [(0.1 + 0.2 * i, 0.1, 0.2 + 0.2 * i, 0.3, 0.9, 0) for i in range(count)]
    rows += [(0.7, 0.7, 0.9, 0.9, 0.8, 1)] if state[1] > 0 else []
    return np.asarray(rows, np.float32).reshape(-1, 6)


def softmax(x: Array) -> Array:
    return np.asarray(np.exp(x) / np.exp(x).sum(), np.float32)


KINDS: dict[str, tuple[OutputSpec, Says, float]] = {
    "label": (OutputSpec(kind="label", classes=("a", "b", "c")), lambda s: softmax(2 * s[:3]), 0.8),
    "multilabel": (
        OutputSpec(kind="multilabel", classes=("a", "b")),
        lambda s: np.asarray(1 / (1 + np.exp(-3 * s[:2])), np.float32),
        0.85,
    ),
    "count": (OutputSpec(kind="count"), lambda s: np.asarray([max(np.rint(2 + s[0]), 0)], np.float32), 0.7),
    "scalar": (OutputSpec(kind="scalar", tolerance=2.0), lambda s: s[:1].astype(np.float32), 0.8),
    "vector": (OutputSpec(kind="vector", length=4), lambda s: s[:4].astype(np.float32), 0.9),
    "boxes": (OutputSpec(kind="boxes", classes=("car", "bus"), measure="counts"), boxes, 0.75),
    "placed": (OutputSpec(kind="boxes", classes=("car", "bus")), boxes, 0.6),
    "mask": (
        OutputSpec(kind="mask"),
        lambda s: np.kron(s[:4].reshape(2, 2) > 0, np.ones((16, 24))).astype(np.float32),
        0.6,
    ),
}


def samples(says: Says, seed: int = 0, n: int = N) -> tuple[Array, list[Array]]:
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(n, 4))
    mixed = states @ np.random.default_rng(9).normal(size=(4, D)) + 0.2 * rng.normal(size=(n, D))
    return mixed.astype(np.float32), [says(state) for state in states]


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_every_kind_are_read_off_the_features(kind: str) -> None:
    output, says, least = KINDS[kind]
    head = Head.fit(*samples(says), output)
    features, exact = samples(says, seed=1)
    values, confidence, doubt = head.answer(features)
    agreed = np.asarray([output.agreement(output.check(a), b) for a, b in zip(values, exact, strict=True)])
    assert agreed.mean() > least
    assert abs(confidence.mean() - agreed.mean()) < 0.12
    surest = np.argsort(-confidence)[: N // 2]
    assert agreed[surest].mean() >= agreed.mean() - 0.02
    assert doubt.shape == (N,)
    np.testing.assert_allclose(head.readout.agreements(head.numbers(features), exact), agreed, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_never_changes_is_said_again(kind: str) -> None:
    output, says, _ = KINDS[kind]
    features, exact = samples(says, n=30)
    head = Head.fit(features, [exact[0]] * 30, output)
    values, confidence, _ = head.answer(features[:2])
    if kind != "placed":
        assert output.agreement(values[0], exact[0]) > 0.99
        assert confidence[0] > 0.9
    head.update(features[0], exact[1])


def test_tokens_have_no_head() -> None:
    output = OutputSpec(kind="tokens", length=9)
    with pytest.raises(InvalidInput, match="tokens has no head"):
        Head.fit(np.zeros((4, D)), [np.zeros(2, np.int64)] * 4, output)


def test_heads_of_the_same_inputs_share_a_map_and_an_update_is_each_ones_own() -> None:
    label, count = KINDS["label"], KINDS["count"]
    features, labels = samples(label[1])
    heads = Head.fit_all(features, {"a": labels, "b": samples(count[1])[1]}, {"a": label[0], "b": count[0]})
    assert heads["a"].linear is heads["b"].linear
    before = heads["b"].numbers(features)
    heads["a"].update(features[0], labels[1])
    assert (heads["b"].numbers(features) == before).all()
    alone = Head.fit(features, labels, label[0])
    assert np.mean([a.argmax() == b.argmax() for a, b in zip(alone.predict(features), labels, strict=True)]) > 0.8


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 99))
def test_a_readout_that_was_saved_says_the_same(kind: str, seed: int) -> None:
    output, says, _ = KINDS[kind]
    features, exact = samples(says, seed, n=25)
    head = Head.fit(features, exact, output)
    again = Readout.from_arrays(*head.readout.as_arrays("r"), "r")
    numbers, doubt = head.numbers(features), head.linear.doubt(features)
    assert (again.confidence(numbers, doubt) == head.readout.confidence(numbers, doubt)).all()
    for a, b in zip(again.outputs(numbers), head.readout.outputs(numbers), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize(("name", "value"), [("r.noise", np.zeros(1)), ("r.curve", np.full(4, np.inf))])
def test_a_damaged_readout_is_refused(name: str, value: Array) -> None:
    output, says, _ = KINDS["label"]
    plain, arrays = Head.fit(*samples(says), output).readout.as_arrays("r")
    with pytest.raises(InvalidInput, match="damaged"):
        Readout.from_arrays(plain, {**arrays, name: value}, "r")
    with pytest.raises(InvalidInput, match="damaged"):
        Readout.from_arrays({"output": plain["output"]}, arrays, "r")


def test_what_learns_is_given_up_when_it_is_worse() -> None:
    guard = Guard()
    verdicts = [guard.saw(1.0, float(i % 3 == 0), 0.9) for i in range(12)]
    assert not Guard(np.asarray([[1.0, 0.0, 0.9]])).learning_serves
    assert "worse" in verdicts
    assert guard.learning_serves == (guard.agreed[:, 1].sum() >= guard.agreed[:, 0].sum())


def test_what_learns_takes_over_when_it_is_better() -> None:
    guard = Guard()
    verdicts = [guard.saw(float(i % 2), 1.0, 0.9) for i in range(12)]
    assert "better" in verdicts
    assert guard.learning_serves


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=100))
def test_what_serves_is_never_the_worse_on_the_last_outputs(pairs: list[tuple[float, float, float]]) -> None:
    guard = Guard()
    for kept, learning, confidence in pairs:
        guard.saw(kept, learning, confidence)
    assert len(guard.agreed) <= RING
    assert guard.served.sum() >= guard.agreed[:, 0].sum()
    assert np.isfinite(guard.shift)


def test_confidence_follows_what_really_happens() -> None:
    guard = Guard()
    for _ in range(RING):
        guard.saw(0.5, 0.5, 0.9)
    assert guard.shift < -1.0
    assert Guard().shift == 0.0
