import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.links.answer import Answer
from infilink.links.escalation import Escalation
from infilink.models.cost import ModelCost

COSTS = {"a": ModelCost(1, 0.01, 0.1), "b": ModelCost(1, 0.05, 0.1)}
VALUE = np.zeros(1, np.float32)


def answer(confidence: float, origin="linked") -> Answer:
    return Answer(VALUE, confidence, origin)


def saved(escalation: Escalation, answers=None) -> Escalation:
    """After a long time without anything to do."""
    escalation.choose({}, 0.0, left_s=None)
    escalation.choose({}, 1e6, left_s=None)
    return escalation


def test_what_ran_or_is_unknown_is_left_alone() -> None:
    one = saved(Escalation(COSTS, 0.1))
    assert one.choose({"a": answer(1.0, "executed"), "c": answer(0.0)}, 1e6, left_s=None) == ()


def test_what_gains_most_for_its_time_comes_first() -> None:
    one = saved(Escalation(COSTS, 0.1))
    assert one.choose({"b": answer(0.1), "a": answer(0.3)}, 1e6, left_s=None) == ("a", "b")


def test_a_deadline_is_kept() -> None:
    one = saved(Escalation(COSTS, 0.1))
    assert one.choose({"a": answer(0.1), "b": answer(0.1)}, 1e6, left_s=0.13) == ("a",)
    assert one.choose({"a": answer(0.1), "b": answer(0.1)}, 1e6, left_s=0.05) == ()
    assert one.choose({"a": answer(0.1)}, 1e6, left_s=0.05, loaded=frozenset({"a"})) == ("a",)


def test_without_a_share_nothing_is_spent() -> None:
    one = saved(Escalation(COSTS, 0.0))
    assert one.choose({"a": answer(0.0)}, 2e6, left_s=None) == ()


@given(st.floats(0.0, 0.5), st.floats(0.01, 1.0), st.integers(0, 99))
def test_no_more_than_the_share_is_spent_on_average(share, step_s, seed) -> None:
    random, one, spent = np.random.default_rng(seed), Escalation(COSTS, share), 0.0
    for index in range(300):
        answers = {name: answer(float(random.random())) for name in COSTS}
        for name in one.choose(answers, index * step_s, left_s=None):
            spent += COSTS[name].infer_s + COSTS[name].load_s
    assert spent <= share * 300 * step_s + 1e-9


def test_time_goes_to_the_least_sure_answers() -> None:
    random, one = np.random.default_rng(0), Escalation(COSTS, 0.02)
    confidences, chosen = random.random(4000), []
    for index, confidence in enumerate(confidences):
        chosen.append(bool(one.choose({"a": answer(float(confidence))}, index * 0.5, left_s=None)))
    assert np.mean(chosen) == pytest.approx(0.02 * 0.5 / 0.11, rel=0.1)
    assert confidences[chosen].mean() < 0.25 < confidences.mean()
