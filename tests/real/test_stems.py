"""What every real model offers as a stem: maps at another size than its own, or a line that says why nothing."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from infilink.errors import InvalidInput
from infilink.models.inputs.picture import PictureInput, preprocess
from infilink.models.spec import read_spec
from infilink.models.stem.cut import cut_stem, save_stem
from infilink.models.stem.layers import Layers
from infilink.models.stem.spec import StemSpec
from infilink.models.stem.stem import Stem
from infilink.outputs import Array

from .data import link_models

SIZE = (256, 160)
# The strides at which each one's last maps lie on the way down.
OFFERED = {
    "yolox_nano_416x416": [4, 8, 16, 32],
    "nanodet_m_416": [8, 16, 32],
    "FastestDet": [8, 16, 32],
    "light_person_detector": [4, 8, 16, 32],
    "ultraface-RFB-640": [4, 8, 16, 32],
    "scrfd_2.5g_kps": [4, 8, 16, 32],
    "mobilenet_v2_quant": [4, 8, 16, 32],
    "LDC_640x360": [4, 8],
    "osnet_x0_25_msmt17": [4, 8, 16],
}


@pytest.fixture(scope="session")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_models(data, tmp_path_factory.mktemp("stems") / "models", list(OFFERED))


def frame(data: Path) -> Array:
    ok, found = cv2.VideoCapture(str(data / "video" / "lobby_person.mp4")).read()
    assert ok
    return np.asarray(found)


@pytest.mark.parametrize("name", OFFERED)
def test_its_maps_are_what_they_are_inside_it_and_run_at_another_size(
    name: str, folder: Path, data: Path, tmp_path: Path
) -> None:
    path = folder / f"{name}.onnx"
    fed = read_spec(path).picture.model_copy(update={"resize": "stretch"})
    layers = Layers(path, fed)
    assert [each.stride for each in layers.maps(SIZE) if each.ends] == OFFERED[name]
    for each in layers.maps(SIZE):
        if each.ends:
            length = 2 * each.shape[0]
            spec = StemSpec(model=name, digest="", size=SIZE, maps=(each.name,), length=length, places=each.shape)
            save_stem(tmp_path / "stem.onnx", cut_stem(layers, [each], SIZE), spec)
            seen = Stem(tmp_path / "stem.onnx").see(frame(data))
            assert seen.places.shape == each.shape and np.isfinite(seen.features).all()
            assert seen.features.std() > 0
    deepest = [each for each in layers.maps(fed.size) if each.ends][-1]
    picture = cv2.resize(frame(data), fed.size)
    got, want = of_stem(cut_stem(layers, [deepest], fed.size), picture), inside(path, deepest.name, fed, picture)
    if want.dtype == np.uint8:
        assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.9999
    else:
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4 * float(np.abs(want).max()))


def of_stem(model: onnx.ModelProto, picture: Array) -> Array:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["places"], {"picture": picture[None]})[0])


def inside(path: Path, name: str, fed: PictureInput, picture: Array) -> Array:
    """What a tensor holds inside the model itself."""
    model = onnx.load(str(path))
    model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([name], {session.get_inputs()[0].name: preprocess(picture, fed)[0]})[0])


def test_a_model_of_sound_offers_nothing_and_says_so(data: Path) -> None:
    with pytest.raises(InvalidInput, match=r"takes 3 inputs \(input, state, sr\), and a stem has its picture only"):
        Layers(data / "models" / "silero_vad.onnx", PictureInput(size=(64, 64)))
