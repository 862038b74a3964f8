"""Rules that the user wrote in Python, and what theory says of rules."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.rules.code import FunctionRule, digests_in, runs, with_files
from infilink.filters.rules.parser import parse_rule
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
        rule = parse_rule(f"call({rules}:{name})", typed=True)
        assert rule == FunctionRule(str(rules), name)
        rule.check(COUNT)
        assert rule.redundant(np.asarray([3.0]), COUNT) and not rule.redundant(np.asarray([2.0]), COUNT)


@pytest.mark.parametrize(
    ("name", "says"), [("broken", "failed on"), ("vague", "must return True"), ("number", "no function 'number'")]
)
def test_a_function_that_is_wrong_is_told(rules, name, says):
    with pytest.raises(InvalidInput, match=says):
        FunctionRule(str(rules), name, rules).redundant(np.asarray([1.0]), COUNT)


def test_a_file_that_is_not_there_is_told_when_it_is_needed(tmp_path):
    rule = parse_rule(f"call({tmp_path}/none.py:odd)", typed=True)
    with pytest.raises(InvalidInput, match="there is no Python file"):
        rule.check(COUNT)


def test_a_filter_can_be_learnt_for_it(tmp_path, trace):
    (tmp_path / "mine.py").write_text("def none(output):\n    return bool(output[0] < 1)\n")
    rule = parse_rule(f"call({tmp_path}/mine.py:none) or value < 0", typed=True)
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
    assert done.spec.rule_files == digests_in(rule) and len(done.spec.rule_files) == 1
    assert done.redundant == pytest.approx(np.mean([output[0] < 1 for output in trace.outputs("squares")]))


@pytest.fixture
def trap(tmp_path):
    """A Python file that leaves a trace of having run."""
    path = tmp_path / "trap.py"
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef quiet(output):\n    return True\n")
    return path


def test_a_rule_from_a_file_never_runs_code(tmp_path, trap):
    """The text of a rule that nobody typed here can be read, shown and compared, and no more."""
    rule = parse_rule(f"empty and (call({trap}:quiet) or value < 0)")
    assert parse_rule(rule.text) == rule and not runs(rule) and digests_in(rule) == {}
    for judge in (lambda: rule.check(COUNT), lambda: rule.redundant(np.zeros(1, np.float32), COUNT)):
        with pytest.raises(InvalidInput, match=r"Python code in .*trap\.py, .* --rule-file .*trap\.py"):
            judge()
    assert not (tmp_path / "ran").exists()


def test_a_named_file_runs_if_it_is_the_one_that_was_learnt_with(tmp_path, trap):
    text = f"call({trap}:quiet) or value < 0"
    digests = digests_in(parse_rule(text, typed=True))
    moved = tmp_path / "elsewhere" / "trap.py"
    moved.parent.mkdir()
    moved.write_bytes(trap.read_bytes())
    rule = with_files(parse_rule(text), [moved], digests)
    assert runs(rule) and rule.redundant(np.ones(1, np.float32), COUNT)
    moved.write_text("def quiet(output):\n    return False\n")
    with pytest.raises(InvalidInput, match="is another file than the rule"):
        with_files(parse_rule(text), [moved], digests).check(COUNT)


def test_of_several_files_each_goes_with_its_part(tmp_path):
    for name, value in (("a", True), ("b", False)):
        (tmp_path / f"{name}.py").write_text(f"def f(output):\n    return {value}\n")
    files = [tmp_path / "b.py", tmp_path / "a.py"]
    rule = with_files(parse_rule("call(x/a.py:f) and call('y\\b.py':f)"), files, {})
    assert [part.redundant(np.ones(1), COUNT) for part in rule.rules] == [True, False]


def test_a_file_for_a_rule_that_is_no_code_is_refused(rules):
    with pytest.raises(InvalidInput, match="the rule 'empty' is no Python code"):
        with_files(parse_rule("empty"), [rules], {})


def test_a_file_that_can_not_be_run_is_told(tmp_path):
    (tmp_path / "wrong.py").write_text("def f(:")
    with pytest.raises(InvalidInput, match=r"wrong\.py can't be run: SyntaxError"):
        parse_rule(f"call({tmp_path / 'wrong.py'}:f)", typed=True).check(COUNT)


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
