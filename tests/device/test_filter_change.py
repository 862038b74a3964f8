"""A filter comes from the coordinator: fetched, tried, taken between two inputs or refused, and gone back from."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.device import agent as agent_module
from infilink.device import rolled_out
from infilink.device.config import DeviceConfig
from infilink.device.filter_change import _check_kind
from infilink.device.rolled_out import RolledOut
from infilink.filters.modalities.signal import Signal
from infilink.filters.open_gate import open_gate
from infilink.filters.spec import Certificate
from infilink.models.spec import digest, read_spec
from infilink.outputs import OutputSpec
from infilink.protos import edge_pb2

from ..filters.made import FRAMES as SPEC
from ..filters.made import brightest, write_filter, write_reuse
from .conftest import wait_until
from .coordinator import Connection, Coordinator, result
from .test_gate_swap import CERTIFICATE, Stage, write_gate


class Site(Stage):
    """A device that runs, and an operator who wants filters on its stream."""

    number = 0

    def start(self, run_beside: Callable, gate: str = "all") -> Connection:
        self.write(gate)
        self.device = self.agent()
        self.done = run_beside(self.device)
        return self.coordinator.connection()

    @property
    def report(self) -> edge_pb2.Report:
        return self.device._keepers["door"].report()

    def want(self, connection: Connection, content: bytes | None, *, name: str = "new.onnx", **fields: object) -> str:
        """Wants a file, or the device's own gate; returns its digest."""
        Site.number += 1
        found = "" if content is None else hashlib.sha256(content).hexdigest()
        if content is not None:
            self.coordinator.filters.setdefault(found, content)
        values = {"digest": found, "size_bytes": len(content or b""), "name": name, "number": self.number, **fields}
        connection.reply(edge_pb2.CoordinatorMessage(filter=edge_pb2.WantedFilter(**values)))
        return found

    def settled(self) -> edge_pb2.FilterState:
        """What became of the last wish."""
        wait_until(lambda: self.report.filter.number == self.number)
        return self.report.filter

    def decides(self, found: str) -> None:
        wait_until(lambda: self.report.gate_digest == found[:16])

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in (self.path.parent / "filters").iterdir())


