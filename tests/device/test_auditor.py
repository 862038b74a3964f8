"""The auditor: what it sends all the same, and that what it measures is the gate's own loss."""

import numpy as np
import pytest
from infilink.device.auditor import Auditor
from infilink.filters.gates.base import Substitute
from infilink.filters.rules.loss import rule_loss
from infilink.filters.rules.parser import parse_rule
from infilink.filters.terms import Terms
from infilink.outputs import OutputSpec

from ..certificates import event_promise

COUNT = OutputSpec(kind="count")
BOXES = OutputSpec(kind="boxes", classes=("person", "car"))
LABEL = OutputSpec(kind="label", classes=("a", "b", "c"))
REUSED = {"m": Substitute("reused", None, 0.9, True)}


def skipped(spec, *models):
    return {name: Substitute("skipped", spec.empty(), 0.9, True) for name in models or ("m",)}


def boxes(**counts):
    rows = [[0, 0, 1, 1, 0.9, BOXES.classes.index(name)] for name, count in counts.items() for _ in range(count)]
    return np.asarray(rows, np.float32).reshape(-1, 6)


def number(value):
    return np.asarray([value], np.float32)


def auditor(rule, spec=COUNT, *models, share=1.0, accuracy=0.9, **terms):
    """One whose gate has a rule, as a filter's runtime has it."""
    parsed = parse_rule(rule)

    def lost(answers, exact, outputs):
        return rule_loss(parsed, {model: each.value for model, each in answers.items()}, exact, outputs)

    found = Terms(accuracy, certified=True, rule=parsed, **{"run_inputs": 1.0, **terms})
    return Auditor("filter.onnx", share, found, lost, dict.fromkeys(models or ("m",), spec))


def look(one, sequence, substitutes, value, *, reference=None, kept=False, captured_s=None, image=None, runs=True):
    """Has it take an input; if that is sent its models answer `value`, or are linked unless the audit asks for them.

    Returns the probability.
    """
    at_s = sequence / 5 if captured_s is None else captured_s
    asked = one.take(
        sequence, substitutes, kept=kept or not substitutes, reference=reference, captured_s=at_s, image=image
    )
    if asked.probability or not substitutes:
        values = value if isinstance(value, dict) else dict.fromkeys(one.outputs, value)
        one.answered(sequence, values, set(values) if runs or asked.exact else set())
    return asked.probability


@pytest.mark.parametrize(
    ("rule", "spec", "redundant", "needed"),
    [
        ("count(person) == 0", BOXES, boxes(car=2), boxes(person=1, car=2)),
        ("count(car) <= 4", BOXES, boxes(car=4), boxes(car=5)),
        ("value <= 3", COUNT, number(3), number(4)),
        ("label in (a, b)", LABEL, np.asarray([0.1, 0.8, 0.1], np.float32), np.asarray([0.1, 0.1, 0.8], np.float32)),
    ],
    ids=["a car in view", "some cars", "a value", "labels"],
)
def test_a_filter_loses_what_its_rule_needed_whatever_answered_instead(rule, spec, redundant, needed, caplog):
    one = auditor(rule, spec)
    for sequence in range(2000):
        assert look(one, sequence, skipped(spec), redundant) == 1.0
    report = one.report()
    assert report.audited == 2000 and report.blocks == 9 and report.error == 0.0 and not report.broken
    for sequence in range(2000, 5000):
        look(one, sequence, skipped(spec), needed)
    assert one.report().alarms == 1 and one.broken
    assert sum("loses more than the 0.100 it promised" in record.message for record in caplog.records) == 1


def test_a_share_of_the_inputs_is_drawn_and_each_row_has_its_probability():
    one = auditor("value <= 3", share=0.2)
    found = [look(one, sequence, skipped(COUNT) if sequence % 2 else {}, number(0)) for sequence in range(1000)]
    drawn = [each for each in found if each]
    assert set(drawn) == {0.2} and len(drawn) == pytest.approx(100, abs=30)
    assert not any(found[::2]), "kept ones are sent anyway"
    assert one.report().audited == len(drawn) and one.report().share == 0.5


