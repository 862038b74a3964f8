"""What of a picture travels: smaller by a ladder, only the regions, and coordinates as shares stay true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.codec import decode_jpeg
from infilink.device.agent import Agent
from infilink.device.config import DeviceConfig
from infilink.device.sinks.callback import Callback
from infilink.device.uplink.travelling import PictureConfig, Travelling
from infilink.errors import InvalidInput
from infilink.models.inputs.form import PICTURES, InputForm
from infilink.models.spec import read_spec
from pydantic import ValidationError

from ...clips import brightness, write_clip
from ..coordinator import result

CORNER = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))


def travelling(**settings):
    return Travelling(PictureConfig.model_validate(settings))


def test_as_it_is_a_picture_is_not_touched():
    picture = np.zeros((48, 64, 3), np.uint8)
    made = travelling()
    assert made.apply(picture) is picture and not made.changes
    assert travelling(longest_side=64).apply(picture) is picture


def test_the_ladder_is_gone_down_and_up_within_its_ends():
    made, picture = travelling(longest_side=[320, 160, 80]), np.zeros((480, 640, 3), np.uint8)
    sizes = []
    for rung in (0, 1, 2, 99, -5):
        made.lower(rung)
        sizes.append(made.apply(picture).shape[:2])
    assert sizes == [(240, 320), (120, 160), (60, 80), (60, 80), (240, 320)]
    made = travelling()
    made.lower(1)
    assert made.apply(picture) is picture


def test_only_the_regions_travel_and_the_captured_picture_stays():
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    before = picture.copy()
    sent = travelling(regions=[CORNER]).apply(picture)
    assert (sent[:48, :64] == picture[:48, :64]).all()
    assert (sent[48:] == 114).all() and (sent[:, 64:] == 114).all()
    assert (picture == before).all()


def test_a_region_is_made_of_whole_blocks_and_follows_the_pictures_size():
    made = travelling(regions=[((0.1, 0.1), (0.2, 0.1), (0.2, 0.2), (0.1, 0.2))], longest_side=[640, 320])
    picture = np.zeros((360, 640, 3), np.uint8)
    for rung in (0, 1):
        made.lower(rung)
        sent = made.apply(picture)
        rows, columns = np.nonzero(sent[..., 0] == 0)
        height, width = sent.shape[:2]
        for at, size in ((rows, height), (columns, width)):
            assert at.min() <= 0.1 * size and at.max() >= 0.2 * size - 1
            assert at.min() % 16 == 0 and (at.max() + 1) % 16 == 0


@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_every_size_of_picture_travels_with_its_proportions(height, width, with_regions):
    made = travelling(longest_side=64, regions=[CORNER] if with_regions else [])
    sent = made.apply(np.zeros((height, width, 3), np.uint8))
    assert max(sent.shape[:2]) == min(64, max(height, width)) and sent.dtype == np.uint8
    scale = max(sent.shape[:2]) / max(height, width)
    assert abs(sent.shape[0] - height * scale) <= 1 and abs(sent.shape[1] - width * scale) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"longest_side": [640, 960]}, "the largest first"),
        ({"longest_side": [640, 640]}, "the largest first"),
        ({"longest_side": 32}, "64 at least"),
        ({"longest_side": True}, "longest_side"),
        ({"regions": [[[0, 0], [9, 0], [9, 9]]]}, r"regions\[0\]: corner .* outside"),
    ],
)
def test_what_can_not_be_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        travelling(**settings)


def test_it_is_for_pictures_that_travel():
    made = travelling(longest_side=640)
    made.check(PICTURES, head=False)
    with pytest.raises(InvalidInput, match="this source gives text: leave it out"):
        made.check(InputForm(modality="text"), head=False)
    with pytest.raises(InvalidInput, match="with `head` maps do"):
        made.check(PICTURES, head=True)
    travelling().check(InputForm(modality="text"), head=True)


def test_what_is_sent_is_smaller_and_grey_outside_and_the_gate_sees_all(start_coordinator, tiny_models, tmp_path):
    video = write_clip(tmp_path / "v.mp4", frames=5, size=(256, 192))
    spec = read_spec(tiny_models / "bright.onnx")
    sent = []

    def answer(message):
        sent.append(decode_jpeg(message.payload))
        return result(message.sequence, bright=1.0)

    coordinator = start_coordinator({"bright": spec}, answer=answer)
    seen = []
    config = DeviceConfig.model_validate(
        {
            "name": "yard",
            "source": str(video),
            "pace": "max",
            "queue": "all",
            "coordinator": coordinator.address,
            "picture": {"longest_side": 128, "regions": [CORNER]},
        }
    )
    Agent(config, sinks=[Callback(seen.append, pictures=True)]).run()
    assert {picture.shape for picture in sent} == {(96, 128, 3)}
    assert abs(sent[0][:40, :56].mean() - brightness(0)) < 4 and abs(sent[0][56:].mean() - 114) < 2
    assert {item.picture.pixels().shape for item in seen} == {(192, 256, 3)}
