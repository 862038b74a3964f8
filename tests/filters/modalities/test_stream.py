import numpy as np
import pytest
from infilink.filters.modalities.stream import SCALARS, SIDE, Background, Channels, Shrinker, previous
from infilink.filters.training.replay import Replay, sample_pairs
from infilink.traces.trace import Trace


def scalar(channels: Channels, name: str) -> float:
    return float(channels.scalars[0, SCALARS.index(name)])


def flat(value: int, shape=(120, 160, 3)) -> np.ndarray:
    return np.full(shape, value, np.uint8)


@pytest.mark.parametrize("shape", [(360, 640, 3), (1080, 1920, 3), (96, 96, 3), (50, 900, 3), (225, 113, 3)])
def test_a_frame_of_any_size_becomes_the_small_picture(shape):
    frame = np.zeros(shape, np.uint8)
    frame[:, shape[1] // 2 :] = 200
    picture = Shrinker().shrink(frame)
    assert picture.shape == (SIDE, SIDE)
    assert picture[:, :50].max() == 0 and picture[:, 62:].min() == 200


def test_the_reference_of_a_pairwise_rule_is_the_last_kept_frame():
    channels = Channels(pairwise=True)
    channels.see(flat(100), 0.0)
    channels.see(flat(110), 1.0)
    channels.see(flat(120), 2.0)
    assert scalar(channels, "difference") == pytest.approx(20 / 255, abs=1e-6)
    assert scalar(channels, "age") == pytest.approx(np.log1p(2.0))
    channels.kept()
    channels.see(flat(125), 3.0)
    assert scalar(channels, "difference") == pytest.approx(5 / 255, abs=1e-6)
    assert scalar(channels, "age") == pytest.approx(np.log1p(1.0))


def test_the_reference_of_a_rule_on_one_input_is_the_previous_frame():
    channels = Channels(pairwise=False)
    for i, value in enumerate((100, 110, 120)):
        channels.see(flat(value), float(i))
    assert scalar(channels, "difference") == pytest.approx(10 / 255, abs=1e-6)


def test_motion_means_the_same_at_any_frame_rate():
    def motion(fps: int) -> float:
        channels = Channels(pairwise=True, step_s=0.19)
        for i in range(2 * fps + 1):
            frame = flat(80)
            frame[40:80, int(40 * i / fps) : int(40 * i / fps) + 30] = 200
            channels.see(frame, i / fps)
        return scalar(channels, "motion 16")

    assert motion(5) == pytest.approx(motion(30), abs=0.15)


def test_the_background_counts_seconds_not_frames():
    def after(fps: int) -> float:
        background, out = Background(), np.empty((SIDE, SIDE), np.uint8)
        for i in range(40 * fps):
            background.difference(np.full((SIDE, SIDE), 100, np.uint8), i / fps, out)
        for i in range(10 * fps):
            background.difference(np.full((SIDE, SIDE), 200, np.uint8), 40 + i / fps, out)
        return float(out.mean())

    assert after(2) == pytest.approx(after(15), abs=2.0)


def test_a_reset_forgets_the_stream():
    fresh, used = Channels(pairwise=True), Channels(pairwise=True)
    for i in range(30):
        used.see(flat(i * 8), i / 10)
    used.reset()
    for channels in (fresh, used):
        channels.see(flat(50), 7.0)
        channels.see(flat(60), 7.1)
    assert np.array_equal(fresh.tensor, used.tensor)
    assert np.allclose(fresh.scalars, used.scalars)


@pytest.mark.parametrize("pairwise", [True, False])
def test_a_replay_shows_what_the_runtime_sees(trace, pairwise):
    replay = Replay(trace, pairwise=pairwise)
    channels = Channels(pairwise=pairwise, step_s=replay.step_s)
    kept = 0
    for j, (frame, captured_s) in enumerate(zip(trace.part(0, 40).frames(), trace.captured_s[:40], strict=True)):
        channels.see(frame, float(captured_s))
        pair = np.asarray([kept]), np.asarray([j])
        image = replay.images(*pair)[0].transpose(2, 0, 1).astype(np.float32) / 255
        assert np.allclose(channels.tensor[0], image, atol=1e-6)
        assert np.allclose(channels.scalars, replay.scalars(*pair), atol=1e-5)
        if j % 7 == 6:
            channels.kept()
            kept = j


def test_the_previous_input_is_the_newest_that_is_old_enough():
    times = np.asarray([0.0, 0.1, 0.2, 0.3, 1.0])
    assert previous(times, 0.05).tolist() == [0, 0, 1, 2, 3]
    assert previous(times, 0.15).tolist() == [0, 0, 0, 1, 3]


def test_pairs_are_drawn_at_every_age_from_one_step_on(trace_path):
    with Trace(trace_path) as trace:
        replay = Replay(trace, pairwise=True)
    random = np.random.default_rng(0)
    pairs = [sample_pairs(replay, 0, 200, random) for _ in range(10)]
    lags = np.concatenate([each.current - each.kept for each in pairs])
    # Log-uniform from 1 to 100 steps: a tenth of the draws per 10 % of the logarithm.
    assert lags.min() == 1 and lags.max() > 80
    assert np.mean(lags == 1) == pytest.approx(np.log10(2) / 2, abs=0.05)
