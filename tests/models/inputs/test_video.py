from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.picture import PictureInput, preprocess
from infilink.models.inputs.video import VideoInput
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import read_spec
from onnx import TensorProto, helper

from .kinds import save_model

SHAPES = {"NCTHW": ["n", 3, 4, 8, 6], "NTCHW": ["n", 4, 3, 8, 6], "NTHWC": ["n", 4, 8, 6, 3]}


def save_clip(path: Path, shape: list[int | str], dtype: int = TensorProto.FLOAT, **fed: object) -> Path:
    """The clip as it is fed, flat."""
    nodes = [helper.make_node("Cast", ["clip"], ["out"], to=TensorProto.FLOAT)]
    spec = {"input": {"modality": "video", "size": [6, 8], **fed}, "output": {"kind": "vector", "length": 3 * 4 * 48}}
    return save_model(path, nodes, {"clip": (dtype, shape)}, {"out": shape}, spec)


@pytest.fixture
def clip() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, 20, 30, 3), np.uint8)


@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("resize", ["stretch", "letterbox_center"])
def test_every_frame_is_fed_as_a_picture_would_be(tmp_path: Path, clip: np.ndarray, layout: str, resize: str) -> None:
    same = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "resize": resize, "color": "BGR"}
    path = save_clip(tmp_path / "clip.onnx", SHAPES[layout], layout=layout, **same)
    assert read_spec(path).fed.frames == 4, "as the graph says"
    picture = PictureInput(size=(6, 8), **same)
    alone = np.stack([preprocess(frame, picture)[0][0] for frame in clip])  # T C H W
    axes = {"NCTHW": (1, 0, 2, 3), "NTCHW": (0, 1, 2, 3), "NTHWC": (0, 2, 3, 1)}[layout]
    np.testing.assert_array_equal(OnnxModel(path).infer(clip), alone.transpose(axes).reshape(-1))


def test_pixels_may_be_whole_numbers_and_boxes_lie_in_the_frame(tmp_path: Path, clip: np.ndarray) -> None:
    path = save_clip(tmp_path / "clip.onnx", SHAPES["NTHWC"], TensorProto.UINT8, layout="NTHWC", std=[1.0])
    assert OnnxModel(path).infer(clip).dtype == np.float32
    fed = read_spec(path).fed
    assert isinstance(fed, VideoInput)
    letterbox = fed.model_copy(update={"resize": "letterbox"}).write(clip[0], np.empty((3, 8, 6), np.float32))
    assert (letterbox.width, letterbox.height) == (pytest.approx(6), pytest.approx(4))
    with pytest.raises(InvalidInput, match="it takes whole numbers"):
        OnnxModel(save_clip(tmp_path / "clip.onnx", SHAPES["NTHWC"], TensorProto.UINT8, layout="NTHWC"))


def test_what_is_no_such_clip_is_refused(tmp_path: Path, clip: np.ndarray) -> None:
    model = OnnxModel(save_clip(tmp_path / "clip.onnx", SHAPES["NCTHW"]))
    for wrong, told in [
        (clip[:3], "must have 4 frames"),
        (clip[0], "a clip must be"),
        (clip[:, :0], "at least 1 pixel"),
    ]:
        with pytest.raises(InvalidInput, match=told):
            model.infer(wrong)
    for shape, fed in [(["n", 3, 4, 8, 7], {}), (["n", 3, 4, 8, 6], {"frames": 5}), (["n", 1, 4, 8, 6], {})]:
        with pytest.raises(InvalidInput, match=r"`input.size` is width, height; `input.frames`"):
            OnnxModel(save_clip(tmp_path / "clip.onnx", shape, **fed))


def test_a_stream_with_another_window_does_not_fit() -> None:
    fed = VideoInput(modality="video", size=(8, 8), frames=4)
    assert fed.fits(InputForm(modality="video", window=4, stride=2)) == ""
    assert "takes 4 frames (`input.frames`), and a window has 8" in fed.fits(
        InputForm(modality="video", window=8, stride=2)
    )
    assert "give a `window`" in fed.fits(InputForm(modality="video"))
    assert "these inputs are image" in fed.fits(InputForm())
