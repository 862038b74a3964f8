"""Names in rules, whatever a class is called."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.filters.rules.names import listed, matching, quoted, read_quoted, unquoted
from infilink.filters.rules.parser import parse_rule
from infilink.outputs import OutputSpec

ODD = [
    "tabby, tabby cat",
    "T-shirt/top (new)",
    "it's",
    'a "b"',
    "*",
    "zone=door",
    "Straßenbahn",
    "back\\slash",
    ") or empty",
]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
def test_any_name_is_read_as_it_was_written(name):
    for text in (quoted(name), quoted(name, always=True)):
        assert parse_rule(f"count({text}) == 0").classes == (name,)
    assert unquoted(quoted(name)) == name
    assert read_quoted(f"{quoted(name, always=True)} and more", 0)[0] == name


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=4, unique=True).map(tuple), st.data())
def test_any_class_can_be_named(classes, data):
    """What an error lists can be pasted, and names the class that it stands for."""
    spec = OutputSpec(kind="label", classes=classes)
    index = data.draw(st.integers(0, len(classes) - 1))
    rule = parse_rule(f"label in ({quoted(classes[index])})")
    scores = np.zeros(len(classes), np.float32)
    scores[index] = 1.0
    assert rule.redundant(scores, spec)
    assert parse_rule(f"label in ({listed(classes)})").classes == classes


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_quoted_and_plain_ones_are_not(name):
    assert (quoted(name) == name) == (name == "Straßenbahn")
    assert parse_rule(f"label not in ({quoted(name)}, car)").text == f"label not in ({quoted(name)}, car)"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("'tabby, tabby cat', dog", ("tabby, tabby cat", "dog")),
        ("\"it's\", 'it''s', 'it\\'s'", ("it's",) * 3),
        ("T-shirt/top (new, or old), coat", ("T-shirt/top (new, or old)", "coat")),
        (" traffic   light ", ("traffic light",)),
        ("dog's bed", ("dog's bed",)),
        ("zone", ("zone",)),
        (r"'C:\new'", (r"C:\new",)),
    ],
)
def test_names_are_written_in_quotes_or_without(text, names):
    assert parse_rule(f"label in ({text})").classes == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("label in ('tabby)", "the quote ' should come once more"),
        ("label in ('a' b)", "`,` or `)` should come at position 15"),
        ("count(*, a) == 0", "either `*` or class names"),
        ("label in (zone=a)", "no zone"),
    ],
)
def test_what_is_quoted_wrongly_is_told(text, says):
    with pytest.raises(InvalidInput, match="position") as error:
        parse_rule(text)
    assert says in str(error.value)


def test_a_name_that_is_not_there_is_answered_with_names_to_paste():
    spec = OutputSpec(kind="label", classes=("tabby, tabby cat", "dog"))
    with pytest.raises(InvalidInput, match="no class 'tabby', 'tabby cat'; its classes: 'tabby, tabby cat', dog"):
        parse_rule("label in (tabby, tabby cat)").check(spec)
    assert parse_rule("label in ('Tabby,  tabby CAT')").redundant(np.asarray([1.0, 0.0]), spec)


def test_the_same_letters_win_over_any_letters():
    assert matching("us", ["US", "us"]) == [1]
    assert matching("Us", ["US", "us"]) == [0, 1]
    assert matching("a  b", ["A B"]) == [0]
    assert matching("c", ["a", "b"]) == []


@pytest.mark.parametrize("text", ["'a' b", "'a", "\"a'", "'"])
def test_a_text_in_quotes_ends_with_them(text):
    with pytest.raises(ValueError, match="should"):
        unquoted(text)
