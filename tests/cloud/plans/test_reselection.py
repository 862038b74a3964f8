"""Which models a profile reaches, and which residents they displace."""

from types import SimpleNamespace

import numpy as np
import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.plans.reselection import Reselection, Sample
from infilink.links.planning.plan import Plan
from infilink.models.cost import ModelCost

SIZES = {"a": 4, "b": 4, "c": 2, "large": 9, "huge": 99}
FRAME = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def reselection(tmp_path):
    graph = SimpleNamespace(models=dict.fromkeys(SIZES), tables={})
    config = CloudConfig(models=tmp_path, profile=1.0)
    made = Reselection(config, graph, {name: ModelCost(size, 0.01, 0.1) for name, size in SIZES.items()}, 10)
    yield made
    made.close()


def plan(*resident: str) -> Plan:
    return Plan(10, 0, resident)


def sample(index: int = 0) -> Sample:
    return Sample(SimpleNamespace(), float(index), FRAME, {})


def test_what_fits_beside_the_residents_runs_at_once(reselection):
    assert reselection.profile(plan("a", "b")) == ("c",)
    assert reselection.profile(plan("a")) == ("b", "c")
    assert reselection.profiled == 2


def test_for_what_does_not_fit_the_fewest_residents_are_displaced(reselection):
    assert reselection.absent(plan("a", "b")) == ("large",)
    assert reselection.displaced(plan("a", "b", "c")) == ("a", "b", "c")
    assert reselection.displaced(plan("c")) == ("c",)
    assert reselection.absent(plan()) == () and reselection.displaced(plan()) == ()


def test_what_the_budget_never_holds_is_left_alone(reselection):
    assert "huge" not in reselection.absent(plan("a", "b")) + reselection.profile(plan("a"))


def test_inputs_wait_for_absent_models_up_to_a_bound(reselection):
    for index in range(40):
        reselection.observe(sample(index), plan("a", "b"), profiled=True)
    waiting = reselection.waiting()
    assert [each.captured_s for each in waiting] == list(map(float, range(24, 40)))
    assert reselection.waiting(at_least=1) == ()


def test_few_are_waited_for_only_at_the_end_of_a_period(reselection):
    reselection.observe(sample(), plan("a", "b"), profiled=True)
    assert reselection.waiting() == () and len(reselection.waiting(at_least=1)) == 1
