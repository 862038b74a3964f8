"""The free policies, replayed: they keep to the budgets, and what they answer is what was last run."""

import numpy as np
import pytest
from infilink.examples.demo.policies import FREE, FULL, POLICIES, Policy
from infilink.examples.demo.replaying import HEADER_BYTES, serve, until
from infilink.examples.demo.score import compare
from infilink.examples.demo.served import ORIGINS

from .sites import INPUTS, small_site

HINDSIGHT = next(policy for policy in POLICIES if policy.name == "hindsight")


@pytest.mark.parametrize("policy", [*FREE, HINDSIGHT], ids=lambda policy: policy.name)
@pytest.mark.parametrize("budget_bytes", [10, 20])
def test_compute_is_kept(policy: Policy, budget_bytes: int) -> None:
    site = small_site(compute_share=0.25, budget_bytes=budget_bytes)
    served = serve(policy, site, seed=0)
    # What two seconds bring is there at the beginning.
    assert sum(served.cpu_s.values()) <= site.compute_cores * (site.seconds + 2.0) + 1e-9
    assert sum(served.executions.values()) > 0


@pytest.mark.parametrize("policy", FREE, ids=lambda policy: policy.name)
def test_what_did_not_run_is_the_last_output(policy: Policy) -> None:
    site = small_site()
    served = serve(policy, site, seed=0)
    for name, stream in served.streams.items():
        for place, model in enumerate(site.specs):
            last = None
            for row, value in enumerate(stream.values[model]):
                if ORIGINS[stream.origin[place, row]] == "executed":
                    last = site.cameras[name].outputs[model][row]
                if last is not None:
                    assert np.array_equal(value, last)


def test_only_what_is_kept_is_sent() -> None:
    site = small_site()
    for policy in FREE:
        for stream in serve(policy, site, seed=0).streams.values():
            assert stream.sent_bytes.tolist() == [(1000 + HEADER_BYTES) * kept for kept in stream.kept]


def test_the_full_run_agrees_with_itself() -> None:
    site = small_site()
    score = compare(serve(FULL, site, seed=0), site).score
    assert score.agreement == 1.0 and score.executions == 2 * 2 * INPUTS and score.cpu_share == pytest.approx(1.0)
    assert score.events_found == score.events > 0 and score.false_minutes == 0.0


def test_a_part_of_a_run_is_scored_by_itself() -> None:
    site = small_site()
    part = until(serve(FREE[0], site, seed=0), 2.0, site)
    assert {len(each.kept) for each in part.streams.values()} == {8}
    assert compare(part, site).score.inputs == 16
