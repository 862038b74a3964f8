"""Masked pixels: every one that a polygon touches is black, wherever the picture goes from there."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.device.config import DeviceConfig
from infilink.device.mask import Mask
from infilink.device.stream_run import StreamRun
from infilink.errors import InvalidInput
from infilink.filters.rules.zones import Zone
from infilink.models.inputs.form import PICTURES, InputForm
from infilink.models.inputs.joint import join
from infilink.models.spec import read_spec
from infilink.models.stem.stem import Stem
from infilink.protos.features import FeatureRange

from ..filters.stems import write_stem
from .coordinator import Coordinator, result

BOX = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
SHARE = st.floats(0.0, 1.0)


def white(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def test_what_lies_in_a_polygon_is_black_and_the_rest_is_as_it_was() -> None:
    frame = white(40, 80)
    assert Mask([BOX]).apply(frame) is frame, "no copy"
    assert not frame[10:30, 20:60].any()
    # A pixel beyond the border, no more.
    assert frame[:8].all() and frame[32:].all() and frame[:, :18].all() and frame[:, 62:].all()


@given(
    st.tuples(SHARE, SHARE), st.tuples(SHARE, SHARE), st.tuples(SHARE, SHARE), st.integers(1, 60), st.integers(1, 90)
)
def test_no_pixel_that_a_polygon_touches_is_left(one, two, three, height: int, width: int) -> None:
    try:
        zone = Zone("mask", (one, two, three))
    except InvalidInput:
        return
    black = Mask([zone.points]).covered(height, width)
    # Points of the polygon itself: its corners, and a grid of those within.
    weights = np.random.default_rng(0).dirichlet([1, 1, 1], 200)
    points = np.concatenate([np.asarray(zone.points), weights @ np.asarray(zone.points)])
    columns = np.minimum((points[:, 0] * width).astype(int), width - 1)
    rows = np.minimum((points[:, 1] * height).astype(int), height - 1)
    assert black[rows, columns].all()


def test_frames_of_another_size_and_windows_are_masked_too() -> None:
    mask = Mask([BOX])
    mask.apply(white(40, 80))
    assert not mask.apply(white(20, 20))[5:15, 5:15].any()
    window = np.full((3, 20, 20, 3), 255, np.uint8)
    assert not mask.apply(window)[:, 5:15, 5:15].any() and window[:, :3].all()
    both = join(seen=white(20, 20), heard=np.ones(9, np.float32))
    assert not mask.apply(both)["seen"][5:15, 5:15].any() and both["heard"].all()


def test_a_frame_that_can_not_be_written_is_copied() -> None:
    frame = white(20, 20)
    frame.flags.writeable = False
    masked = Mask([BOX]).apply(frame)
    assert frame.all() and not masked[5:15, 5:15].any()


def test_without_polygons_nothing_is_done() -> None:
    frame = white(4, 4)
    frame.flags.writeable = False
    assert Mask([]).apply(frame) is frame


def test_a_stream_without_pictures_has_nothing_to_mask() -> None:
    Mask([]).check(InputForm(modality="text"))
    Mask([BOX]).check(PICTURES)
    with pytest.raises(InvalidInput, match="`mask` blackens parts of pictures, and this source gives text"):
        Mask([BOX]).check(InputForm(modality="text"))


def write_exact(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """A clip that keeps every bit of its frames."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 10, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gate": "difference:0.01"},
        {"send": "ask", "stem": "stem.onnx"},
        {"local": "models", "local_models": ["bright"]},
    ],
    ids=["frames", "gate", "stem, and frames that are kept to be asked for", "models here"],
)
def test_nothing_that_leaves_hangs_on_what_is_masked(
    settings: dict[str, object], start_coordinator: Callable[..., Coordinator], tiny_models: Path, tmp_path: Path
) -> None:
    """Two cameras that show the same but for what is masked send the same bytes."""
    stem = Stem(write_stem(tmp_path / "stem.onnx"))
    paths = {"stem.onnx": stem.path, "models": tiny_models}
    given = {key: paths.get(str(value), value) for key, value in settings.items()}
    spec = read_spec(tiny_models / "bright.onnx")
    messages: list[list[bytes]] = []
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        frames = [np.full((96, 128, 3), 20 + 20 * i, np.uint8) for i in range(6)]
        for frame in frames:
            # A pixel away from the border: clips share colours between neighbours.
            frame[25:71, 33:95] = random.integers(0, 256, (46, 62, 3))
        coordinator = start_coordinator({"bright": spec}, answer=lambda m: result(m.sequence, bright=1.0))
        coordinator.welcome.features.CopyFrom(
            FeatureRange.of(np.zeros(stem.spec.length), np.ones(stem.spec.length)).as_message()
        )
        values = {"name": "d", "source": write_exact(tmp_path / f"{seed}.avi", frames), "pace": "max", "queue": "all"}
        values |= {"coordinator": coordinator.address, "mask": [BOX], **given}
        config = DeviceConfig.model_validate(values | {"source": str(values["source"])})
        assert StreamRun(config).run().kept > 1
        connection = coordinator.connection()
        sent = [connection.input() for _ in range(2)]
        for message in sent:
            # When it was read, which is no part of what was seen.
            assert message.captured_unix_ns
            message.ClearField("captured_unix_ns")
        messages.append([message.SerializeToString(deterministic=True) for message in sent])
    assert messages[0] == messages[1]
