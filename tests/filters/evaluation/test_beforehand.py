"""What a filter would have lost on a stream on which another one decided, against what it truly would have lost."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.evaluation.beforehand import Came, estimate
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.modalities.image import Image
from infilink.outputs import OutputSpec

from ..made import write_frames, write_mean

BRIGHT = {"bright": OutputSpec(kind="scalar")}
EVERY = 20
"""The audit draws one of so many."""


def brightness(seed: int, inputs: int = 12_000) -> np.ndarray:
    """Scenes of some thirty inputs: three in five are dark, and nothing in them is needed."""
    random = np.random.default_rng(seed)
    scenes = np.repeat(random.choice([50, 50, 50, 150, 220], inputs // 30 + 1), 30)
    return scenes[:inputs] + random.integers(0, 5, inputs)


def through(levels: np.ndarray, *, kept_from: int, seed: int, pictures: bool = True) -> Iterator[Came]:
    """What comes through of a stream where a gate keeps what is so bright, and the audit draws of the rest."""
    drawn = np.random.default_rng(seed).integers(0, EVERY, len(levels) // EVERY + 1)
    missing = 0
    for i, level in enumerate(levels.tolist()):
        kept = level >= kept_from
        audited = not kept and drawn[i // EVERY] == i % EVERY
        if not kept and not audited:
            missing += 1
            continue
        frame = np.full((16, 16, 3), level, np.uint8) if pictures else None
        exact = {"bright": np.asarray([level], np.float32)}
        yield Came("1", missing, i / 10, audited, frame, exact)
        missing = 0


def a_gate(folder: Path, threshold: float, **changes: object) -> FilterRuntime:
    """A filter that keeps what is brighter than that; needed is what is brighter than 120."""
    given = {"rule": "value <= 120", "models": {"bright": "d"}, "threshold": threshold, **changes}
    return FilterRuntime(write_mean(folder / "mean.onnx", Image(), **given))


@pytest.mark.parametrize(("threshold", "kept_from"), [(100.0, 200), (180.0, 200), (180.0, 130), (250.0, 200)])
def test_what_it_would_have_lost_and_sent_is_estimated_from_what_another_one_chose(
    tmp_path: Path, threshold: float, kept_from: int
) -> None:
    levels = brightness(seed=1)
    found = estimate(a_gate(tmp_path, threshold), through(levels, kept_from=kept_from, seed=2), BRIGHT)
    lost = (levels > 120) & (levels <= threshold)
    assert found.inputs > 0.95 * len(levels) and found.blocks > 30
    assert found.agreement == pytest.approx(1.0 - lost.mean(), abs=0.05)
    assert found.sent == pytest.approx((levels > threshold).mean(), abs=0.05)
    assert found.interval[0] <= 1.0 - lost.mean() <= found.interval[1]
    # The plain mean of what came through says something else.
    plain = [
        (each.exact["bright"][0] > 120, each.exact["bright"][0] > threshold)
        for each in through(levels, kept_from=kept_from, seed=2)
    ]
    assert abs(np.mean([keeps for _, keeps in plain]) - (levels > threshold).mean()) > 0.1 or threshold == 250.0


def test_its_interval_holds_what_is_true(tmp_path: Path) -> None:
    gate, levels = a_gate(tmp_path, 180.0), brightness(seed=3, inputs=4_000)
    truth = 1.0 - ((levels > 120) & (levels <= 180)).mean()
    held = [
        low <= truth <= high
        for low, high in (
            estimate(gate, through(levels, kept_from=200, seed=seed), BRIGHT).interval for seed in range(12)
        )
    ]
    assert sum(held) >= 11


def test_what_compares_with_inputs_before_is_tried_only_where_next_to_none_is_missing(tmp_path: Path) -> None:
    gate = FilterRuntime(
        write_frames(tmp_path / "frames.onnx", rule="value <= 120", models={"bright": "d"}, threshold=0.7)
    )
    levels = brightness(seed=4, inputs=1_000)
    with pytest.raises(InvalidInput, match="only the live audit can tell"):
        estimate(gate, through(levels, kept_from=200, seed=0), BRIGHT)
    some = [each for i, each in enumerate(through(levels, kept_from=0, seed=0)) if i % 10]
    with pytest.raises(InvalidInput, match="only the live audit can tell"):
        estimate(gate, [replace(each, missing=i % 9 == 0) for i, each in enumerate(some)], BRIGHT)
    # Some are lost on the way now and then.
    few = [replace(each, missing=i % 100 == 50) for i, each in enumerate(through(levels, kept_from=0, seed=0))]
    assert estimate(gate, few, BRIGHT).inputs == 1_000
    whole = estimate(gate, through(levels, kept_from=0, seed=0), BRIGHT)
    assert (whole.inputs, whole.audited) == (1_000, 0)
    lost = (levels > 120) & (levels <= 0.7 * 255)
    assert whole.agreement == pytest.approx(1.0 - lost.mean(), abs=0.01)
    assert whole.sent == pytest.approx((levels > 0.7 * 255).mean(), abs=0.01)


def test_what_is_too_little_is_said(tmp_path: Path) -> None:
    gate = a_gate(tmp_path, 100.0)
    for came in (
        through(brightness(5, inputs=150), kept_from=200, seed=0),
        through(brightness(5), kept_from=200, seed=0, pictures=False),
        iter(()),
    ):
        with pytest.raises(InvalidInput, match="too little of it is kept to tell"):
            estimate(gate, came, BRIGHT)
    times = iter([False] * 40 + [True] * 10_000)
    with pytest.raises(InvalidInput, match="too little"):
        estimate(gate, through(brightness(5), kept_from=200, seed=0), BRIGHT, out_of_time=lambda: next(times))
