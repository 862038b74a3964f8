"""No coordinator for ten days: what was taken waits, as long as the spool's bounds let it, and goes out then."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from infilink.device import stream_run
from infilink.device.config import DeviceConfig
from infilink.device.stream_run import StreamRun
from infilink.device.summary import Summary
from infilink.device.uplink.spool import Spool
from infilink.models.spec import read_spec
from infilink.protos import edge_pb2

from ..clips import write_clip
from ..device.conftest import start_coordinator  # noqa: F401
from ..device.coordinator import Coordinator, result

FRAMES = 12
DAY_S = 86400.0


@pytest.fixture
def run_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Summary]:
    """Runs the agent so many days after the first run, by both of the machine's clocks."""
    clip = write_clip(tmp_path / "v.mp4", frames=FRAMES, fps=10)

    def run(days: float, address: str, *, keep_days: float) -> Summary:
        def open_spool(config: DeviceConfig, stream: str, *, live: bool) -> Spool:
            return Spool(
                config.spool,
                config.spool.folder / "_only.spool",
                live=live,
                monotonic=lambda: time.monotonic() + days * DAY_S,
                unix_ns=lambda: time.time_ns() + round(days * DAY_S * 1e9),
            )

        monkeypatch.setattr(stream_run, "open_spool", open_spool)
        values = {
            "name": "yard",
            "source": str(clip),
            "pace": "max",
            "queue": "all",
            "coordinator": address,
            "results": tmp_path / "r.sqlite",
            "connect_timeout_s": 0.2,
            "answer_timeout_s": 0.2 if days < 10 else 30.0,
            "spool": {"folder": tmp_path / "spool", "sync_every_s": 0.01, "age_s": keep_days * DAY_S},
        }
        clock_ns = lambda: time.time_ns() + round(days * DAY_S * 1e9)  # noqa: E731
        return StreamRun(DeviceConfig.model_validate(values), clock_ns=clock_ns).run()

    return run


@pytest.mark.parametrize(("keep_days", "answered"), [(30.0, FRAMES), (5.0, 0)])
def test_what_was_taken_goes_out_after_ten_days_unless_it_is_too_old(
    start_coordinator: Callable[..., Coordinator],  # noqa: F811
    tiny_models: Path,
    run_at: Callable[..., Summary],
    caplog: pytest.LogCaptureFixture,
    keep_days: float,
    answered: int,
) -> None:
    def answer(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
        return result(message.sequence, bright=1.0)

    nobody = start_coordinator()
    nobody.close()
    for days in (0.0, 4.0):
        summary = run_at(days, nobody.address, keep_days=keep_days)
    assert (summary.answered, summary.spooled) == (0, FRAMES)
    coordinator = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")}, answer=answer)
    summary = run_at(10.0, coordinator.address, keep_days=keep_days)
    assert summary.spooled == 0
    assert summary.answered == answered
    if not answered:
        assert any("older" in text or "age" in text for text in caplog.messages), caplog.messages
