import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.evidence import interval
from infilink.outputs import Array, OutputSpec
from infilink.traces.events import (
    Event,
    EventScore,
    clusters_of,
    delays,
    distinct,
    events_of,
    presence,
    score_events,
    worth,
)


def flags(text: str) -> Array:
    return np.asarray([letter == "#" for letter in text])


def times(count: int, step_s: float = 0.1, start_s: float = 0.0) -> Array:
    return start_s + step_s * np.arange(count)


def spans(text: str, step_s: float = 0.1) -> list[tuple[float, float]]:
    events = events_of("person", flags(text), times(len(text), step_s))
    return [(round(event.start_s, 6), round(event.end_s, 6)) for event in events]


def one_event(start_s: float, end_s: float) -> Event:
    return Event("person", 0, 0, start_s, end_s, source=int(10 * start_s))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("..........", []),
        (".######...", [(0.1, 0.6)]),
        (".#####....", []),  # 0.4 s from the first input to the last: too short
        ("....######", [(0.4, 0.9)]),  # until the very end
        ("##########", [(0.0, 0.9)]),
        ("######.........######", [(0.0, 2.0)]),  # 1.0 s from the last input to the next one: joined
        ("######..........######", [(0.0, 0.5), (1.6, 2.1)]),
        ("#....#....#", [(0.0, 1.0)]),  # short runs make one event once they are joined
        ("#", []),
        ("", []),
    ],
)
def test_an_event_is_a_run_with_its_gaps_joined(text: str, expected: list[tuple[float, float]]) -> None:
    assert spans(text) == expected


def test_a_run_of_one_input_lasts_no_time_at_any_rate() -> None:
    assert spans(".#.", step_s=60.0) == []
    assert spans(".##.", step_s=60.0) == [(60.0, 120.0)]


def test_an_hour_without_inputs_is_no_event() -> None:
    captured_s = np.concatenate((times(20), times(20, start_s=3600.0)))
    events = events_of("person", np.ones(40, bool), captured_s)
    assert [(event.first, event.last) for event in events] == [(0, 19), (20, 39)]


def test_irregular_times_are_taken_as_they_are() -> None:
    captured_s = np.asarray([0.0, 0.1, 0.9, 1.0, 1.1, 2.0, 2.1, 3.5, 3.6])
    events = events_of("person", flags("##.##.###"), captured_s)
    # 0.9 s are joined; 1.4 s in which the camera, else ten times a second, said nothing are not.
    assert [(event.start_s, event.end_s) for event in events] == [(0.0, 2.1)]


def test_times_that_go_back_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"input 2 was captured at 0\.05 s, before input 1 at 0\.1 s"):
        events_of("person", flags("###"), np.asarray([0.0, 0.1, 0.05]))
    with pytest.raises(InvalidInput, match="must not go back"):
        score_events({}, {}, {}, np.asarray([1.0, 0.0]))


def test_what_is_missing_is_named() -> None:
    there = flags("##########")
    events = {"person": events_of("person", there, times(10))}
    with pytest.raises(InvalidInput, match="events of 'person': `stated` must have one entry for each of 10 inputs"):
        score_events(events, {"person": there}, {"person": there[:5]}, times(10))
    with pytest.raises(InvalidInput, match="4 times for 3 inputs"):
        events_of("person", flags("###"), times(4))


def score(there: str, stated: str, *, late_s: float = 0.0, step_s: float = 0.1) -> EventScore:
    captured_s = times(len(there), step_s)
    truth, said = {"person": flags(there)}, {"person": flags(stated)}
    events = {"person": events_of("person", truth["person"], captured_s)}
    return score_events(events, truth, said, captured_s, delivered_s=captured_s + late_s)


def test_an_event_is_found_by_the_first_answer_within_it() -> None:
    found = score("..########..", ".....#......")
    assert (found.found, found.events, found.recall) == (1, 1, 1.0)
    assert found.delay_p50_s == pytest.approx(0.3)
    assert found.within == {2.0: 1.0, 10.0: 1.0}
    assert found.interval == interval(1, 1)


