"""A device whose disk takes nothing more: the agent answers on, says so, and ends in order."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from infilink.models.spec import read_spec
from infilink.protos import edge_pb2

from ..clips import write_clip
from ..device.conftest import start_coordinator  # noqa: F401
from ..device.coordinator import TIMEOUT_S, Coordinator, result

FRAMES = 150
ROOM = 40_000
"""Of each file: less than the results and the spool take, more than a frame in shared memory."""


def test_results_spool_and_log_without_room_cost_no_answer(
    start_coordinator: Callable[..., Coordinator],  # noqa: F811
    tiny_models: Path,
    tmp_path: Path,
) -> None:
    def answer(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
        return result(message.sequence, bright=1.0)

    coordinator = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")}, answer=answer)
    clip = write_clip(tmp_path / "v.mp4", frames=FRAMES, fps=30)
    config = tmp_path / "device.toml"
    config.write_text(
        f"name = 'yard'\nsource = '{clip}'\npace = 'max'\nqueue = 'all'\ncoordinator = '{coordinator.address}'\n"
        "results = 'r.sqlite'\n[spool]\nfolder = 'spool'\nsync_every_s = 0.01\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "infilink.cli", "device", "--config", str(config), "--json"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM)),
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["frames"], summary["answered"]) == (FRAMES, FRAMES)
    assert "the disk is full" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 20, "it is told, not repeated"
