"""What every redundancy rule must do, found by the forms that the parser lists and by the classes that there are."""

import dataclasses
import inspect
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.filters.rules import code, parser, predicates
from infilink.filters.rules.parser import FORMS, Rule, Unchanged, parse_rule
from infilink.filters.rules.predicates import OPERATORS
from infilink.filters.rules.theory import Theory
from infilink.filters.rules.zones import Zone
from infilink.outputs import OutputSpec

from .drawn import CLASSES, SPECS, output_of

RULES = {
    each
    for module in (code, parser, predicates)
    for _, each in inspect.getmembers(module, dataclasses.is_dataclass)
    if hasattr(each, "text")
}
SINGLE = sorted((each for each in RULES if "rules" not in each.__dataclass_fields__), key=lambda each: each.__name__)
COMPOUND = sorted(RULES - set(SINGLE), key=lambda each: each.__name__)
ON_ONE_OUTPUT = [form for form in FORMS if not form.startswith("unchanged")]
NAMES = st.text(max_size=12) | st.sampled_from(
    ["tabby, tabby cat", "T-shirt/top (new)", "*", "it's", 'a "b"', "zone=a"]
)
ZONES = {name: Zone(name, ((0.1, 0.1), (0.6, 0.1), (0.6, 0.9))) for name in ("door", "the door, left", "'", "Tür")}
SHARES = st.floats(0.01, 1.0)
FIELDS = {
    "classes": st.lists(NAMES, min_size=1, max_size=4).map(tuple),
    "op": st.sampled_from(sorted(OPERATORS)),
    "path": st.sampled_from(["folder/rules.py", "C:\\my rules.py", "it's (mine): rules.py"]),
    "zone": st.none() | st.sampled_from(list(ZONES.values())),
    "function": st.from_regex(r"[a-z_]\w{0,8}", fullmatch=True),
    float: st.floats(allow_nan=False, allow_infinity=False),
    int: st.integers(-99, 10**6),
}
"""What a field of a rule may hold, by its name or its type."""


def drawn(kind: type) -> st.SearchStrategy[Rule]:
    """Rules of a class."""
    if kind is Unchanged:
        return st.builds(Unchanged, st.none() | SHARES) | st.builds(Unchanged, min_iou=SHARES)
    fields = {
        each.name: FIELDS.get(each.name, FIELDS.get(each.type)) for each in dataclasses.fields(kind) if each.compare
    }
    return st.builds(kind, **fields)


def compound(rules: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    lists = st.lists(rules, min_size=2, max_size=3).map(tuple)
    return st.one_of([st.builds(each, lists) for each in COMPOUND])


ANY = st.one_of(
    st.recursive(st.one_of([drawn(each) for each in SINGLE if each is not Unchanged]), compound, max_leaves=5),
    drawn(Unchanged),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where `FILE.py:function` of the forms is."""
    (tmp_path / "FILE.py").write_text("def function(output):\n    return bool(output.size % 2)\n")
    monkeypatch.chdir(tmp_path)


def rule_of(form: str) -> Rule:
    """The rule that a form stands for; for RULE stand two that every compound can hold."""
    return parse_rule(form.replace("RULE", "empty", 1).replace("RULE", "count() > 2", 1), zones=ZONES, typed=True)


def test_every_class_of_rules_has_a_form_that_the_error_message_shows():
    assert {type(rule_of(form)) for form in FORMS} == RULES


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_a_rule_whose_text_means_the_same(form):
    rule = rule_of(form)
    assert parse_rule(rule.text, zones=ZONES) == rule == rule_of(form) and hash(rule) == hash(rule_of(form))
    assert isinstance(rule.theory, Theory)
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.text = "another"


@settings(max_examples=150, deadline=None)
@given(ANY)
def test_any_rule_is_what_its_text_says(rule):
    assert parse_rule(rule.text, zones=ZONES) == rule


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"(count|label in|call|zone|unchanged|\W){1,4}", fullmatch=True))
def test_any_text_is_a_rule_or_told_to_be_none(text):
    try:
        rule = parse_rule(text, zones=ZONES)
    except InvalidInput:
        return
    assert parse_rule(rule.text, zones=ZONES) == rule


def fits(rule: Rule, spec: OutputSpec) -> bool:
    try:
        rule.check(spec)
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize("form", ON_ONE_OUTPUT)
def test_a_rule_judges_every_output_of_the_kinds_that_it_fits(form, folder):
    random = np.random.default_rng(3)
    rule = rule_of(re.sub("person|car, truck|'a class.*'|a, b", CLASSES[0], form))
    fitting = [spec for spec in SPECS.values() if fits(rule, spec)]
    assert fitting
    for spec in fitting:
        for output in (spec.empty(), *(output_of(spec, random) for _ in range(20))):
            before = output.copy()
            judged = rule.redundant(output, spec)
            assert type(judged) is bool and judged == rule.redundant(output, spec)
            assert np.array_equal(output, before)
