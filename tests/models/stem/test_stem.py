"""A stem's file at work, and what is refused in its place."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.errors import InvalidInput
from infilink.models.spec import digest, read_spec
from infilink.models.stem.cut import cut_stem, save_stem
from infilink.models.stem.layers import Layers
from infilink.models.stem.pooling import Part, whole
from infilink.models.stem.spec import METADATA_KEY, StemSpec
from infilink.models.stem.stem import Stem

from . import made

SIZE = (160, 96)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = made.plain(tmp_path / "model.onnx")
    layers = Layers(model, read_spec(model).picture)
    last = layers.maps(SIZE)[-1]
    spec = StemSpec(model="m", digest="d", size=SIZE, maps=(last.name,), length=2 * last.shape[0], places=last.shape)
    save_stem(tmp_path / "stem.onnx", cut_stem(layers, [last], SIZE), spec)
    return tmp_path / "stem.onnx"


def test_features_are_the_maximum_and_the_mean_of_the_places(path: Path) -> None:
    stem = Stem(path)
    seen = stem.see_all([made.picture(640, 360), made.picture(200, 300)])
    assert len(seen) == 2 and seen.places.shape == (2, *stem.spec.places)
    places = seen.places.astype(np.float32)
    np.testing.assert_allclose(
        seen.features, np.concatenate([places.max((2, 3)), places.mean((2, 3))], axis=1), rtol=2e-3, atol=1e-4
    )
    assert seen[0].features.shape == (stem.spec.length,)


def test_cells_cover_every_place(tmp_path: Path) -> None:
    model = made.plain(tmp_path / "model.onnx")
    layers = Layers(model, read_spec(model).picture)
    last = next(each for each in layers.maps(SIZE) if each.stride == 8)
    parts = [*whole(1), Part(0, "grid", (3, 4))]
    columns = np.asarray([2 * last.shape[0] + 3, 0])
    spec = StemSpec(model="m", digest="d", size=SIZE, maps=(last.name,), length=2, places=last.shape)
    whole_spec = spec.model_copy(update={"length": 14 * last.shape[0]})
    save_stem(tmp_path / "all.onnx", cut_stem(layers, [last], SIZE, parts), whole_spec)
    save_stem(tmp_path / "two.onnx", cut_stem(layers, [last], SIZE, parts, columns), spec)
    every, two = (Stem(tmp_path / name).see(made.picture(*SIZE)) for name in ("all.onnx", "two.onnx"))
    cells = every.features[2 * last.shape[0] :].reshape(last.shape[0], 12)
    np.testing.assert_allclose(cells.max(axis=1), every.places.max(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(two.features, every.features[columns])


def test_a_stem_that_gives_something_else_than_it_says_is_refused(tmp_path: Path) -> None:
    model = made.plain(tmp_path / "model.onnx")
    layers = Layers(model, read_spec(model).picture)
    last = next(each for each in layers.maps(SIZE) if each.stride == 8)
    graph = cut_stem(layers, [last], SIZE, whole(1))
    fits = StemSpec(model="m", digest="d", size=SIZE, maps=(last.name,), length=2 * last.shape[0], places=last.shape)
    save_stem(tmp_path / "fits.onnx", graph, fits)
    assert Stem(tmp_path / "fits.onnx").spec == fits
    for number, wrong in enumerate(({"length": 999}, {"places": (1, 2, 3)})):
        path = tmp_path / f"{number}.onnx"
        save_stem(path, graph, fits.model_copy(update=wrong))
        with pytest.raises(InvalidInput, match="is damaged"):
            Stem(path)
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))
    save_stem(tmp_path / "nan.onnx", graph, fits)
    with pytest.raises(InvalidInput, match="is damaged"):
        Stem(tmp_path / "nan.onnx")


def test_what_is_no_stem_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is an ONNX model but no stem"):
        Stem(tmp_path / "model.onnx")
    with pytest.raises(InvalidInput, match="there is no such file"):
        Stem(tmp_path / "none.onnx")
    (tmp_path / "cut_off.onnx").write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InvalidInput, match="not an ONNX model that onnxruntime can load"):
        Stem(tmp_path / "cut_off.onnx")
    for said, why in (('{"format": 99}', "a newer infilink wrote it"), ("{}", "its stem spec is not readable")):
        model = onnx.load(str(path))
        next(each for each in model.metadata_props if each.key == METADATA_KEY).value = said
        onnx.save(model, str(tmp_path / "other.onnx"))
        with pytest.raises(InvalidInput, match=why):
            Stem(tmp_path / "other.onnx")


def test_a_graph_that_is_not_what_its_spec_says_is_refused(path: Path, tmp_path: Path) -> None:
    stem = Stem(path)
    spec = stem.spec.model_copy(update={"size": (96, 160)})
    save_stem(tmp_path / "turned.onnx", onnx.load(str(path)), spec)
    with pytest.raises(InvalidInput, match="is damaged"):
        Stem(tmp_path / "turned.onnx")
    assert digest(tmp_path / "turned.onnx") != stem.digest


def test_only_frames_are_seen(path: Path) -> None:
    with pytest.raises(InvalidInput, match="a frame must be uint8"):
        Stem(path).see(np.zeros((4, 4), np.uint8))
