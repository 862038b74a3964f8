"""Where a command finds its stem."""

from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.models.inputs.picture import PictureInput
from infilink.models.spec import read_spec
from infilink.models.stem.beside import STEM_FILE, stem_beside
from infilink.models.stem.cut import cut_stem, save_stem
from infilink.models.stem.layers import Layers
from infilink.models.stem.pooling import whole
from infilink.models.stem.spec import StemSpec

from . import made

SIZE = (64, 48)


def stem_at(path: Path) -> Path:
    model = made.plain(path.parent / "model.onnx")
    fed = read_spec(model).picture
    assert isinstance(fed, PictureInput)
    layers = Layers(model, fed)
    last = layers.maps(SIZE)[-1]
    spec = StemSpec(model="m", digest="d", size=SIZE, maps=(last.name,), length=2 * last.shape[0], places=last.shape)
    save_stem(path, cut_stem(layers, [last], SIZE, whole(1)), spec)
    return path


def test_the_one_that_is_named_then_the_one_beside_the_trace(tmp_path: Path) -> None:
    trace = tmp_path / "door.trace"
    assert stem_beside(trace, "") is None
    (tmp_path / "other").mkdir()
    beside, other = stem_at(tmp_path / STEM_FILE), stem_at(tmp_path / "other" / "site.onnx")
    for named, path in (("", beside), (str(other), other)):
        found = stem_beside(trace, named)
        assert found is not None and found.path == path
    assert stem_beside(trace, "none") is None


def test_a_mistake_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a folder; name the stem's"):
        stem_beside(tmp_path / "door.trace", str(tmp_path))
    with pytest.raises(InvalidInput, match="there is no such file"):
        stem_beside(tmp_path / "door.trace", str(tmp_path / "gone.onnx"))