def test_an_answer_that_comes_when_the_event_is_over_finds_nothing() -> None:
    assert score("..########..", ".....#......", late_s=0.4).found == 1
    missed = score("..########..", ".....#......", late_s=0.5)
    assert missed.found == 0
    assert missed.delay_p50_s == missed.delay_p95_s == math.inf
    assert missed.within[10.0] == 0.0


def test_an_answer_to_an_input_before_the_event_does_not_find_it() -> None:
    assert score("..########..", ".#..........", late_s=0.3).found == 0


def test_a_stretch_without_events_has_no_recall() -> None:
    none = score("............", "............")
    assert (none.events, none.recall, none.f1, none.interval) == (0, None, None, (0.0, 1.0))
    assert none.false_minutes == 0.0
    assert math.isnan(none.delay_p50_s)


def test_false_time_is_what_is_stated_where_no_event_is() -> None:
    # Of 40 inputs 4 state something that is not there: a tenth of the day. A flicker that is there is no false one.
    found = score("..########" + "." * 20 + "#" + "." * 9, "." * 12 + "####" + "." * 14 + "#" + "." * 9)
    assert found.false_minutes == pytest.approx(144.0)
    assert score("######...######", "###############").false_minutes == 0.0  # a joined gap is part of the event


def test_an_answer_stands_for_a_second_at_most() -> None:
    captured_s = np.asarray([0.0, 1.0, 2.0, 3602.0])
    there, stated = {"person": flags("....")}, {"person": flags("..#.")}
    found = score_events({}, there, stated, captured_s)
    assert found.false_minutes == pytest.approx(1440.0 / 4)


def test_events_are_told_by_their_length() -> None:
    there = "#" * 11 + "." * 20 + "#" * 41 + "." * 20 + "#" * 111
    found = score(there, "#" * 11 + "." * (len(there) - 12) + "#")
    assert found.by_length == {"< 2 s": (1, 1), "2-10 s": (0, 1), "> 10 s": (1, 1)}
    assert found.within == {2.0: 1 / 3, 10.0: 1 / 3}
    assert found.delay_p95_s == math.inf


def test_the_event_f1_of_filterforward() -> None:
    found = score("##########..........", "#####.........#.....")
    recall, precision = 0.9 + 0.1 * 0.5, 5 / 6
    assert found.f1 == pytest.approx(2 * recall * precision / (recall + precision))
    assert score("##########....", "..............").f1 == 0.0


def test_an_event_that_is_played_twice_counts_once_by_its_first_play() -> None:
    there, captured_s = flags("..######.." * 3), times(30)
    source_s = np.tile(times(10), 3)
    events = {"person": events_of("person", there, captured_s, source_s=source_s)}
    assert [event.source for event in events["person"]] == [0, 0, 0]
    found = score_events(events, {"person": there}, {"person": np.arange(30) > 20}, captured_s)
    assert (found.events, found.found) == (1, 0)
    assert [event.first for event in distinct(events)] == [2]


def test_an_event_ends_where_its_source_begins_anew() -> None:
    events = events_of("person", np.ones(20, bool), times(20), source_s=np.tile(times(10), 2))
    assert [(event.first, event.last, event.source) for event in events] == [(0, 9, 0), (10, 19, 0)]


def test_events_that_come_by_chance_are_each_by_themselves() -> None:
    gaps = np.random.default_rng(0).exponential(30.0, 300)
    starts = np.cumsum(gaps + 2.0)
    clusters = clusters_of([one_event(start, start + 2.0) for start in starts])
    assert worth(clusters) == pytest.approx(300, rel=0.02)


