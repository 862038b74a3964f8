"""The user's sources as a site's cameras: names, cuts, and what is too short."""

from pathlib import Path

import numpy as np
import pytest
from infilink.device.sources.open import open_source
from infilink.errors import InvalidInput
from infilink.examples.demo.site import MOST_INPUTS, own_site

from ...clips import write_clip


def quiet(share: float, text: str) -> None:
    """Progress that nobody looks at."""


def test_sources_of_one_name_are_told_apart(tmp_path: Path) -> None:
    clips = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        clips.append(str(write_clip(tmp_path / folder / "my clip.mp4", frames=100)))
    assert [each.name for each in own_site(clips, tmp_path, seconds=None, progress=quiet)] == ["my-clip", "my-clip-2"]


def test_what_is_served_is_later_than_what_is_learnt_from(tmp_path: Path) -> None:
    clip = str(write_clip(tmp_path / "a.mp4", frames=600))
    (camera,) = own_site([clip], tmp_path, seconds=None, progress=quiet)
    with open_source(clip) as source:
        looked_at = [frame for frame in source if frame.sequence % camera.every == 0]
    assert camera.learnt + camera.served == len(looked_at) <= MOST_INPUTS
    later = np.asarray([frame.captured_s for frame in looked_at]) > camera.cut_s
    assert later.sum() == camera.served and not later[: camera.learnt].any()


def test_a_source_that_is_no_camera_is_told_the_way_to_go(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    for source, what in ((str(tmp_path / "words.txt"), "lines of text"), ("alsa:default", "microphone")):
        with pytest.raises(InvalidInput, match=f"{what}: the demo shows cameras.*infilink record --source"):
            own_site([source], tmp_path, seconds=None, progress=quiet)


def test_a_source_that_is_too_short_is_told(tmp_path: Path) -> None:
    clip = str(write_clip(tmp_path / "a.mp4", frames=20))
    with pytest.raises(InvalidInput, match="20 frames are too few"):
        own_site([clip], tmp_path, seconds=None, progress=quiet)
