"""Rules that the user wrote in Python, and what theory says of rules."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import parse_rule
from infilink.filters.rules.predicates import FunctionRule
from infilink.filters.rules.theory import CONFIDENCE, REGRESSION, SUBSET, UNKNOWN
from infilink.filters.training.train import train_filter
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.py"
    path.write_text(
        "import numpy as np\n"
        "def odd(output):\n    return bool(round(float(output[0])) % 2)\n"
        "def odd_numpy(output):\n    return np.bool_(odd(output))\n"
        "def broken(output):\n    return output[9]\n"
        "def vague(output):\n    return 0.5\n"
        "number = 3\n"
    )
    return path


def test_a_function_judges_outputs(rules):
    for name in ("odd", "odd_numpy"):
        rule = parse_rule(f"call({rules}:{name})")
        assert rule == FunctionRule(str(rules), name)
        rule.check(COUNT)
        assert rule.redundant(np.asarray([3.0]), COUNT) and not rule.redundant(np.asarray([2.0]), COUNT)


@pytest.mark.parametrize(
    ("name", "says"), [("broken", "failed on"), ("vague", "must return True"), ("number", "no function 'number'")]
)
def test_a_function_that_is_wrong_is_told(rules, name, says):
    with pytest.raises(InvalidInput, match=says):
        FunctionRule(str(rules), name).redundant(np.asarray([1.0]), COUNT)


def test_a_file_that_is_not_there_is_told_when_it_is_needed(tmp_path):
    rule = parse_rule(f"call({tmp_path}/none.py:odd)")  # a device reads the text alone
    with pytest.raises(InvalidInput, match="there is no Python file"):
        rule.check(COUNT)


def test_a_filter_can_be_learnt_for_it(tmp_path, trace):
    (tmp_path / "mine.py").write_text("def none(output):\n    return bool(output[0] < 1)\n")
    rule = parse_rule(f"call({tmp_path}/mine.py:none) or value < 0")
    out = tmp_path / "f.onnx"
    done = train_filter(
        trace,
        models=["squares"],
        rule=rule,
        accuracy=0.7,
        out=out,
        candidates=["background", "age"],
        uncertified=True,
    )
    assert done.redundant == pytest.approx(np.mean([output[0] < 1 for output in trace.outputs("squares")]))


@pytest.mark.parametrize(
    ("text", "theory"),
    [
        ("confidence < 0.9", CONFIDENCE),
        ("label in (a)", SUBSET),
        ("label not in (a)", SUBSET),
        ("count() == 0", REGRESSION),
        ("value <= 2", REGRESSION),
        ("empty", REGRESSION),
        ("empty or confidence < 0.5", CONFIDENCE),
        ("label in (a) and empty", REGRESSION),
        ("call(a.py:b) or empty", UNKNOWN),
        ("unchanged", UNKNOWN),
        ("unchanged within iou 0.5", UNKNOWN),
    ],
)
def test_every_rule_knows_its_case(text, theory):
    assert parse_rule(text).theory == theory
