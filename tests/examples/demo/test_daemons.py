"""What a run is given: the same frames for the agent, the video and the figures."""

import threading
from pathlib import Path

import pytest
from infilink.device.capture import Capture
from infilink.device.config import DeviceConfig
from infilink.examples.demo.daemons import Stretch

from ...clips import write_clip


def test_a_stretch_holds_the_frames_that_the_agent_looks_at(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=40)
    stretch = Stretch(str(clip), 1.0, 2.0, 20, 3)
    config = DeviceConfig(
        name="d", source=str(clip), coordinator="h:1", pace="max", start_s=1.0, seconds=2.0, every=stretch.every
    )
    capture = Capture(config, threading.Event())
    looked_at = [(frame.sequence, frame.captured_s) for frame in capture]
    assert [(frame.sequence, frame.captured_s) for frame in stretch.read()] == looked_at
    assert len(looked_at) in (6, 7) and all(sequence % 3 == 0 for sequence, _ in looked_at)
    assert capture.fps == pytest.approx(stretch.fps)
