"""Events as the audits see them: what belongs together, and what counts as found in time."""

from infilink.filters.gates.event_watch import EventWatch
from infilink.filters.gates.parts import TOO_FEW


def watch(*seen, recall=0.9, within_s=None):
    """Shows it inputs: (time, things, sent, drawn); then a long time without anything."""
    one = EventWatch(recall, within_s)
    for captured_s, things, sent, drawn in seen:
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