def test_a_reused_answer_loses_what_it_disagrees():
    one = auditor("unchanged")
    look(one, 0, {}, number(3))
    look(one, 1, REUSED, number(3), reference=0)
    look(one, 2, REUSED, number(4), reference=0)
    assert one.report().audited == 2 and one.report().error == pytest.approx(1 / 3)


def test_with_a_bar_an_answer_is_right_or_wrong():
    spec = OutputSpec(kind="scalar", tolerance=10.0)
    one = auditor("unchanged >= 0.8", spec)
    look(one, 0, {}, number(0))
    for sequence, value in ((1, 1.0), (2, 3.0)):
        look(one, sequence, REUSED, number(value), reference=0)
    assert one.report().error == pytest.approx(1 / 3)


def test_a_model_that_does_not_look_where_another_does_is_audited_too():
    one = auditor("value <= 3", COUNT, "m", "n")
    assert look(one, 0, skipped(COUNT), number(4), kept=True) == 1.0
    # "n" looked at it anyway and lost nothing.
    assert one.report().audited == 1 and one.report().error == 0.5


def test_models_that_the_gate_was_not_learnt_from_are_no_matter():
    one = auditor("value <= 3")
    assert look(one, 0, skipped(COUNT, "other"), {"m": number(9), "other": number(9)}, kept=True) == 0.0
    assert one.report().audited == 0 and one.report().share == 0.0


def test_only_what_the_model_itself_said_counts():
    one = auditor("unchanged")
    one.answered(0, {"m": number(3)}, {"m"})
    one.take(1, REUSED, kept=False, reference=0)
    one.answered(1, {"m": number(4)}, set())
    one.take(2, REUSED, kept=False, reference=77)
    one.answered(2, {"m": number(4)}, {"m"})
    one.take(3, REUSED, kept=False, reference=0)
    one.unanswered(3)
    one.unanswered(4)
    # What stood in for the model on the input that is referred to is not what the gate promised.
    one.answered(5, {"m": number(3)}, set())
    one.take(6, REUSED, kept=False, reference=5)
    one.answered(6, {"m": number(4)}, {"m"})
    assert one.report().audited == 0 and one.report().error is None


def test_a_rule_that_is_code_nobody_allowed_is_not_judged():
    one = Auditor("f", 1.0, Terms(0.9, certified=True, run_inputs=1.0), lambda *_: None, {"m": COUNT})
    for sequence in range(1000):
        look(one, sequence, skipped(COUNT), number(9))
    assert one.report().blocks == 0 and not one.broken


def test_it_does_not_grow_when_nothing_is_answered():
    one = auditor("unchanged")
    for sequence in range(5000):
        one.take(sequence, REUSED, kept=False, reference=0)
    assert len(one._awaited) <= 2048


def test_a_rate_far_from_calibration_is_said_once_and_opens_nothing(caplog):
    one = auditor("value <= 3", share=0.01, rate=(0.2, 0.4))
    found = [look(one, sequence, skipped(COUNT), number(0)) for sequence in range(8000)]
    assert not one.broken and one.report().rate_far == "above"
    assert found[-1000:].count(0.04) == pytest.approx(40, abs=2) and 1.0 not in found
    assert (
        sum("drops far more than in calibration, where it was 20 to 40 %" in each.message for each in caplog.records)
        == 1
    )


def test_a_class_whose_recall_is_promised_is_reported_with_what_it_rests_on(caplog):
    one = auditor("count() == 0", BOXES, share=0.5, accuracy=0.1, parts={"recall of person": 0.8, "recall of car": 0.8})
    for sequence in range(8_000):
        seen = boxes(person=1) if sequence // 50 % 2 else boxes(car=1)
        missed = sequence // 50 % 2
        look(one, sequence, skipped(BOXES) if missed else {}, seen)
    person, car = one.report().parts
    assert (person.accuracy, person.verdict, person.inputs) == (0.0, "broken", pytest.approx(2000, abs=100))
    assert (car.accuracy, car.verdict) == (1.0, "kept") and car.runs == pytest.approx(39, abs=1)
    assert not one.broken, "the mean is kept"
    told = [each.message for each in caplog.records]
    assert told == ["filter.onnx does not keep its promise to keep 0.8 of: recall of person (train it again)"]


