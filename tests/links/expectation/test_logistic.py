import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.links.expectation.logistic import fit_logistic, probability


@given(sure=st.floats(2.0, 6.2), right=st.floats(0.05, 0.95), cases=st.integers(20, 400))
def test_cases_that_are_nearly_all_sure_are_told_as_often_as_they_are_right(
    sure: float, right: float, cases: int
) -> None:
    # A plain Newton step goes from one end to the other and back there.
    read = np.stack([np.full(cases, sure), np.ones(cases)], axis=1)
    read[: max(1, cases // 20), 0] -= 1.0
    agreements = (np.arange(cases) < right * cases).astype(float)
    weights = fit_logistic(read, agreements, np.asarray([0.5, -1.0]), pull=1.0)
    assert abs(float(probability(read @ weights).mean()) - float(agreements.mean())) < 0.1
