import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.links.table import ASSUMED_HELD
from infilink.links.training.expect import held_by_age
from infilink.links.training.measure import TargetCases, usual_held
from infilink.links.training.samples import Samples
from infilink.models.spec import parse_spec


@given(st.floats(0.0, 1.0))
def test_holding_is_taken_to_be_no_worse_than_a_constant_that_is_nearly_always_right(constant: float) -> None:
    usual = usual_held(constant, ASSUMED_HELD)
    assert usual == sorted(usual, reverse=True)
    assert all(each >= assumed for each, assumed in zip(usual, ASSUMED_HELD, strict=True))
    assert usual[-1] == pytest.approx(max(ASSUMED_HELD[-1], 2.0 * constant - 1.0))


@pytest.mark.parametrize("beside_others", [False, True])
def test_what_never_changed_is_taken_to_hold_at_any_age(beside_others: bool) -> None:
    inputs = 112
    rng = np.random.default_rng(0)
    names = ("still", "busy")
    models = {name: parse_spec({"name": name, "output": {"kind": "count"}}, where="the test") for name in names}
    busy, still = rng.integers(0, 5, inputs).astype(np.float32), np.ones(inputs, np.float32)
    outputs = {"still": [np.asarray([each]) for each in still], "busy": [np.asarray([each]) for each in busy]}
    samples = Samples.of(models, np.arange(inputs) * 0.2, outputs)
    elsewhere = TargetCases.of(samples, "busy", seed=0).free if beside_others else None
    cases = TargetCases.of(samples, "still", seed=0, beside=elsewhere)
    assert cases.free.constant.validation > 0.95
    assert all(cell.validation > 0.9 for cell in cases.free.held)
    learnt = held_by_age(cases.judge, samples.blocks.learnt, cases.free.constant.validation)
    assert (learnt > 0.9).all()
