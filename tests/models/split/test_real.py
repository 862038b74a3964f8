"""Real models in two parts: what they say of a real clip is what the whole says (skips without the data folder)."""

import pytest
from infilink.device.split_cli import sample_frames
from infilink.errors import InvalidInput
from infilink.models.split.split import Splitter, split

from ...real.data import find_data, link_models

DATA = find_data()
pytestmark = pytest.mark.skipif(DATA is None, reason="no data folder (set INFILINK_DATA)")


@pytest.fixture(scope="module")
def real_frames():
    return sample_frames(None, str(next((DATA / "video").glob("lobby_person.*"))), 2)[0]


@pytest.mark.parametrize(
    ("name", "cut", "shape"),
    [
        ("yolox_nano_416x416", "725", (1, 32, 52, 52)),
        ("mobilenet_v2_quant", "414_quantized", (1, 64, 14, 14)),
    ],
)
def test_both_parts_say_what_the_whole_says(tmp_path, real_frames, name, cut, shape):
    model = link_models(DATA, tmp_path / "models", [name]) / f"{name}.onnx"
    parts = split(model, cut, tmp_path / "parts", frames=real_frames)
    assert parts.partition.shape == shape
    assert parts.parity.difference <= 1e-4 * parts.parity.scale
    assert min(parts.parity.agreement.values()) > 0.95
    sizes = parts.parity.sent_bytes
    assert sizes["uint8+zlib"] < sizes["uint8"] < 4 * parts.partition.map.count


def test_a_skip_that_crosses_the_cut_is_named(tmp_path):
    model = link_models(DATA, tmp_path / "models", ["yolox_nano_416x416"]) / "yolox_nano_416x416.onnx"
    with pytest.raises(InvalidInput, match=r"would cross it too; valid cuts near by: .*729.*777"):
        Splitter(model).graph.check("745")
