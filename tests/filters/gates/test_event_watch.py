"""Events as the audits see them: what belongs together, and what counts as found in time."""

from infilink.filters.gates.event_watch import EventWatch
from infilink.filters.gates.parts import TOO_FEW

UNSEEN = ("nobody looked",)


def watch(*seen, recall=0.9, within_s=None):
    """Shows it inputs: (time, things or `UNSEEN`, sent, drawn); then a long time without anything."""
    one = EventWatch(recall, within_s)
    for captured_s, things, sent, drawn in seen:
        if things is UNSEEN:
            one.pass_by(captured_s)
        else:
            one.add(captured_s, things, sent=sent, drawn=drawn)
    one.add(1e6, (), sent=False, drawn=True)
    return one.report()


def test_before_any_event_nothing_is_told():
    report = watch((0.0, (), True, True))
    assert (report.events, report.found, report.interval, report.verdict) == (0, 0, (0.0, 1.0), TOO_FEW)


def test_an_event_is_found_by_an_input_that_the_gate_sent_itself():
    assert watch((0.0, ("car",), True, False), (5.0, ("car",), False, True)).found == 1
    missed = watch((0.0, ("car",), False, True), (5.0, ("car",), False, True))
    assert (missed.events, missed.found) == (1, 0)


def test_only_events_that_a_draw_came_into_count():
    assert watch((0.0, ("car",), True, False)).events == 0


def test_found_too_late_is_not_found():
    seen = [(0.0, ("car",), False, True), (3.0, ("car",), True, False)]
    assert watch(*seen, within_s=2.0).found == 0 and watch(*seen, within_s=3.0).found == 1


def test_an_input_without_it_ends_an_event_after_a_second_and_nobody_looking_after_ten():
    near = [(0.0, ("car",), True, True), (0.5, (), True, False), (0.9, ("car",), False, True)]
    assert watch(*near).events == 1
    gone = [(0.0, ("car",), True, True), (2.0, (), True, False), (3.0, ("car",), False, True)]
    assert (watch(*gone).events, watch(*gone).found) == (2, 1)
    unseen = [(0.0, ("car",), True, True), (11.0, ("car",), False, True)]
    assert watch(*unseen).events == 2


def test_things_have_events_of_their_own():
    report = watch((0.0, ("car", "person"), True, True), (3.0, ("person",), False, True))
    assert (report.events, report.found) == (2, 2)


def test_the_verdict_rests_on_the_interval():
    found = [(100.0 * i, ("car",), True, True) for i in range(60)]
    assert watch(*found[:20]).verdict == TOO_FEW and watch(*found).verdict == "kept"
    assert watch(*[(at, what, False, True) for at, what, *_ in found[:5]]).verdict == "broken"


def test_what_was_sent_between_two_sightings_found_it_though_no_model_looked():
    seen = [(0.0, ("car",), False, True), (1.0, UNSEEN, True, False), (2.0, ("car",), False, True)]
    report = watch(*seen)
    assert (report.events, report.found, report.unknown) == (1, 1, 0)
    late = watch(*seen, within_s=0.5)
    assert (late.found, late.unknown) == (0, 0)


def test_what_was_sent_close_by_may_have_found_it():
    for at_s in (0.5, 3.5):
        seen = [(0.0, (), False, True), (2.0, ("car",), False, True), (5.0, (), False, True)]
        report = watch(*sorted([*seen, (at_s, UNSEEN, True, False)], key=lambda each: each[0]))
        assert (report.events, report.found, report.unknown) == (1, 0, 1)
        assert report.interval == (0.0, 1.0), "it may have been found, or not"
    before = [(0.5, UNSEEN, True, False), (1.0, (), False, True), (2.0, ("car",), False, True)]
    assert watch(*before).unknown == 0, "nothing was there between them"
    far = [(0.5, UNSEEN, True, False), (12.0, ("car",), False, True), (30.0, UNSEEN, True, False)]
    assert watch(*far).unknown == 0


def test_what_nobody_knows_of_shows_neither():
    missed = [(100.0 * i, ("car",), False, True) for i in range(40)]
    unseen = [(100.0 * i + 1.0, UNSEEN, True, False) for i in range(40)]
    assert watch(*missed).verdict == "broken"
    assert watch(*sorted(missed + unseen, key=lambda each: each[0])).verdict == TOO_FEW