@pytest.mark.parametrize("size", [2, 5])
def test_events_that_come_in_bunches_are_worth_as_many_as_there_are_bunches(size: int) -> None:
    random = np.random.default_rng(1)
    events = [
        one_event(start, start + 1.0)
        for visit in range(40)
        for start in 600.0 * visit + np.cumsum(1.0 + random.uniform(2.0, 5.0, size))
    ]
    assert worth(clusters_of(events)) == pytest.approx(40, rel=0.1)
    assert worth(clusters_of(events, cluster_s=3600.0)) < 2
    assert worth(clusters_of(events, cluster_s=0.0)) == len(events)


def test_bunches_widen_the_interval() -> None:
    events = [Event("person", 10 * i, 10 * i + 5, 10.0 * i, 10.0 * i + 5.0, source=i) for i in range(40)]
    captured_s, there = times(400, 1.0), {"person": np.zeros(400, bool)}
    stated = {"person": np.ones(400, bool)}
    apart = score_events({"person": events}, there, stated, captured_s, cluster_s=0.0)
    hour = score_events({"person": events}, there, stated, captured_s, cluster_s=3600.0)
    assert apart.interval == interval(40, 40)
    assert hour.interval == interval(1, 1)
    assert (apart.clusters, hour.clusters) == (40.0, 1.0)


def test_classes_of_every_kind() -> None:
    boxes = OutputSpec(kind="boxes", classes=("person", "car"))
    seen = presence([np.zeros((0, 6), np.float32), np.asarray([[0, 0, 1, 1, 0.9, 1]], np.float32)], boxes)
    assert {name: list(where) for name, where in seen.items()} == {"person": [False, False], "car": [False, True]}
    label = OutputSpec(kind="label", classes=("dry", "wet"))
    assert list(presence([np.asarray([0.4, 0.6], np.float32)], label)["wet"]) == [True]
    tags = OutputSpec(kind="multilabel", classes=("a", "b"))
    assert list(presence([np.asarray([0.5, 0.4], np.float32)], tags)["a"]) == [True]
    count = OutputSpec(kind="count")
    assert list(presence([np.asarray([n], np.float32) for n in (0, 2)], count)["something"]) == [False, True]
    tokens = OutputSpec(kind="tokens", length=9)
    assert list(presence([np.asarray([], int), np.asarray([3])], tokens)["something"]) == [False, True]
    mask = OutputSpec(kind="mask")
    assert list(presence([np.zeros((2, 2)), np.eye(2)], mask)["something"]) == [False, True]
    assert presence([np.zeros(1)], OutputSpec(kind="scalar")) == {}
    assert presence([], boxes)["car"].shape == (0,)


@given(
    there=st.lists(st.booleans(), min_size=1, max_size=120),
    said=st.lists(st.booleans(), min_size=120, max_size=120),
    steps=st.lists(st.floats(0.01, 3.0), min_size=120, max_size=120),
)
def test_events_are_apart_and_answers_only_add(there: list[bool], said: list[bool], steps: list[float]) -> None:
    captured_s = np.cumsum(steps[: len(there)])
    truth = np.asarray(there)
    stated = {"person": np.asarray(said[: len(there)])}
    events = events_of("person", truth, captured_s)
    for event, after in itertools.pairwise(events):
        assert event.last < after.first
    assert all(truth[event.first] and truth[event.last] and event.length_s >= 0.5 - 1e-5 for event in events)
    score = score_events({"person": events}, {"person": truth}, stated, captured_s)
    everything = score_events({"person": events}, {"person": truth}, {"person": np.ones(len(there), bool)}, captured_s)
    assert score.found <= everything.found == score.events == len(events)
    assert sum(count for _, count in score.by_length.values()) == len(events)
    assert 0.0 <= score.false_minutes <= everything.false_minutes <= 1440.0 + 1e-6
    late_s = delays(events, stated, captured_s)
    lengths = np.asarray([event.length_s for event in events])
    assert (late_s[np.isfinite(late_s)] <= lengths[np.isfinite(late_s)]).all()
