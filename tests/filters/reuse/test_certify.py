"""The cache over recorded inputs, the gates that are tried on it, and what stands beside it."""

import numpy as np
import pytest
from infilink.errors import InvalidInput, NotCertified
from infilink.filters.reuse.cache import ResultCache
from infilink.filters.reuse.certify import (
    Stretch,
    best_rate,
    certify_gates,
    gates_of,
    run_cache,
    skip_threshold,
    sweep_gates,
)
from infilink.filters.reuse.evaluate import measure_competitors
from infilink.outputs import OutputSpec

LABEL = OutputSpec(kind="label", classes=("a", "b", "c", "d"))


def make(gate: float, theta: float) -> ResultCache:
    return ResultCache(LABEL, dims=2, version="v", gate=gate, theta=theta)


def stretch_of(*, inputs: int = 300, spread: float = 0.1, seed: int = 0, skipped: float = 0.0) -> Stretch:
    """Four groups, one per label, 10 apart."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, inputs)
    centres = 10.0 * np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]])
    embeddings = (centres[labels] + random.normal(0, spread, (inputs, 2))).astype(np.float32)
    outputs = [np.eye(4, dtype=np.float32)[label] for label in labels]
    return Stretch(
        LABEL, embeddings, outputs, np.arange(inputs, dtype=float), random.random(inputs) < skipped, np.zeros(inputs)
    )


def test_what_is_not_found_is_executed_and_then_found():
    stretch = stretch_of()
    kept, losses = run_cache(make(5.0, 0.5), stretch)
    assert kept.sum() == 4 and losses.sum() == 0
    kept, losses = run_cache(make(0.0, 0.5), stretch)
    assert kept.all() and losses.sum() == 0
    kept, losses = run_cache(make(100.0, 0.0), stretch)
    assert kept.sum() == 1 and losses.mean() > 0.6


def test_what_is_skipped_does_not_reach_the_cache():
    stretch = stretch_of(skipped=0.5)
    cache = make(0.0, 0.5)
    kept, _ = run_cache(cache, stretch)
    assert (kept == ~stretch.skipped).all() and len(cache) == kept.sum()


def test_gates_start_at_none_and_do_not_look_at_results():
    gates = gates_of(stretch_of().embeddings, most=3.0)
    assert gates[0] == 0 and gates[-1] == 3.0 and (np.diff(gates) > 0).all()


def test_a_sweep_ends_where_nothing_can_be_certified_any_more():
    stretch = stretch_of()
    gates = np.asarray([0.0, 1.0, 5.0, 50.0, 60.0, 70.0])
    found = sweep_gates("s", make, stretch, gates=gates, theta=0.0, target=0.1)
    assert found.thresholds.tolist() == [0.0, 1.0, 5.0, 50.0]
    rate, accuracy = best_rate(found, 0.1)
    assert rate == pytest.approx(296 / 300) and accuracy == 1.0


def test_what_is_certified_keeps_the_accuracy():
    found = certify_gates(stretch_of(inputs=120), make, accuracy=0.9, most=8.0)
    assert found.choice.certificate.certified and found.choice.certificate.rate > 0.9
    assert 0.2 < found.gate <= 8.0 and not found.skips


def test_what_can_not_be_certified_is_refused_with_numbers():
    with pytest.raises(InvalidInput, match=r"no reuse .*accuracy of 0.99.*60 .*record more"):
        certify_gates(stretch_of(inputs=60), make, accuracy=0.99, most=8.0)
    with pytest.raises(InvalidInput, match="100 calibration inputs"):
        certify_gates(stretch_of(inputs=100, spread=30.0), make, accuracy=0.97, most=60.0)


def test_what_is_not_certified_is_there_for_those_who_ask():
    stretch = stretch_of(inputs=60)
    with pytest.raises(NotCertified, match=r"--uncertified"):
        certify_gates(stretch, make, accuracy=0.97, most=8.0)
    found = certify_gates(stretch, make, accuracy=0.97, most=8.0, uncertified=True)
    assert not found.choice.certificate.certified and found.choice.certificate.rate > 0.5


def test_the_score_up_to_which_is_skipped():
    scores, needed = np.asarray([0.1, 0.2, 0.3, 0.4]), np.asarray([0.0, 0.0, 1.0, 0.0])
    assert skip_threshold(scores, needed, allowed=0.1, most=0.9) == 0.2
    assert skip_threshold(scores, needed, allowed=0.5, most=0.9) == 0.4
    assert skip_threshold(scores, needed, allowed=0.5, most=0.3) == 0.3
    assert skip_threshold(scores, needed, allowed=0.5, most=0.0) is None


def test_the_free_ways_are_measured_on_the_same_inputs():
    stretch = stretch_of(inputs=100)
    labels = np.asarray([int(np.argmax(output)) for output in stretch.outputs])
    found = measure_competitors(
        stretch,
        raw=stretch.embeddings,
        make_raw=make,
        theta=0.0,
        majority=np.eye(4)[0],
        keys=labels,
        accuracy=0.9,
        seed=0,
    )
    assert set(found) == {"majority", "last value", "random", "nearest raw input", "oracle"}
    assert all(each.accuracy >= 0.9 - 1e-9 for each in found.values())
    share = float((labels == 0).mean())
    assert found["majority"].rate == pytest.approx(0.1 / (1 - share))
    assert found["last value"].rate == 0.0 and found["random"].rate < 0.25
    assert found["nearest raw input"].rate > 0.95 and found["oracle"].rate == 1.0


def test_holding_the_last_value_is_strong_where_little_changes():
    inputs = 200
    stretch = Stretch(
        LABEL,
        np.zeros((inputs, 2), np.float32),
        [np.eye(4)[i // 50] for i in range(inputs)],
        np.arange(inputs),
        np.zeros(inputs, bool),
        np.zeros(inputs),
    )
    found = measure_competitors(
        stretch,
        raw=np.zeros((inputs, 2), np.float32),
        make_raw=make,
        theta=0.0,
        majority=np.eye(4)[0],
        keys=np.arange(inputs) // 50,
        accuracy=0.9,
        seed=0,
    )
    assert found["last value"].rate > 0.85
