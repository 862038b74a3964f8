"""Answers that a person corrects, and what stands in their place."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import parse_rule
from infilink.filters.rules.zones import Zone
from infilink.filters.training.corrected import CorrectedTrace, Correction, place_in, sayable, with_it, without
from infilink.filters.training.losses import Losses
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("person", "car"))
LEFT = Zone("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
PERSON_LEFT, PERSON_RIGHT, CAR = (
    [0.1, 0.1, 0.3, 0.9, 0.9, 0.0],
    [0.7, 0.1, 0.9, 0.9, 0.9, 0.0],
    [0.1, 0.1, 0.3, 0.9, 0.8, 1.0],
)


def wrong(what: str, zone: Zone | None = None) -> Correction:
    return Correction("eyes", what, 0, 9, zone)


def unsaid(what: str, zone: Zone | None = None, place: tuple[float, float] = (0.5, 0.5)) -> Correction:
    return Correction("eyes", what, 0, 9, zone, there=True, place=place)


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        (wrong("person"), [CAR]),
        (wrong("person in left", LEFT), [PERSON_RIGHT, CAR]),
        # Its zone is not drawn any more.
        (wrong("person in left"), [PERSON_LEFT, PERSON_RIGHT, CAR]),
        (wrong("count(person, car) <= 2"), []),
    ],
)
def test_of_boxes_only_those_go_that_are_wrong(given: Correction, rest: list[list[float]]) -> None:
    output = np.asarray([PERSON_LEFT, PERSON_RIGHT, CAR], np.float32)
    found = without(output, BOXES, given)
    assert found.dtype == np.float32 and found.shape == (len(rest), 6)
    assert found.tolist() == np.asarray(rest, np.float32).reshape(-1, 6).tolist() and len(output) == 3


def test_a_label_that_is_wrong_leaves_the_next_one() -> None:
    spec = OutputSpec(kind="label", classes=("a", "b", "c"))
    found = without(np.asarray([0.6, 0.3, 0.1], np.float32), spec, wrong("a"))
    assert found.tolist() == pytest.approx([0.0, 0.75, 0.25])
    assert without(np.asarray([1.0, 0.0, 0.0], np.float32), spec, wrong("a")).tolist() == [0.0, 0.5, 0.5]
    with pytest.raises(InvalidInput, match="does not tell what is right"):
        without(found, spec, wrong("label in (b)"))


def test_several_labels_lose_the_wrong_one_and_a_count_is_zero() -> None:
    several = OutputSpec(kind="multilabel", classes=("a", "b"))
    assert without(np.asarray([0.9, 0.8], np.float32), several, wrong("b")).tolist() == pytest.approx([0.9, 0.0])
    assert without(np.asarray([3.0], np.float32), OutputSpec(kind="count"), wrong("value < 1")).tolist() == [0.0]


def test_a_part_of_a_corrected_trace_is_corrected_and_the_file_stays(trace_path) -> None:
    before = trace_path.read_bytes()
    none_there = Correction("squares", "value < 1", 10, 59)
    with CorrectedTrace(trace_path, [none_there]) as trace, trace.part(50, 100) as part:
        assert [float(each[0]) for each in trace.outputs("squares")[10:60]] == [0.0] * 50
        assert trace.outputs("squares")[60:] == CorrectedTrace(trace_path).outputs("squares")[60:]
        assert [float(each[0]) for each in part.outputs("squares")[:10]] == [0.0] * 10
        assert [each.tolist() for each in part.outputs("scene")] == [
            each.tolist() for each in trace.outputs("scene")[50:100]
        ]
    assert trace_path.read_bytes() == before


def test_of_boxes_one_more_stands_where_it_was_said_to_be() -> None:
    output = np.asarray([PERSON_RIGHT, CAR], np.float32)
    for said, left in ((unsaid("person in left", LEFT, (0.2, 0.6)), 1), (unsaid("person", None, (0.8, 0.6)), 0)):
        found = with_it(output, BOXES, said)
        assert BOXES.check(found).dtype == np.float32 and found[:2].tolist() == output.tolist()
        assert BOXES.counts(found).tolist() == [2.0, 1.0] and len(output) == 2
        assert LEFT.standing(found)[-1] == bool(left)
    # Its zone is not drawn any more.
    assert with_it(output, BOXES, unsaid("person in left")) is output


@pytest.mark.parametrize(
    ("spec", "given", "what", "expected"),
    [
        (OutputSpec(kind="label", classes=("a", "b")), [0.9, 0.1], "b", [0.0, 1.0]),
        (OutputSpec(kind="multilabel", classes=("a", "b")), [0.9, 0.1], "b", [0.9, 1.0]),
        (OutputSpec(kind="count"), [2.0], "something", [3.0]),
        (OutputSpec(kind="tokens", length=5), [4], "something", [4, 0]),
        (OutputSpec(kind="mask"), [[0.0, 0.2], [0.9, 0.0]], "something", [[1.0, 1.0], [1.0, 1.0]]),
    ],
    ids=lambda each: each.kind if isinstance(each, OutputSpec) else "",
)
def test_what_was_there_is_said_by_every_kind_that_can(
    spec: OutputSpec, given: list, what: str, expected: list
) -> None:
    output = spec.check(np.asarray(given))
    before = output.copy()
    found = with_it(output, spec, unsaid(what))
    assert spec.check(found).dtype == found.dtype
    assert np.asarray(found).tolist() == pytest.approx(np.asarray(expected))
    assert output.tolist() == before.tolist()
    assert spec.check(with_it(spec.empty(), spec, unsaid(what))).size


@pytest.mark.parametrize(
    ("spec", "what", "why"),
    [
        (OutputSpec(kind="scalar"), "something", "does not tell which scalar is right"),
        (OutputSpec(kind="vector", length=3), "something", "does not tell which vector is right"),
        (OutputSpec(kind="count"), "value < 1", "can't say 'value < 1': say something"),
        (BOXES, "tree", "can't say 'tree': say one of its classes"),
        (BOXES, "something", "say one of its classes"),
    ],
)
def test_what_nobody_can_say_is_refused_with_its_reason(spec: OutputSpec, what: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        with_it(spec.empty(), spec, unsaid(what))


@pytest.mark.parametrize(
    ("spec", "rule", "names"),
    [
        (BOXES, "count(person) == 0", ["person"]),
        (BOXES, "count(car, zone=left) == 0", ["car in left"]),
        (BOXES, "count() > 2", ["person", "car"]),
        (BOXES, "unchanged", ["person", "car"]),
        (OutputSpec(kind="label", classes=("none", "a", "b")), "label in (none)", ["a", "b"]),
        (OutputSpec(kind="count"), "value < 1", ["something"]),
        (OutputSpec(kind="mask"), "empty", ["something"]),
        (OutputSpec(kind="scalar"), "value < 1", []),
        (OutputSpec(kind="vector", length=3), "unchanged", []),
    ],
)
def test_what_can_be_said_is_what_the_rule_asks_for(spec: OutputSpec, rule: str, names: list[str]) -> None:
    found = parse_rule(rule, zones={"left": LEFT})
    assert sayable(spec, found) == names
    for what in names:
        zone = LEFT if what.endswith(" in left") else None
        said = with_it(spec.empty(), spec, unsaid(what, zone, (0.2, 0.6)))
        if rule not in ("unchanged", "count() > 2"):
            assert not found.redundant(said, spec)


def test_something_stands_in_its_zone_and_if_it_can_in_no_other() -> None:
    right = Zone("right", ((0.4, 0.0), (1.0, 0.0), (1.0, 1.0), (0.4, 1.0)))
    small = Zone("small", ((0.451, 0.451), (0.454, 0.451), (0.454, 0.454)))
    everywhere = Zone("all", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))

    def held(zone: Zone, place: tuple[float, float]) -> bool:
        return bool(zone.holds(np.asarray([place]))[0])

    place = place_in(LEFT, (LEFT, right))
    assert held(LEFT, place) and not held(right, place)
    assert held(small, place_in(small, (LEFT, right, small)))
    assert not held(LEFT, place_in(None, (LEFT,)))
    assert held(everywhere, place_in(None, (everywhere,))) and place_in(None, ()) == pytest.approx((0.5, 0.5), abs=0.02)


def test_inputs_on_which_a_model_missed_something_are_needed_once_and_until_it_is_taken_back(trace_path) -> None:
    rule = parse_rule("value < 1")
    with CorrectedTrace(trace_path) as trace:
        before = Losses(trace, ("squares",), rule).needed[0]
    quiet = int(np.flatnonzero(before == 0)[5])
    twice = [Correction("squares", "something", quiet, quiet + 4, there=True)] * 2
    gone = Correction("squares", "something", quiet, quiet)
    with CorrectedTrace(trace_path, twice) as trace:
        assert float(trace.outputs("squares")[quiet][0]) == 1.0
        after = Losses(trace, ("squares",), rule).needed[0]
        assert after[quiet : quiet + 5].tolist() == [1.0] * 5
        assert (
            np.delete(after, np.s_[quiet : quiet + 5]).tolist() == np.delete(before, np.s_[quiet : quiet + 5]).tolist()
        )
        with trace.part(quiet, quiet + 10) as part:
            assert float(part.outputs("squares")[0][0]) == 1.0
    # What is said last counts.
    with CorrectedTrace(trace_path, [*twice, gone]) as trace:
        assert Losses(trace, ("squares",), rule).needed[0][quiet] == 0.0
    with CorrectedTrace(trace_path, [*twice, gone, twice[0]]) as trace:
        assert Losses(trace, ("squares",), rule).needed[0][quiet] == 1.0
