from itertools import cycle, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.device.governor.ladder import LEVELS, Ladder, Level, Pressure, Trend

VALUES = st.lists(st.tuples(st.floats(-1.0, 3.0), st.integers(1, 40)), min_size=1, max_size=30)


def pressed(value: float, highest: Level = Level.LOCAL) -> list[Pressure]:
    return [Pressure("heat", value, highest, f"at {value}")]


def trace(steps: list[tuple[float, int]]) -> list[float]:
    return [value for value, count in steps for _ in range(count)]


def walk(ladder: Ladder, values: list[float], highest: Level = Level.LOCAL) -> list[Level]:
    found = []
    for second, value in enumerate(values):
        ladder.look(pressed(value, highest), float(second))
        found.append(ladder.level)
    return found


def test_it_goes_up_one_level_where_a_reading_stays_at_its_limit_and_down_where_it_is_at_ease() -> None:
    ladder = Ladder(up_after_s=10, down_after_s=60)
    levels = walk(ladder, [1.0] * 12 + [0.5] * 100 + [0.0] * 62)
    assert levels[9] is Level.FULL
    assert levels[10] is Level.STRICTER
    # Between ease and limit it stays.
    assert set(levels[10:112]) == {Level.STRICTER}
    assert levels[-1] is Level.FULL


def test_a_reading_that_is_at_its_limit_for_a_moment_only_changes_nothing() -> None:
    assert set(walk(Ladder(up_after_s=10, down_after_s=60), [1.5, 1.5, 0.9] * 100)) == {Level.FULL}


def test_far_beyond_a_limit_it_does_not_wait() -> None:
    assert walk(Ladder(up_after_s=10, down_after_s=60), [2.0] * 5) == [*LEVELS[1:], Level.LOCAL]


def test_a_reading_pushes_no_higher_than_it_may_and_does_not_hold_what_is_higher() -> None:
    ladder = Ladder(up_after_s=10, down_after_s=60)
    assert max(walk(ladder, [3.0] * 100, Level.SLOWER)) is Level.SLOWER
    both = [Pressure("heat", 2.0, Level.LOCAL, "heat"), Pressure("memory", 1.0, Level.SLOWER, "memory")]
    for second in (100, 101, 102):
        ladder.look(both, second)
    assert (ladder.level, ladder.reason) == (Level.LOCAL, "heat")
    for second in range(103, 103 + 200):
        ladder.look(both[1:], second)
    assert ladder.level is Level.SLOWER


def test_where_the_reading_falls_already_it_goes_no_higher() -> None:
    ladder, trend = Ladder(up_after_s=10, down_after_s=60), Trend(10.0)
    values = [1.2] * 15 + [1.2 - 0.004 * second for second in range(50)] + [1.0] * 30
    levels = []
    for second, value in enumerate(values):
        ladder.look(trend.see(pressed(value), float(second)), float(second))
        levels.append(ladder.level)
    # Up while it stands still, not while it falls, and again where it falls no more.
    assert levels[14] is Level.STRICTER
    assert levels[30] == levels[64] < levels[-1]


def test_a_sensor_that_says_every_other_value_falls_not() -> None:
    trend = Trend(10.0)
    seen = [trend.see(pressed(1.0 + 0.1 * (second % 2)), float(second))[0].falls for second in range(100)]
    assert not any(seen[5:])


def test_levels_that_change_nothing_are_passed_over() -> None:
    ladder = Ladder(up_after_s=10, down_after_s=60)
    ladder.levels = (Level.FULL, Level.SLOWER, Level.LOCAL)
    levels = walk(ladder, [2.0] * 3 + [0.0] * 200)
    assert levels[:3] == [Level.SLOWER, Level.LOCAL, Level.LOCAL]
    assert levels[-1] is Level.FULL
    assert Level.FEATURES not in levels and Level.STRICTER not in levels


def test_where_it_must_go_up_again_soon_it_waits_longer_before_it_goes_down() -> None:
    ladder = Ladder(up_after_s=1, down_after_s=10)
    changes, level, climbed = 0, Level.FULL, []
    # A plant that is at ease at the second level and beyond its limit at the first: it would flap for ever.
    for second in range(3600):
        ladder.look(pressed(0.0 if ladder.level >= Level.STRICTER else 1.0), float(second))
        if ladder.level > level:
            climbed.append(second)
        changes += ladder.level is not level
        level = ladder.level
    waits = [later - sooner for sooner, later in pairwise(climbed)]
    assert waits[:4] == sorted(waits[:4]) and waits[3] >= 80
    assert changes < 60
    for second in range(3600, 4200):
        ladder.look([], float(second))
    assert ladder.level is Level.FULL
    # After as long in peace the wait is short again.
    walk(ladder, [])
    ladder.look(pressed(2.0), 9000.0)
    assert ladder.wait_s == 10


@given(VALUES)
def test_it_changes_seldom_and_one_level_at_a_time(steps: list[tuple[float, int]]) -> None:
    values = trace(steps)
    ladder = Ladder(up_after_s=5, down_after_s=20)
    levels = [Level.FULL, *walk(ladder, values)]
    moves = [(second, after - before) for second, (before, after) in enumerate(pairwise(levels))]
    assert all(abs(move) <= 1 for _, move in moves)
    falls = [second for second, move in moves if move < 0]
    assert all(later - sooner >= 20 for sooner, later in pairwise(falls))
    # So often up as down, but for what it has not come down from.
    assert sum(move > 0 for _, move in moves) <= len(falls) + len(LEVELS) - 1


@settings(max_examples=30)
@given(VALUES, st.lists(st.sampled_from((0.0, 0.5, 1.5)), min_size=1, max_size=50))
def test_more_pressure_never_means_a_lower_level(steps: list[tuple[float, int]], added: list[float]) -> None:
    less = trace(steps)
    more = [value + extra for value, extra in zip(less, cycle(added), strict=False)]
    lower, higher = (Ladder(up_after_s=5, down_after_s=20, longest=1.0) for _ in range(2))
    assert all(low <= high for low, high in zip(walk(lower, less), walk(higher, more), strict=True))


@given(VALUES)
@settings(max_examples=50)
def test_once_the_pressure_has_ended_it_comes_back_to_full(steps: list[tuple[float, int]]) -> None:
    ladder = Ladder(up_after_s=5, down_after_s=20)
    walk(ladder, trace(steps))
    start_s = len(trace(steps))
    for second in range(start_s, start_s + 4 * 16 * 20 + 5):
        ladder.look([], float(second))
    assert (ladder.level, ladder.reason) == (Level.FULL, "")
