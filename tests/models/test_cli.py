"""Listing models, guessing a spec from a graph, and that the guide names every key and decoder."""

import json
import re
from pathlib import Path

import onnx
import pytest
from infilink.cli import build_app
from infilink.errors import InvalidInput
from infilink.models.cli import init_model_command
from infilink.models.decoding import DECODERS, DecoderSpec
from infilink.models.inputs.audio import AudioInput
from infilink.models.inputs.feature_map import MapInput
from infilink.models.inputs.joint import JointInput
from infilink.models.inputs.picture import PictureInput
from infilink.models.inputs.signal import SignalInput
from infilink.models.inputs.text import TextInput
from infilink.models.inputs.video import VideoInput
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import METADATA_KEY, ModelSpec, read_spec, write_spec
from infilink.models.split.split import split
from infilink.outputs import KINDS, OutputSpec
from onnx import TensorProto, helper
from typer.testing import CliRunner

from .inputs.kinds import KINDS as KINDS_OF_INPUTS
from .split.models import frames, write_chain

INPUTS = (PictureInput, VideoInput, AudioInput, SignalInput, TextInput, MapInput, JointInput)
GUIDE = (Path(__file__).parents[2] / "docs" / "MODELS.md").read_text(encoding="utf-8")
CELLS = 64 + 16 + 4  # of 64 x 64 pixels at strides 8, 16, 32


def make_model(path: Path, *shapes: list[int], size: list[int] | None = None) -> Path:
    """A model of 64 x 64 pixels that returns 0.5 in these shapes, plus 0 times its picture."""
    pixels = size or [1, 3, 64, 64]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["bright"], keepdims=0),
        helper.make_node("Mul", ["bright", "zero"], ["nothing"]),
    ]
    constants = [helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])]
    for i, shape in enumerate(shapes):
        constants.append(helper.make_tensor(f"shape{i}", TensorProto.INT64, [len(shape)], shape))
        constants.append(helper.make_tensor(f"half{i}", TensorProto.FLOAT, [], [0.5]))
        nodes.append(helper.make_node("Add", ["nothing", f"half{i}"], [f"value{i}"]))
        nodes.append(helper.make_node("Expand", [f"value{i}", f"shape{i}"], [f"out{i}"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, pixels)],
        [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(shapes)],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build_app(list(arguments)), list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


@pytest.mark.parametrize(
    ("shapes", "kind", "decoder", "classes"),
    [
        ([[1, CELLS, 8]], "boxes", "yolox", 3),
        ([[1, CELLS, 6]], "boxes", "yolox", 1),
        ([[1, CELLS, 85]], "boxes", "yolox", 80),
        ([[1, 3 * CELLS, 8]], "boxes", "yolov5", 3),
        ([[1, 7, CELLS]], "boxes", "yolov8", 3),
        ([[1, CELLS + 1, 35]], "boxes", "nanodet", 3),
        ([[1, 64, 2], [1, 16, 2], [1, 4, 2], [1, 64, 32], [1, 16, 32], [1, 4, 32]], "boxes", "nanodet", 2),
        ([[1, 64, 2], [1, 64, 4], [1, 16, 2], [1, 16, 4], [1, 4, 2], [1, 4, 4]], "boxes", "nanodet", 2),
        ([[128, 1], [32, 1], [8, 1], [128, 4], [32, 4], [8, 4], [128, 10], [32, 10], [8, 10]], "boxes", "scrfd", 1),
        ([[1, 50, 2], [1, 50, 4]], "boxes", "ultraface", 1),
        ([[1, 7, 4, 4]], "boxes", "fastestdet", 2),
        ([[1, 10]], "label", "softmax", 10),
        ([[1, 2]], "label", "raw", 2),
        ([[1, 1, 32, 32]], "mask", "raw", 0),
        ([[1, 1]], "scalar", "raw", 0),
    ],
)
def test_a_guessed_spec_fits_its_model(
    tmp_path: Path, shapes: list[list[int]], kind: str, decoder: str, classes: int
) -> None:
    path = make_model(tmp_path / "my net.onnx", *shapes)
    init_model_command(path)
    spec = read_spec(path)
    assert (spec.name, spec.output.kind, spec.decoder.name) == ("my_net", kind, decoder)
    assert len(spec.output.classes) == classes
    assert spec.input.size == (64, 64)
    assert OnnxModel(path).spec == spec
    text = path.with_suffix(".toml").read_text(encoding="utf-8")
    assert all(f"'out{i}': {shape}" in text for i, shape in enumerate(shapes))
    code, listed = run("models", "ls", str(tmp_path), "--json")
    assert code == 0, listed


@pytest.mark.parametrize(
    ("pixels", "layout", "color", "size"),
    [([1, 48, 32, 3], "NHWC", "RGB", (32, 48)), ([1, 1, 48, 32], "NCHW", "GRAY", (32, 48))],
)
def test_a_guess_reads_size_layout_and_channels(
    tmp_path: Path, pixels: list[int], layout: str, color: str, size: tuple[int, int]
) -> None:
    path = make_model(tmp_path / "net.onnx", [1, 10], size=pixels)
    init_model_command(path)
    read = read_spec(path).input
    assert (read.layout, read.color, read.size) == (layout, color, size)


def test_no_spec_is_overwritten_or_shadowed(tmp_path: Path) -> None:
    path = make_model(tmp_path / "net.onnx", [1, 10])
    path.with_suffix(".toml").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidInput, match="is there already"):
        init_model_command(path)
    assert path.with_suffix(".toml").read_text(encoding="utf-8") == "mine"
    path.with_suffix(".toml").unlink()
    spec = {"name": "net", "input": {"size": (64, 64)}, "output": {"kind": "label", "classes": 10}}
    write_spec(path, ModelSpec.model_validate(spec))
    with pytest.raises(InvalidInput, match="inside already"):
        init_model_command(path)
    assert METADATA_KEY in {p.key for p in onnx.load(str(path)).metadata_props}