@pytest.fixture
def site(
    start_coordinator: Callable[..., Coordinator],
    tiny_models: Path,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    monkeypatch.setattr(agent_module, "_LOOK_EVERY_S", 0.02)
    coordinator = start_coordinator(
        {"bright": read_spec(tiny_models / "bright.onnx")},
        answer=lambda message: result(message.sequence, bright=1.0),
    )
    coordinator.welcome.modalities.append("image")
    return Site(tmp_path, coordinator, video)


def a_filter(folder: Path, threshold: float, **changes: object) -> bytes:
    path = folder / "made.onnx"
    fields = {"models": {"bright": "d0"}, "rule": "unchanged", "certificate": CERTIFICATE, "threshold": threshold}
    write_filter(path, brightest(), SPEC, **{**fields, **changes})
    return path.read_bytes()


UNPROVEN = Certificate(**{**CERTIFICATE.model_dump(), "certified": False, "method": "none: too few inputs"})


def test_filters_come_one_after_the_other_and_go_back(site: Site, run_beside: Callable, tmp_path: Path) -> None:
    own = write_gate(site.gate, threshold=2.0)
    connection = site.start(run_beside, "door.onnx")
    site.decides(own)
    state = site.report.filter
    assert (state.allowed, state.number, state.digest, state.refused) == ("proven", 0, "", "")
    first = site.want(connection, a_filter(tmp_path, 0.0))
    site.decides(first)
    state = site.settled()
    assert (state.digest, state.refused, state.doing) == (first, "", "") and state.since_us > 0
    # It keeps each input, where the one before kept none; of its own counts these are all.
    wait_until(lambda: site.report.filter.kept > 30)
    assert site.report.filter.kept <= site.report.filter.frames < site.report.frames

    second = site.want(connection, a_filter(tmp_path, 0.5), name="second one.onnx")
    site.decides(second)
    wait_until(lambda: site.kept == ["door.json", f"new.{first[:16]}.onnx", f"second one.{second[:16]}.onnx"])
    # What was there before is here still, and not asked for again.
    asked = len(site.coordinator.asked)
    site.want(connection, a_filter(tmp_path, 0.0))
    site.decides(first)
    assert len(site.coordinator.asked) == asked
    site.want(connection, None, name="")
    site.decides(own)
    assert site.settled().digest == "" and digest(site.gate) == own


def test_what_does_not_do_is_refused_in_words(site: Site, run_beside: Callable, tmp_path: Path) -> None:
    own = write_gate(site.gate, threshold=2.0)
    connection = site.start(run_beside, "door.onnx")
    good = a_filter(tmp_path, 0.0)
    lies = hashlib.sha256(b"lies").hexdigest()
    site.coordinator.filters[lies] = b"no lies"
    refusals = [
        (b"no filter", {}, "not an ONNX model"),
        (a_filter(tmp_path, 0.0, models={"other": "d0"}), {}, "learnt from other"),
        (a_filter(tmp_path, 0.0, certificate=UNPROVEN), {}, "it has no certificate (too few inputs)"),
        (good, {"digest": lies, "size_bytes": 7}, "it is not used"),
        (good, {"digest": "f" * 64}, "does not give it: there is no such filter"),
        (good, {"digest": "../../etc/passwd"}, "`digest`: the SHA-256"),
        (good, {"name": "../evil.onnx"}, "`name`: 1 to 120 letters"),
        (good, {"size_bytes": 2**40}, "1 to 33554432 are taken"),
        (good, {"size_bytes": 10}, "more came than the 10 bytes"),
    ]
    for content, fields, why in refusals:
        site.want(connection, content, **fields)
        state = site.settled()
        assert why in state.refused, state.refused
        assert state.digest == "" and site.report.gate_digest == own
    found = site.want(connection, good)
    site.decides(found)
    # Of what was refused nothing is left.
    wait_until(lambda: site.kept == ["door.json", f"new.{found[:16]}.onnx"])


def test_what_answers_for_models_comes_by_hand_alone(tmp_path: Path) -> None:
    spec = OutputSpec(kind="label", classes=("a", "b"))
    signal = Signal(steps=8, mean=(0.0,), scale=(1.0,))
    for gate in (open_gate(write_reuse(tmp_path / "reuse.onnx", signal, spec)), open_gate("all")):
        with pytest.raises(ValueError, match="it is no filter"):
            _check_kind(gate)


def test_what_was_cut_off_goes_on_where_it_broke(site: Site, run_beside: Callable, tmp_path: Path) -> None:
    connection = site.start(run_beside)
    content = a_filter(tmp_path, 0.0)
    found = hashlib.sha256(content).hexdigest()
    site.coordinator.cut.add(found)
    site.want(connection, content)
    wait_until(lambda: site.coordinator.asked and not site.report.filter.doing)
    assert site.report.filter.number == 0, "nothing is settled: the coordinator says it again"
    site.want(connection, content)
    site.decides(found)
    assert [each.offset_bytes for each in site.coordinator.asked] == [0, 10]


def test_the_settings_say_whether_any_may_come(site: Site, run_beside: Callable, tmp_path: Path) -> None:
    top = site._top
    site._top = top + 'filters = { from_coordinator = "no" }\n'
    connection = site.start(run_beside)
    site.want(connection, a_filter(tmp_path, 0.0))
    assert 'from_coordinator = "no"' in site.settled().refused
    site._top = top + 'filters = { from_coordinator = "any" }\n'
    site.write("all")
    connection = site.coordinator.connection()
    found = site.want(connection, a_filter(tmp_path, 0.0, certificate=UNPROVEN))
    site.decides(found)
    assert site.report.uncertified


def test_the_devices_own_hand_wins(site: Site, run_beside: Callable, tmp_path: Path) -> None:
    write_gate(site.gate, threshold=2.0)
    connection = site.start(run_beside, "door.onnx")
    found = site.want(connection, a_filter(tmp_path, 0.0))
    site.decides(found)
    other = write_gate(site.gate, threshold=0.7)
    site.decides(other)
    assert "is another file since then" in site.report.filter.refused
    site.decides(site.want(connection, a_filter(tmp_path, 0.1)))
    site.write("every:5")
    wait_until(lambda: site.report.gate_name == "every:5")
    assert "names another gate since then: every:5" in site.report.filter.refused


def test_it_lasts_and_a_damaged_one_gives_way(site: Site, run_beside: Callable, tmp_path: Path) -> None:
    connection = site.start(run_beside)
    first = site.want(connection, a_filter(tmp_path, 0.0))
    site.decides(first)
    second = site.want(connection, a_filter(tmp_path, 0.5))
    site.decides(second)
    site.device.stop()
    site.done.join()

    site.done = run_beside(again := site.agent())
    site.device = again
    site.coordinator.connection()
    site.decides(second)
    assert site.report.filter.digest == second
    again.stop()
    site.done.join()
    path = tmp_path / "filters" / f"new.{second[:16]}.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    site.device = site.agent()
    site.done = run_beside(site.device)
    site.coordinator.connection()
    site.decides(first)
    assert "damaged" in site.report.filter.refused


def test_what_ends_the_agent_is_not_tried_for_ever(tmp_path: Path) -> None:
    found = rolled_out.FilterFile(name="new.onnx", digest=hashlib.sha256(b"new").hexdigest())
    own = DeviceConfig(name="door", source="0", coordinator="127.0.0.1:1")

    def begin() -> RolledOut:
        kept = RolledOut(tmp_path, "")
        kept.begin(own)
        return kept

    kept = begin()
    kept.save(lambda now: now.model_copy(update={"number": 7, "wanted": found, "gate": "all"}))
    for _ in range(2):
        kept.attempt()
        kept = begin()  # Killed meanwhile.
    kept.attempt()
    kept = begin()
    with pytest.raises(ValueError, match="ended 3 times while it was opened"):
        kept.attempt()

    # One that was opened, and ends the agent as soon as it decides; ends in order do not count.
    kept.put(found, b"new")
    kept.save(lambda now: now.shown())
    kept.attempt()
    kept.save(lambda now: now.use(found, now_us=1))
    for _ in range(5):
        kept.close()
        kept = begin()
        assert kept.entry.used == found
    for _ in range(2):
        kept = begin()
    kept = begin()
    assert kept.entry.used is None and "ended 3 times before it had decided" in kept.entry.refused


class Cut(BaseException):
    """The power is gone."""


@pytest.mark.parametrize("after", range(8))
def test_a_power_cut_at_any_write_leaves_one_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    own = DeviceConfig(name="door", source="0", coordinator="127.0.0.1:1")
    old, new = (
        rolled_out.FilterFile(name=f"{name}.onnx", digest=hashlib.sha256(name.encode()).hexdigest())
        for name in ("old", "new")
    )

    def roll_out(kept: RolledOut, number: int, found: rolled_out.FilterFile, content: bytes) -> None:
        kept.save(lambda now: now.shown().model_copy(update={"number": number, "wanted": found, "gate": "all"}))
        kept.put(found, content)
        kept.attempt()
        kept.save(lambda now: now.use(found, now_us=number))

    roll_out(RolledOut(tmp_path, ""), 1, old, b"old")
    left = [after]

    def sync(_: int) -> None:
        if not left[0]:
            raise Cut
        left[0] -= 1

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", sync)
        with pytest.raises(Cut):
            roll_out(RolledOut(tmp_path, ""), 2, new, b"new")
    # What a process leaves that has no time for anything.
    cut_off = [tmp_path / f"{name}.7-8.part" for name in ("_.json", "gone.0123.onnx")]
    other = tmp_path / "other.json.7-8.part"
    for path in (*cut_off, other):
        path.touch()
    kept = RolledOut(tmp_path, "")
    kept.begin(own)
    assert kept.entry.used in (old, new) and kept.is_whole(kept.entry.used)
    kept.save(lambda now: now)
    assert not any(path.exists() for path in cut_off) and other.exists(), "another agent may write that"
    # The last sync is that of the folder, behind the rename.
    assert (kept.entry.used == new) == (after == 7)


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    kept = RolledOut(tmp_path / "filters", "")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="the disk is full"):
        kept.put(rolled_out.FilterFile(name="new.onnx", digest="0" * 64), b"new")
    assert not [*tmp_path.glob("filters/*")]
    with pytest.raises(ValueError, match="give `folder`"):
        RolledOut(None, "").put(rolled_out.FilterFile(name="new.onnx", digest="0" * 64), b"new")


def test_one_that_drops_far_more_than_when_it_was_calibrated_gives_way(
    site: Site, run_beside: Callable, tmp_path: Path
) -> None:
    connection = site.start(run_beside)
    few = Certificate(**{**CERTIFICATE.model_dump(), "rate": 0.05, "rate_interval": (0.0, 0.1)})
    site.decides(site.want(connection, a_filter(tmp_path, 2.0, certificate=few)))
    wait_until(lambda: site.report.gate_name == "all")
    assert "drops far more than when it was calibrated: 100% of the inputs" in site.report.filter.refused


def test_where_the_models_are_others_the_own_gate_decides_and_the_device_stays(
    site: Site, run_beside: Callable, tmp_path: Path
) -> None:
    site.coordinator.welcome.digests["bright"] = "d0"
    connection = site.start(run_beside)
    site.decides(site.want(connection, a_filter(tmp_path, 0.0)))
    site.coordinator.welcome.digests["bright"] = "d1"
    connection.end()
    connection = site.coordinator.connection()
    wait_until(lambda: site.report.gate_name == "all")
    assert "learnt from another version of bright" in site.report.filter.refused
    site.decides(site.want(connection, a_filter(tmp_path, 0.5, models={"bright": "d1"})))
