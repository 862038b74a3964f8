from pathlib import Path

import pytest
from infilink.device.governor.sensors import Readings, Sensors


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def sensors(sysfs: Path, *folders: Path, free: int = 50) -> Sensors:
    return Sensors(folders, sysfs=sysfs, cpu_times=lambda: (0.0, 0.0), memory=lambda: (free, 100))


def test_what_is_not_there_is_not_known(tmp_path: Path) -> None:
    assert sensors(tmp_path).read(0.0) == Readings(memory_free_share=0.5)


def test_the_processor_s_hottest_zone_counts(tmp_path: Path) -> None:
    zones = tmp_path / "class" / "thermal"
    for number, (kind, value) in enumerate((("cpu-thermal", "61200"), ("cpu1-thermal", "64000"), ("battery", "99000"))):
        write(zones / f"thermal_zone{number}" / "type", kind)
        write(zones / f"thermal_zone{number}" / "temp", value)
    assert sensors(tmp_path).read(0.0).temperature_c == 64.0


@pytest.mark.parametrize("text", ["", "nonsense", "-273000", "0", "999000"])
def test_a_zone_that_says_no_temperature_is_not_known(tmp_path: Path, text: str) -> None:
    write(tmp_path / "class" / "thermal" / "thermal_zone0" / "type", "soc")
    write(tmp_path / "class" / "thermal" / "thermal_zone0" / "temp", text)
    assert sensors(tmp_path).read(0.0).temperature_c is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", ()),
        ("50000", ()),
        ("50005", ("throttled", "voltage too low")),
        ("throttled=0x8", ("soft temperature limit",)),
        ("?", ()),
    ],
)
def test_the_firmware_s_flags_of_now_count(tmp_path: Path, text: str, said: tuple[str, ...]) -> None:
    write(tmp_path / "devices" / "platform" / "soc" / "soc:firmware" / "get_throttled", text)
    assert sensors(tmp_path).read(0.0).throttled == said


@pytest.mark.parametrize(("status", "share"), [("Discharging", 0.17), ("Charging", None), ("Full", None)])
def test_a_battery_counts_while_it_is_discharged(tmp_path: Path, status: str, share: float | None) -> None:
    supplies = tmp_path / "class" / "power_supply"
    for name, value in (("type", "Battery"), ("capacity", "17"), ("status", status)):
        write(supplies / "BAT0" / name, value)
    for name, value in (("type", "Battery"), ("scope", "Device"), ("capacity", "2"), ("status", "Discharging")):
        write(supplies / "mouse" / name, value)
    assert sensors(tmp_path).read(0.0).battery_share == share


@pytest.mark.parametrize("said", ["-1", "nan", "255", "unknown", ""])
def test_what_no_battery_can_have_is_no_reading(tmp_path: Path, said: str) -> None:
    for name, value in (("type", "Battery"), ("capacity", said), ("status", "Discharging")):
        write(tmp_path / "class" / "power_supply" / "BAT0" / name, value)
    assert sensors(tmp_path).read(0.0).battery_share is None


def test_a_container_s_memory_counts_where_it_is_nearer_to_its_end(tmp_path: Path) -> None:
    group = tmp_path / "fs" / "cgroup"
    write(group / "memory.max", "1000")
    write(group / "memory.current", "950")
    write(group / "memory.stat", "anon 800\ninactive_file 150")
    assert sensors(tmp_path).read(0.0).memory_free_share == pytest.approx(0.2)
    write(group / "memory.max", "max")
    assert sensors(tmp_path).read(0.0).memory_free_share == 0.5


def test_the_processors_are_known_after_a_minute(tmp_path: Path) -> None:
    times = iter([(0.0, 0.0), (30.0, 60.0), (110.0, 120.0), (120.0, 180.0)])
    watched = Sensors(sysfs=tmp_path, cpu_times=lambda: next(times), memory=lambda: (1, 2))
    shares = [watched.read(second).cpu_share for second in (0.0, 30.0, 60.0, 90.0)]
    assert shares == [None, None, pytest.approx(110 / 120), pytest.approx(90 / 120)]


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_parent_s(tmp_path: Path) -> None:
    free_bytes = sensors(tmp_path, tmp_path / "later" / "on").read(0.0).disk_free_bytes
    assert free_bytes is not None and free_bytes > 0


def test_this_machine_can_be_read() -> None:
    found = Sensors([Path.cwd()]).read(0.0)
    assert found.memory_free_share is not None and 0.0 < found.memory_free_share <= 1.0


def test_what_may_not_be_asked_keeps_nothing_else_from_being_read(tmp_path: Path) -> None:
    def hidden() -> tuple[float, float]:
        raise PermissionError("/proc/stat")

    write(tmp_path / "class" / "thermal" / "thermal_zone0" / "temp", "61200")
    write(tmp_path / "fs" / "cgroup" / "memory.max", "1000")
    write(tmp_path / "fs" / "cgroup" / "memory.current", "900")
    write(tmp_path / "fs" / "cgroup" / "memory.stat", "nonsense")
    found = Sensors((tmp_path,), sysfs=tmp_path, cpu_times=hidden, memory=lambda: (50, 100)).read(0.0)
    assert (found.temperature_c, found.cpu_share, found.memory_free_share) == (61.2, None, None)
    assert found.disk_free_bytes