def test_slices_by_light_and_by_hour_are_told_apart():
    parts = {"dark": 0.9, "bright": 0.9, "hour 0": 0.9, "shop 7": 0.9}
    one = auditor("count() == 0", BOXES, accuracy=0.1, parts=parts)
    for sequence in range(400):
        image = np.full((4, 4, 3), 10 if sequence < 200 else 200, np.uint8)
        look(one, sequence, skipped(BOXES), boxes(car=sequence < 200), image=image)
    found = {part.name: (part.accuracy, part.runs, part.verdict) for part in one.report().parts}
    assert found["dark"] == (0.0, 1, "too few to tell")
    assert found["hour 0"][1] == 1 and found["shop 7"] == (None, 0, "too few to tell")


def test_events_are_found_by_what_the_gate_itself_sends_in_time(caplog):
    promise = event_promise(events=70, clusters=70, found=70, rate=0.9)
    one = auditor("count(person) == 0", BOXES, accuracy=None, events=promise)
    # Five inputs a second: of every 20 s a person is there for 6; the gate sends the first of them, one late, or none.
    for sequence in range(4000):
        event, place = divmod(sequence, 100)
        there = place < 30
        sends_at = {0: 0, 1: 0, 2: 20, 3: -1}[event % 4]
        look(one, sequence, {} if place == sends_at else skipped(BOXES), boxes(person=there))
    found = one.report().events
    assert (found.events, found.found, found.verdict) == (40, 20, "broken")
    assert found.interval[1] < 0.9 and not one.broken
    assert [each.message for each in caplog.records] == [
        "filter.onnx does not keep its promise to find at least 0.9 of the events within 2 s (train it again)"
    ]


def test_where_models_seldom_run_on_what_is_sent_the_audit_asks_for_what_it_must_know(caplog):
    """As many are missed of each part as if everything that is sent were looked at."""
    one = auditor("count() == 0", BOXES, share=0.5, accuracy=0.1, parts={"recall of person": 0.4})
    for sequence in range(8_000):
        look(one, sequence, skipped(BOXES) if sequence % 2 else {}, boxes(person=1), runs=False)
    (person,) = one.report().parts
    assert person.accuracy == pytest.approx(0.5, abs=0.05) and person.verdict == "kept" and not caplog.records
    without = auditor("value <= 3", share=1.0)
    assert not without.take(0, {}, kept=True, reference=None).exact, "nothing that hangs on it is promised"


def test_an_event_that_the_gate_sent_is_not_missed_because_no_model_looked(caplog):
    promise = event_promise(events=70, clusters=70, found=70, rate=0.9)
    one = auditor("count(person) == 0", BOXES, share=0.1, accuracy=None, events=promise)
    # Of every 20 s a person is there for 6, of which the gate sends the first and the last second.
    for sequence in range(20_000):
        place = sequence % 100
        there = place < 30
        sent = there and (place < 5 or place >= 25)
        look(one, sequence, {} if sent else skipped(BOXES), boxes(person=there), runs=False)
    found = one.report().events
    assert found.events > 100 and found.found + found.unknown > 0.9 * found.events
    assert found.unknown > 0 and found.verdict == "too few to tell" and not caplog.records


def test_once_the_camera_sees_something_else_the_audit_begins_anew():
    one = auditor("count(car) == 0", BOXES, accuracy=0.9)
    for sequence in range(2000):
        look(one, sequence, skipped(BOXES), boxes(car=1))
    assert one.broken and one.report().blocks
    one.take(2000, skipped(BOXES), kept=False, reference=None)
    one.forget()
    one.begin_anew()
    found = one.report()
    assert not one.broken and not found.blocks and found.error is None and not one.shown
    one.answered(2000, {"m": boxes(car=1)}, {"m"})
    assert one.report().error is None, "what was asked before shows nothing of what comes"
    for sequence in range(3000, 6000):
        look(one, sequence, skipped(BOXES), boxes())
    assert one.report().error == 0.0 and not one.broken
