"""The governor on a simulated device: a heat model, a battery, a link."""

import logging
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from infilink.device.governor.governor import Governor
from infilink.device.governor.ladder import LEVELS, Level
from infilink.device.governor.sensors import Readings, Sensors
from infilink.device.governor.settings import GovernorSettings
from infilink.device.governor.stream_level import StreamLevel
from infilink.device.governor.traffic import Counts

# What of the full load is left on each level: the decoder goes on, gate and encoder see less.
LOAD_W = (4.2, 3.6, 2.6, 2.3, 1.9)
IDLE_W = 1.8
# A small board without a fan: 9 K a watt to the air, and minutes to warm up.
RESISTANCE_K_PER_W = 9.0
CAPACITY_J_PER_K = 25.0
THROTTLES_C = 82.0


class Device:
    """A clock, sensors that say what they are told, a stream that counts so, and the governor that looks at them."""

    levels = LEVELS

    def counts(self) -> Counts:
        return self.counted

    def __init__(self, **settings: Any) -> None:
        self.now_s = 0.0
        self.readings = Readings()
        self.counted = Counts()
        sensors = cast(Sensors, SimpleNamespace(read=lambda now_s: self.readings))
        # As on a small board, wherever this runs.
        settings = {"temperature_c": 75.0, **settings}
        self.governor = Governor(GovernorSettings(**settings), sensors, clock=lambda: self.now_s)

    def look(self) -> Level:
        self.now_s += 1.0
        self.governor.look()
        return self.governor.level


def warm(device: Device, ambient_c: float, temperature_c: float, seconds: int) -> tuple[list[float], list[Level]]:
    """So long in such a room: every second's temperature and level."""
    temperatures, levels = [], []
    for _ in range(seconds):
        power_w = IDLE_W + LOAD_W[device.governor.level]
        temperature_c += (power_w - (temperature_c - ambient_c) / RESISTANCE_K_PER_W) / CAPACITY_J_PER_K
        device.readings = replace(device.readings, temperature_c=temperature_c)
        temperatures.append(temperature_c)
        levels.append(device.look())
    return temperatures, levels


def moves(levels: list[Level]) -> int:
    return sum(before is not after for before, after in pairwise(levels))


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def joined(device: Device) -> Any:
    with device.governor.governs("door", device):
        yield device


def test_a_day_of_heat_stays_below_where_the_board_throttles_and_ends_at_full(joined: Device) -> None:
    morning, cool = warm(joined, 18.0, 25.0, 1800)
    noon, hot = warm(joined, 34.0, morning[-1], 5400)
    worst, hottest = warm(joined, 42.0, noon[-1], 3600)
    _, after = warm(joined, 18.0, worst[-1], 3600)
    # In a cool room nothing is left out, and without the governor noon would throttle it.
    assert set(cool) == {Level.FULL}
    assert 34.0 + RESISTANCE_K_PER_W * (IDLE_W + LOAD_W[0]) > THROTTLES_C
    assert max(noon) < THROTTLES_C and max(worst) < THROTTLES_C
    assert max(hot) < max(hottest)
    assert (after[-1], joined.governor.reason) == (Level.FULL, "")
    # No flapping: less than one change in ten minutes, on average and in the worst hours.
    assert moves(hot) <= 10 and moves(hottest) <= 8


