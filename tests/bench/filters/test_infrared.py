"""The street's camera in infrared: it turns at dusk and back at dawn, and what is true stays true."""

import numpy as np
import pytest
from infilink.examples.street import Street
from infilink.examples.street.backdrop import Backdrop
from infilink.examples.street.camera import HEIGHT, WIDTH, Camera

from .infrared import InfraredStreet

DAY_S = 200.0
FPS = 2.0


@pytest.fixture(scope="module")
def backdrop() -> Backdrop:
    return Backdrop(Camera())


def drawn(street: Street, count: int, every: int) -> list[np.ndarray]:
    return [frame for frame, _ in street.frames(count, every)]


def test_it_turns_at_dusk_and_back_at_dawn_once_a_day(backdrop: Backdrop) -> None:
    street = InfraredStreet(1, FPS, day_s=DAY_S, start=0.0, backdrop=backdrop)
    modes, clocks = [], []
    for _ in range(int(DAY_S * FPS)):
        street.advance()
        modes.append(street.infrared)
        clocks.append(street.air.clock)
    turns = np.flatnonzero(np.diff(modes))
    assert len(turns) == 2 and not modes[0]
    dusk, dawn = (clocks[turn] for turn in turns)
    assert 0.40 < dusk < 0.46 and 0.95 < dawn < 1.0


def test_the_truth_is_that_of_the_street_and_by_day_so_is_the_picture(backdrop: Backdrop) -> None:
    options = {"day_s": DAY_S, "start": 0.35, "backdrop": backdrop}
    plain, other = Street(3, FPS, **options), InfraredStreet(3, FPS, **options)
    pairs = list(zip(plain.frames(8, 8), other.frames(8, 8), strict=True))
    assert all(truth == same for (_, truth), (_, same) in pairs)
    assert other.infrared
    difference = np.abs(pairs[0][0][0].astype(int) - pairs[0][1][0]).mean()
    # Another noise and other drops of rain, the same street.
    assert difference < 12
    assert np.abs(pairs[-1][0][0].astype(int) - pairs[-1][1][0]).mean() > 25


def test_in_infrared_it_is_grey_noisier_and_repeatable(backdrop: Backdrop) -> None:
    options = {"day_s": DAY_S, "start": 0.75, "backdrop": backdrop}
    frames = drawn(InfraredStreet(2, FPS, **options), 3, 1)
    again = drawn(InfraredStreet(2, FPS, **options), 3, 1)
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
    frame = frames[0]
    assert frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8
    assert np.array_equal(frame[..., 0], frame[..., 1]) and np.array_equal(frame[..., 0], frame[..., 2])
    plain = drawn(Street(2, FPS, **options), 1, 1)[0]
    corner = (slice(300, 330), slice(0, 60))
    assert frame[corner][..., 0].std() > plain[corner].mean(axis=2).std()


def test_warm_bodies_are_brighter_than_in_colour(backdrop: Backdrop) -> None:
    options = {"day_s": 1e5, "start": 0.72, "backdrop": backdrop}
    brighter = []
    for (frame, truth), (plain, _) in zip(
        InfraredStreet(5, FPS, **options).frames(12, 10), Street(5, FPS, **options).frames(12, 10), strict=True
    ):
        for box in truth.boxes:
            if box.kind == "person" and box.visible > 0.9:
                inside = (
                    slice(int(box.y1 * HEIGHT), int(box.y2 * HEIGHT) + 1),
                    slice(int(box.x1 * WIDTH), int(box.x2 * WIDTH) + 1),
                )
                brighter.append(frame[inside].mean() - frame.mean() > plain[inside].mean() - plain.mean() + 20)
    assert brighter and np.mean(brighter) > 0.9
