"""Every real model with a spec of ours finds what the clips are known to show."""

from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from infilink.device.sources.open import open_source
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import find_models
from infilink.outputs import Array, box_iou

from .data import DEMO_CLIPS, DEMO_MODELS, SPECS, link_models

NAMES = sorted(path.stem for path in SPECS.glob("*.toml"))
DETECTORS = ("yolox_nano_416x416", "nanodet_m_416", "FastestDet")
GROCERY_STORE = 582
PERSON, VEHICLES = 0, (2, 5, 7)
# The one of the shop's frames on which a face is near enough to be found.
FACE_FRAME = 14

Frames = Callable[[str, int], list[Array]]
Model = Callable[[str], OnnxModel]


@pytest.fixture(scope="session")
def folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_models(data, tmp_path_factory.mktemp("real") / "models", NAMES)


@pytest.fixture(scope="session")
def model(folder: Path) -> Model:
    return cache(lambda name: OnnxModel(folder / f"{name}.onnx"))


@pytest.fixture(scope="session")
def frames(data: Path) -> Frames:
    """Every so many-th frame of a clip's first 20 such."""

    @cache
    def read(clip: str, every: int) -> list[Array]:
        with open_source(str(next((data / "video").glob(f"{clip}.*")))) as opened:
            return [frame.value for frame in islice(opened, 0, 20 * every, every)]

    return read


def share_without(model: OnnxModel, frames: list[Array], *classes: int) -> float:
    return float(np.mean([not np.isin(model.infer(frame)[:, 5], classes).any() for frame in frames]))


def test_the_demos_models_and_clips_are_there(data: Path, tmp_path: Path) -> None:
    link_models(data, tmp_path / "models", DEMO_MODELS)
    found = find_models(link_models(data, tmp_path / "models", DEMO_MODELS))
    assert sorted(found) == ["fastestdet", "light_person", "mobilenet", "nanodet", "yolox_nano"]
    assert all(list((data / "video").glob(f"{clip}.*")) for clip in DEMO_CLIPS)


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_its_output_fits_its_spec(name: str, model: Model, frames: Frames) -> None:
    spec, value = model(name).spec, model(name).infer(frames("lobby_person", 70)[1])
    assert spec.output.check(value) is value
    assert spec.output.agreement(value, value) == pytest.approx(1.0)
    assert spec.output.summary(value)
    if spec.output.kind == "boxes":
        assert (value[:, :2] < value[:, 2:4]).all() and (value[:, :4] >= 0).all() and (value[:, :4] <= 1).all()
        assert (value[:, 4] >= spec.decoder.score).all() and (value[:, 4] <= 1).all()
        assert {spec.output.classes[int(i)] for i in value[:, 5]} <= set(spec.decoder.keep or spec.output.classes)


@pytest.mark.parametrize("name", [*DETECTORS, "light_person_detector"])
def test_somebody_stands_in_the_lobby_three_quarters_of_the_time(name: str, model: Model, frames: Frames) -> None:
    assert share_without(model(name), frames("lobby_person", 70), PERSON) == pytest.approx(0.245, abs=0.1)


@pytest.mark.parametrize("name", DETECTORS)
def test_the_highway_is_busy_and_the_parking_lot_mostly_still(name: str, model: Model, frames: Frames) -> None:
    assert share_without(model(name), frames("highway_dense", 60), *VEHICLES) <= 0.15
    assert share_without(model(name), frames("parking_cars", 20), *VEHICLES) >= 0.85
    assert share_without(model(name), frames("highway_dense", 60), PERSON) >= 0.9


def test_detectors_of_the_same_classes_put_the_person_in_the_same_place(model: Model, frames: Frames) -> None:
    frame = frames("lobby_person", 70)[1]
    first, *others = (model(name).infer(frame)[:1] for name in (*DETECTORS, "light_person_detector"))
    assert all(box_iou(first, other)[0, 0] > 0.5 for other in others)


def test_the_small_person_detector_misses_small_people_in_the_shop(model: Model, frames: Frames) -> None:
    shop = frames("shop_produce", 60)
    assert share_without(model("yolox_nano_416x416"), shop, PERSON) == pytest.approx(0.206, abs=0.15)
    missed = share_without(model("light_person_detector"), shop, 0)
    assert missed > share_without(model("nanodet_m_416"), shop, PERSON) + 0.2


def test_mobilenet_gives_a_thousand_probabilities_and_knows_a_grocery_store(model: Model, frames: Frames) -> None:
    values = [model("mobilenet_v2_quant").infer(frame) for frame in frames("shop_produce", 60)]
    assert all(value.shape == (1000,) and value.min() >= 0 for value in values)
    assert [float(value.sum()) for value in values] == pytest.approx([1.0] * len(values), abs=1e-4)
    assert np.mean([GROCERY_STORE in np.argsort(-value)[:5] for value in values]) > 0.8


def test_both_face_detectors_find_the_same_face_and_none_on_backs(model: Model, frames: Frames) -> None:
    frame = frames("shop_produce", 60)[FACE_FRAME]
    one, other = (model(name).infer(frame) for name in ("ultraface-RFB-640", "scrfd_2.5g_kps"))
    assert (len(one), len(other)) == (1, 1)
    assert box_iou(one, other)[0, 0] > 0.5
    # In the lobby everybody stands with the back to the camera.
    back = frames("lobby_person", 70)[1]
    assert all(len(model(name).infer(back)) == 0 for name in ("ultraface-RFB-640", "scrfd_2.5g_kps"))


def test_edges_lie_where_a_square_begins_and_nowhere_on_grey(model: Model, frames: Frames) -> None:
    edges = model("LDC_640x360")
    square = np.zeros((360, 640, 3), np.uint8)
    square[100:260, 200:440] = 255
    found = edges.infer(square)
    assert found.shape == (90, 160)
    assert found.min() >= 0 and found.max() <= 1
    rows, columns = np.nonzero(found >= 0.5)
    assert [rows.min(), rows.max(), columns.min(), columns.max()] == pytest.approx([25, 65, 50, 110], abs=2)
    assert found[35:55, 60:100].max() < 0.5, "the square's inside has none"
    assert edges.infer(np.full((360, 640, 3), 114, np.uint8)).max() < 0.5
    assert 0.05 < (edges.infer(frames("highway_dense", 60)[0]) >= 0.5).mean() < 0.5


def test_the_scenes_fingerprint_changes_when_somebody_stands_in_it(model: Model, frames: Frames) -> None:
    osnet, lobby = model("osnet_x0_25_msmt17"), frames("lobby_person", 70)
    empty, occupied, empty_again = (osnet.infer(lobby[i]) for i in (0, 1, 3))
    agreement = osnet.spec.output.agreement
    assert agreement(empty, empty_again) > 0.98
    assert agreement(empty, occupied) < 0.92
    assert agreement(empty, osnet.infer(frames("highway_dense", 60)[0])) < 0.6