def test_why_is_said_once_for_every_change(joined: Device, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    warm(joined, 34.0, 70.0, 900)
    texts = [record.getMessage() for record in caplog.records]
    assert "stricter filter (was: full): 7" in texts[0] and "`temperature_c` is 75" in texts[0]
    assert len(texts) == len(set(texts)) <= 4


def test_a_battery_that_runs_down_is_spared_up_to_sending_nothing(joined: Device) -> None:
    levels = []
    for second in range(2000):
        joined.readings = Readings(battery_share=0.35 - second * 0.0002)
        levels.append(joined.look())
    assert levels[0] is Level.FULL and levels[-1] is Level.LOCAL
    assert levels == sorted(levels)
    joined.readings = Readings()  # It is charged.
    assert [joined.look() for _ in range(300)][-1] is Level.FULL


def test_a_link_that_takes_less_than_is_kept_presses_up_to_features_alone(joined: Device) -> None:
    for second in range(200):
        joined.counted = Counts(kept=10 * second, lost=6 * second, sent_bytes=1000 * second, round_trip_s=0.5)
        level = joined.look()
    assert level is Level.FEATURES
    assert "60% of what is kept" in joined.governor.reason


def test_a_long_round_trip_counts_while_something_is_kept(joined: Device) -> None:
    for second in range(60):
        joined.counted = Counts(kept=second, sent_bytes=second, round_trip_s=30.0)
        joined.look()
    assert joined.governor.readings.round_trip_s == 30.0
    assert joined.governor.level >= Level.STRICTER
    for _ in range(400):
        joined.look()
    assert joined.governor.level is Level.FULL


def test_memory_and_flags_press_no_higher_than_a_lower_rate(joined: Device) -> None:
    joined.readings = Readings(memory_free_share=0.0, throttled=("throttled",))
    assert [joined.look() for _ in range(100)][-1] is Level.SLOWER


def test_what_is_switched_off_or_beyond_the_highest_level_is_not_reached() -> None:
    device = Device(temperature_c=0, highest="stricter")
    with device.governor.governs("door", device):
        device.readings = Readings(temperature_c=120.0)
        assert device.look() is Level.FULL
        device.readings = Readings(battery_share=0.01)
        assert [device.look() for _ in range(100)][-1] is Level.STRICTER


def test_without_a_stream_that_could_leave_something_out_it_stays_at_full(device: Device) -> None:
    device.readings = Readings(temperature_c=120.0)
    assert [device.look() for _ in range(30)][-1] is Level.FULL


def test_its_thread_outlives_sensors_that_fail(caplog: pytest.LogCaptureFixture) -> None:
    looked = threading.Event()

    def read(now_s: float) -> Readings:
        looked.set()
        raise OSError("broken")

    governor = Governor(GovernorSettings(), cast(Sensors, SimpleNamespace(read=read)), look_every_s=0.001)
    governor.start()
    assert looked.wait(30.0)
    governor.close()
    governor.close()
    assert "can't look" in caplog.text


def test_a_stream_takes_one_of_every_few_inputs_at_a_lower_rate_and_carries_out_each_level_once(
    joined: Device,
) -> None:
    changes: list[Level] = []
    stream = StreamLevel(joined.governor, every=3, change=changes.append)
    assert [stream.takes() for _ in range(4)] == [True] * 4
    joined.governor.level, joined.governor.reason = Level.SLOWER, "heat"
    assert [stream.takes() for _ in range(7)] == [True, False, False] * 2 + [True]
    assert (stream.left_out, stream.reason) == (4, "heat")
    joined.governor.level = Level.FULL
    assert stream.takes() and stream.takes()
    assert changes == [Level.SLOWER, Level.FULL]
    assert StreamLevel(None, every=2, change=changes.append).takes()


def test_a_stream_carries_out_no_level_that_changes_nothing_there(joined: Device) -> None:
    changes: list[Level] = []
    stream = StreamLevel(joined.governor, every=2, change=changes.append)
    stream.levels = (Level.FULL, Level.SLOWER)
    for level in (Level.STRICTER, Level.FEATURES, Level.LOCAL, Level.FULL):
        joined.governor.level = level
        stream.takes()
    assert changes == [Level.SLOWER, Level.FULL]


def test_settings_take_sizes_and_speeds_as_people_write_them() -> None:
    found = GovernorSettings.model_validate({"disk_free_bytes": "1GB", "send_bytes_per_s": "64kbit"})
    assert (found.disk_free_bytes, found.send_bytes_per_s) == (10**9, 8000.0)
    with pytest.raises(ValueError, match="disk_free"):
        GovernorSettings.model_validate({"disk_free_bytes": "much"})


def test_the_settings_name_a_folder_for_the_system_s_figures() -> None:
    assert GovernorSettings().sysfs == Path("/sys")
