"""Which inputs the free gates keep: as many as the models can run on within the budgets."""

import numpy as np
import pytest
from infilink.examples.demo.policies import Gate, kept_by

from .sites import INPUTS, small_site


@pytest.mark.parametrize("gate", ["every", "random", "difference"])
def test_a_free_gate_keeps_what_the_compute_is_enough_for(gate: Gate) -> None:
    site = small_site(compute_share=0.25)
    kept = kept_by(gate, site, 0)
    # Each camera's first input is kept whatever the gate says, and differences come as they come.
    assert 0 < sum(each.sum() for each in kept.values()) <= 0.25 * 2 * INPUTS + 5
    assert all(each[0] for each in kept.values())


def test_with_memory_for_half_of_the_models_more_are_kept() -> None:
    whole, half = (kept_by("every", small_site(compute_share=0.25, budget_bytes=size), 0) for size in (20, 10))
    count, more = (sum(int(each.sum()) for each in kept.values()) for kept in (whole, half))
    assert more > 1.5 * count


def test_all_and_the_filters_own() -> None:
    site = small_site()
    assert all(each.all() for each in kept_by("all", site, 0).values())
    assert np.array_equal(kept_by("filter", site, 0)["door"], site.cameras["door"].kept)