def test_a_model_that_takes_no_single_picture_is_refused(tmp_path: Path) -> None:
    for pixels, says in [([7], "nothing here tells"), ([1, 8, 0, 4], "1 or 3 channels"), ([2, 3, 4, 4], "at once")]:
        with pytest.raises(InvalidInput, match=says):
            init_model_command(make_model(tmp_path / "net.onnx", [1, 10], size=pixels))
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_models_lists_good_and_bad_ones_together(tmp_path: Path) -> None:
    init_model_command(make_model(tmp_path / "good.onnx", [1, 10]))
    make_model(tmp_path / "none.onnx", [1, 10])
    init_model_command(make_model(tmp_path / "twin.onnx", [1, 10]))
    toml = tmp_path / "twin.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace('"twin"', '"good"'), encoding="utf-8")
    wrong = make_model(tmp_path / "wrong.onnx", [1, 10]).with_suffix(".toml")
    wrong.write_text('[input]\nsize = [64, 64]\n[output]\nkind = "label"\nclasses = 4\n', encoding="utf-8")
    code, printed = run("models", "ls", str(tmp_path), "--json")
    assert code == 2
    rows = {row["file"]: row for row in json.loads(printed)["models"]}
    assert rows["good.onnx"]["name"] == "good" and rows["good.onnx"]["classes"] == "0, 1, 2 ... (10)"
    assert "has no spec" in rows["none.onnx"]["error"]
    assert "both called 'good'" in rows["twin.onnx"]["error"]
    assert "must have shape (4,)" in rows["wrong.onnx"]["error"]
    code, printed = run("models", "ls", str(tmp_path))
    assert code == 2 and "good" in printed and "softmax" in printed and "none.onnx" in printed


def test_models_of_every_kind_are_listed_with_what_they_look_at(tmp_path: Path) -> None:
    for kind in KINDS_OF_INPUTS.values():
        kind.save(tmp_path)
    code, printed = run("models", "ls", str(tmp_path), "--json")
    rows = {row["name"]: row for row in json.loads(printed)["models"]}
    assert code == 0 and len(rows) == len(KINDS_OF_INPUTS)
    assert rows["audio"]["looks_at"] == "sound, any samples at 8000 Hz"
    assert rows["pieces"]["looks_at"] == "sound, pieces of 4 at 8000 Hz"
    assert rows["video"]["looks_at"] == "4 frames 8x8 NCTHW"
    assert rows["signal"]["looks_at"] == "x, y, z: 8 steps at 32 Hz"
    assert rows["joint"]["looks_at"] == "sound, 16 samples at 8000 Hz + text as tokens"
    code, printed = run("models", "ls", str(tmp_path))
    assert code == 0 and "text as a string" in " ".join(printed.split())


def test_models_measures_memory_and_time(tmp_path: Path) -> None:
    init_model_command(make_model(tmp_path / "net.onnx", [1, 10]))
    code, printed = run("models", "measure", str(tmp_path), "--json")
    (row,) = json.loads(printed)["models"]
    assert code == 0 and row["memory_bytes"] > 2**20 and row["infer_s"] > 0


def test_models_lists_a_second_part_by_the_map_it_takes(tmp_path: Path) -> None:
    parts = split(write_chain(tmp_path / "chain.onnx"), "map", tmp_path / "parts", frames=frames(1))
    (tmp_path / "cloud").mkdir()
    parts.tail.rename(tmp_path / "cloud" / "chain.onnx")
    code, printed = run("models", "measure", str(tmp_path / "cloud"), "--json")
    (row,) = json.loads(printed)["models"]
    assert code == 0 and row["name"] == "chain" and row["memory_bytes"] > 2**20
    assert re.fullmatch(r"map \d+x\d+x\d+ of chain at map", row["map"])
    code, printed = run("models", "ls", str(tmp_path / "cloud"))
    assert code == 0 and "of chain at map" in " ".join(printed.split())


def test_models_needs_a_folder_with_models(tmp_path: Path) -> None:
    for folder, says in [(tmp_path / "nowhere", "no such folder"), (tmp_path, "holds no .onnx")]:
        with pytest.raises(InvalidInput, match=says):
            run("models", "ls", str(folder))


def test_the_guide_names_every_key_and_decoder() -> None:
    keys = [key for spec in (ModelSpec, *INPUTS, OutputSpec, DecoderSpec) for key in spec.model_fields]
    rows = {key for row in re.findall(r"^\| (`[^|]+`) \|", GUIDE, re.MULTILINE) for key in re.findall("`([^`]+)`", row)}
    assert {*keys, *DECODERS, *KINDS} - rows == set()
    assert rows - {*keys, *DECODERS, *KINDS} == set()


def test_the_guides_specs_are_valid(tmp_path: Path) -> None:
    specs = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert len(specs) == 9
    for i, text in enumerate(specs):
        output = "" if "[output]" in text else "[output]\nkind = 'scalar'\n"
        (tmp_path / f"{i}.toml").write_text(text + output, encoding="utf-8")
        assert read_spec(tmp_path / f"{i}.onnx").name


def test_the_guides_module_exports(tmp_path: Path) -> None:
    code = next(text for text in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "def build" in text)
    (tmp_path / "weather.py").write_text(code, encoding="utf-8")
    exit_code, printed = run(
        "export", f"{tmp_path / 'weather.py'}:build", str(tmp_path / "weather.onnx"), "--int8", "--json"
    )
    told = json.loads(printed)
    assert exit_code == 0 and told["name"] == "weather" and told["samples"] == 16 and told["int8"] is not None
