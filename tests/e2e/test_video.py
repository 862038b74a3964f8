"""Kept pictures as H.264, between real daemons: they are what they were, also where a connection is lost."""

import numpy as np
from infilink.device.results_read import Results

from .conftest import brightness
from .test_stream import SCALES, WINDOW

VIDEO = {"encoding": "h264", "video": {"crf": 8, "chain": 50}}


def assert_answers(path, frames):
    with Results(path) as results:
        assert results.sequences == list(range(frames))
        for name, scale in SCALES.items():
            values = [float(value[0]) for value in results.served(name)]
            np.testing.assert_allclose(values, [brightness(i % 120) * scale for i in range(frames)], atol=4 * scale)


def test_pictures_as_video_are_answered_as_jpegs_are_and_take_less(start_daemon, start_agent, tmp_path):
    daemon = start_daemon()
    summaries = [start_agent(daemon.address, **settings).finish() for settings in ({"encoding": "jpeg"}, VIDEO)]
    assert [summary["answered"] for summary in summaries] == [120, 120]
    assert summaries[1]["sent_bytes"] < summaries[0]["sent_bytes"] / 2
    assert_answers(tmp_path / "results1.sqlite", 120)


def test_a_chain_goes_on_with_a_coordinator_that_never_saw_its_beginning(start_daemon, start_agent, tmp_path):
    first = start_daemon()
    agent = start_agent(first.address, loop=True, window=WINDOW, **VIDEO)
    first.answered(20)
    first.kill()
    second = start_daemon(listen=first.address)
    second.answered(20)
    agent.terminate()
    summary = agent.finish()
    assert summary["kept"] == summary["answered"] == summary["frames"] and summary["connections"] == 2
    assert_answers(tmp_path / "results0.sqlite", summary["frames"])
