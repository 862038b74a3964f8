"""The rendered street: repeatable, plausible in its rhythm, and true to its own truth."""

import json
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from infilink.examples.street import Street
from infilink.examples.street.backdrop import Backdrop
from infilink.examples.street.camera import HEIGHT, WIDTH, Camera
from infilink.examples.street.truth import CLASSES, CONDITIONS, Truth
from infilink.examples.street.video import truth_path, write_video


@pytest.fixture(scope="module")
def backdrop() -> Backdrop:
    return Backdrop(Camera())


def truths(street: Street, count: int, every: int) -> list[Truth]:
    return [truth for _, truth in street.frames(count, every=every)]


def test_the_same_seed_gives_the_same_frames_and_another_seed_others(backdrop: Backdrop) -> None:
    first, again, other = ([frame for frame, _ in Street(s, backdrop=backdrop).frames(5)] for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_frames_are_a_cameras(backdrop: Backdrop) -> None:
    frame, truth = next(iter(Street(0, backdrop=backdrop)))
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert frame.dtype == np.uint8
    assert truth.frame == 0


def test_true_boxes_lie_in_the_frame(backdrop: Backdrop) -> None:
    boxes = [box for truth in truths(Street(4, backdrop=backdrop), 60, 40) for box in truth.boxes]
    assert {box.kind for box in boxes} == set(CLASSES)
    for box in boxes:
        assert 0 <= box.x1 < box.x2 <= 1
        assert 0 <= box.y1 < box.y2 <= 1
        assert box.state in ("moving", "stopped", "parked")


def test_there_are_lulls_and_bursts(backdrop: Backdrop) -> None:
    moving = np.mean([truth.moving for seed in (0, 1) for truth in truths(Street(seed, backdrop=backdrop), 80, 30)])
    assert 0.2 < moving < 0.7


def test_a_day_has_every_light(backdrop: Backdrop) -> None:
    seen = {truth.conditions for truth in truths(Street(0, backdrop=backdrop, day_s=60), 60, 15)}
    assert seen <= set(CONDITIONS)
    assert {"dusk", "night"} & seen
    assert len(seen) >= 3


def test_a_video_has_its_frames_and_its_truth_beside_it(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_video(tmp_path / "a.mp4", 1.0, seed=5, progress=lambda done, total: told.append((done, total)))
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    lines = truth_path(tmp_path / "a.mp4").read_text().splitlines()
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == len(lines) == 15
    assert Truth.from_dict(json.loads(lines[3])).frame == 3
    assert told[-1] == (15, 15)


def test_truth_reads_back(backdrop: Backdrop) -> None:
    for truth in (truth for _, truth in islice(iter(Street(6, backdrop=backdrop)), 3)):
        assert Truth.from_dict(json.loads(json.dumps(truth.as_dict()))) == truth
