"""One feed for all that runs a filter's graph: what it gives is what the graph says of the prepared input."""

import numpy as np
import pytest
from infilink.filters.gates.learned import Feed
from infilink.filters.modalities import fit_modality
from infilink.filters.modalities.stream import Channels
from infilink.filters.training.graphs import scalar_graph, session_of

RNG = np.random.default_rng(0)
FRAMES = [RNG.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(5)]


@pytest.mark.parametrize("name", ["difference", "area"])
def test_frames_are_seen_through_channels(name):
    feed = Feed(session_of(scalar_graph(name)), None, pairwise=True, step_s=0.0)
    channels = Channels(pairwise=True, step_s=0.0, low_level=[name] if name == "area" else [])
    for at, frame in enumerate(FRAMES):
        (score,) = feed.run(frame, float(at))
        channels.see(frame, float(at))
        expected = channels.differences["area"] if name == "area" else channels.scalars[:, 3:4]
        assert score == pytest.approx(expected, abs=1e-6)
    feed.reset()
    assert feed.run(FRAMES[0], 0.0)[0] == pytest.approx(0.0, abs=1e-6), "a new stream has nothing to differ from"


def test_a_window_is_taken_whole_or_made_of_the_newest_frames():
    class Echo:
        """Stands for a session: its output is its input."""

        def run(self, _names, feed):
            return [feed["input"]]

    video = fit_modality("video", FRAMES)
    feed = Feed(Echo(), video, pairwise=False, step_s=0.0)
    for at, frame in enumerate(FRAMES):
        (window,) = feed.run(frame, float(at))
    assert window.shape == (1, *video.shape)
    (whole,) = feed.run(np.stack(FRAMES[-video.frames :]), 9.0)
    assert np.array_equal(whole, window)
