"""What outputs state, read off a trace."""

import numpy as np
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.losses import Losses

RULE = parse_rule("value < 1")


def test_the_trace_states_what_is_needed(trace):
    losses = Losses(trace, ("squares",), RULE)
    assert list(losses.truth) == ["value < 1"]
    assert np.array_equal(losses.truth["value < 1"], losses.needed[0] > 0)


def test_skipped_inputs_state_nothing(trace):
    losses = Losses(trace, ("squares",), RULE)
    outputs = [None if i % 2 else output for i, output in enumerate(trace.outputs("squares"))]
    expected = losses.truth["value < 1"].copy()
    expected[1::2] = False
    assert np.array_equal(losses.states({"squares": outputs})["value < 1"], expected)
