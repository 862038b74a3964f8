import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.errors import InvalidInput, ModelFailed, UnknownModel
from infilink.models.onnx_model import OnnxModel
from infilink.models.session import open_session
from infilink.models.spec import digest, find_models, parse_spec, read_metadata, read_spec, select_models, write_spec
from onnx import TensorProto, helper

DARK, BRIGHT = np.full((24, 32, 3), 20, np.uint8), np.full((24, 32, 3), 200, np.uint8)
INPUT = "[input]\nsize = [16, 16]\nstd = [1.0]\n"


def with_spec(path: Path, text: str) -> Path:
    """The model with this TOML beside it."""
    path.with_suffix(".toml").write_text(text)
    return path


def test_a_model_says_of_a_frame_what_it_was_made_to(tiny_models: Path) -> None:
    assert OnnxModel(tiny_models / "bright.onnx").infer(BRIGHT) == pytest.approx([200])
    light = OnnxModel(tiny_models / "light.onnx")
    assert [light.spec.output.summary(light.infer(frame)) for frame in (DARK, BRIGHT)] == ["dark 1.00", "bright 1.00"]
    corner = OnnxModel(tiny_models / "corner.onnx")
    assert corner.infer(BRIGHT) == pytest.approx(np.asarray([[0, 0, 0.5, 0.5, 200 / 255, 0]]), abs=1e-5)
    assert corner.infer(DARK).shape == (0, 6)


def test_a_file_that_is_no_onnx_model_is_named(tmp_path: Path) -> None:
    path = with_spec(tmp_path / "text.onnx", INPUT + '[output]\nkind = "scalar"\n')
    with pytest.raises(InvalidInput, match=r"text.onnx: there is no such file"):
        OnnxModel(path)
    path.write_text("I am no model")
    with pytest.raises(InvalidInput, match=r"text.onnx: not an ONNX model that onnxruntime can load \(.+\)$"):
        OnnxModel(path)


def test_a_model_without_a_spec_says_how_to_write_one(tmp_path: Path, make_model) -> None:
    path = make_model(tmp_path, "bright", spec=False)
    with pytest.raises(InvalidInput, match=r"has no spec: write bright.toml beside it .*infilink init model bright"):
        OnnxModel(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "colour = 1\n",
            r"bright.toml: .*; colour: there is no such key \(keys: name, version, .*, decoder, virtual\)",
        ),
        (
            INPUT + "colour = 1\n[output]\nkind = 'scalar'\n",
            "input.colour: there is no such key; did you mean 'color'. .keys: modality, name, constants, size, .*std",
        ),
        (INPUT + "color = 'HSV'\n[output]\nkind = 'scalar'\n", "input.color: .*'RGB', 'BGR' or 'GRAY'"),
        (INPUT, "output: Field required"),
        ("[output]\nkind = 'scalar'\n", "its spec has no `input`: say how it is fed"),
        ("[input]\n[output]\nkind = 'scalar'\n", "input.size: Field required"),
        (INPUT + "[output]\nkind = 'depth'\n", "output.kind: .*'label', 'multilabel'.* or 'mask'"),
        (INPUT + "[output]\nkind = 'label'\n", "output: kind 'label' needs `classes`"),
        (
            INPUT + "[output]\nkind = 'scalar'\n[decoder]\nname = 'yolo'\n",
            "decoder.name: no decoder .*'yolo'; there are raw",
        ),
        ("name = 'two words'\n" + INPUT + "[output]\nkind = 'scalar'\n", "name: .*pattern"),
        ("size = \n", "bright.toml: can't be read as TOML: .*line 1"),
    ],
)
def test_a_wrong_spec_is_refused_naming_the_file_the_key_and_what_is_allowed(
    tmp_path: Path, make_model, text: str, named: str
) -> None:
    path = with_spec(make_model(tmp_path, "bright", spec=False), text)
    with pytest.raises(InvalidInput, match=named):
        OnnxModel(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[input]\nsize = [32, 16]\n", r"input 'image' is \[1, 3, 16, 16\], but its spec makes \[1, 3, 16, 32\]"),
        ("[input]\nsize = [16, 16]\nlayout = 'NHWC'\n", r"makes \[1, 16, 16, 3\] .*`input.layout` is NHWC"),
        ("[input]\nsize = [16, 16]\ncolor = 'GRAY'\n", r"makes \[1, 1, 16, 16\]"),
        ("[input]\nsize = [16, 16]\nname = 'data'\n", "no input 'data': `input.name` must be one of image"),
    ],
)
def test_an_input_that_does_not_fit_the_model_is_refused_when_it_is_loaded(
    tmp_path: Path, make_model, text: str, named: str
) -> None:
    path = with_spec(make_model(tmp_path, "bright", spec=False), text + "[output]\nkind = 'scalar'\n")
    with pytest.raises(InvalidInput, match=named):
        OnnxModel(path)


def add_input(path: Path, *, default: bool) -> Path:
    """The model with a second input, which it adds to its output."""
    model = onnx.load(str(path))
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Add", ["before", "more"], ["out"]))
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    if default:
        model.graph.initializer.append(helper.make_tensor("more", TensorProto.FLOAT, [1], [5.0]))
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("name", ["", "name = 'image'\n"])
def test_a_model_that_needs_several_inputs_is_refused_named_or_not(tmp_path: Path, make_model, name: str) -> None:
    path = add_input(make_model(tmp_path, "bright", spec=False), default=False)
    with_spec(path, INPUT + name + "[output]\nkind = 'scalar'\n")
    with pytest.raises(
        InvalidInput, match=r"(needs 2 inputs \(image, more\)|also needs more), and one is fed.*constants"
    ):
        OnnxModel(path)


def test_an_input_with_a_default_need_not_be_fed(tmp_path: Path, make_model) -> None:
    path = add_input(make_model(tmp_path, "bright", spec=False), default=True)
    with_spec(path, INPUT + "[output]\nkind = 'scalar'\n")
    assert OnnxModel(path).infer(DARK) == pytest.approx([25])


def test_what_is_no_frame_is_the_callers_mistake(tiny_models: Path) -> None:
    with pytest.raises(InvalidInput, match=r"a frame must be uint8 .* not float32 of \(24, 32, 3\)"):
        OnnxModel(tiny_models / "bright.onnx").infer(DARK.astype(np.float32))


def test_an_output_that_is_no_tensor_is_the_models_failure(tmp_path: Path, make_model) -> None:
    path = make_model(tmp_path, "light", spec=False)
    model = onnx.load(str(path))
    del model.graph.output[:]
    model.graph.node.append(helper.make_node("SequenceConstruct", ["out"], ["list"]))
    model.graph.node.append(helper.make_node("SequenceEmpty", [], ["nothing"]))
    for output in ("list", "nothing"):
        model.graph.output.append(helper.make_tensor_sequence_value_info(output, TensorProto.FLOAT, None))
    onnx.save(model, str(path))
    model = OnnxModel(with_spec(path, INPUT + "[output]\nkind = 'label'\nclasses = 2\n"))
    with pytest.raises(ModelFailed, match="light: decoder 'raw' can't read its outputs"):
        model.infer(DARK)


def test_an_unknown_class_in_keep_is_refused_naming_those_there_are() -> None:
    spec = {
        "name": "a",
        "input": {"size": [16, 16]},
        "output": {"kind": "boxes", "classes": ["car", "person"]},
        "decoder": {"name": "yolox", "keep": ["persn"]},
    }
    with pytest.raises(InvalidInput, match=r"keep.*'persn'.*car, person"):
        parse_spec(spec, where="a.toml")


def test_a_softmax_is_no_mask() -> None:
    spec = {
        "name": "a",
        "input": {"size": [16, 16]},
        "output": {"kind": "mask"},
        "decoder": {"name": "softmax"},
    }
    with pytest.raises(InvalidInput, match="a mask needs raw or sigmoid"):
        parse_spec(spec, where="a.toml")


def test_metadata_that_is_no_json_is_refused(tmp_path: Path, make_model) -> None:
    path = make_model(tmp_path, "bright", spec=False)
    model = onnx.load(str(path))
    model.metadata_props.add(key="infilink", value="size = 16")
    onnx.save(model, str(path))
    with pytest.raises(InvalidInput, match=r"bright.onnx"):
        read_spec(path)


@pytest.mark.parametrize("decoder", ["yolox", "boxes", "ultraface"])
def test_a_decoder_that_cannot_read_the_outputs_says_their_shapes_and_what_to_correct(
    tmp_path: Path, make_model, decoder: str
) -> None:
    text = INPUT + f"[output]\nkind = 'boxes'\nclasses = ['car']\n[decoder]\nname = '{decoder}'\n"
    model = OnnxModel(with_spec(make_model(tmp_path, "bright", spec=False), text))
    with pytest.raises(ModelFailed, match=rf"bright: decoder '{decoder}' can't read .*\(out \[1\]\): .*`\[decoder\]`"):
        model.infer(DARK)


def test_an_output_that_does_not_fit_its_kind_is_the_models_failure(tmp_path: Path, make_model) -> None:
    text = INPUT + "[output]\nkind = 'vector'\nlength = 9\n"
    model = OnnxModel(with_spec(make_model(tmp_path, "bright", spec=False), text))
    with pytest.raises(ModelFailed, match=r"must have shape \(9,\)"):
        model.infer(DARK)


def test_a_spec_written_inside_reads_back_the_same_and_the_model_stays_what_it_was(tmp_path: Path, make_model) -> None:
    path = make_model(tmp_path, "light", spec=False)
    spec = parse_spec(
        {
            "name": "night",
            "version": "3",
            "description": "day or night",
            "input": {"size": [16, 16], "std": [1.0]},
            "output": {"kind": "label", "classes": ["dark", "bright"]},
            "decoder": {"name": "softmax"},
        },
        where="here",
    )
    write_spec(path, spec)
    write_spec(path, spec)
    assert read_spec(path) == spec
    assert [prop.key for prop in onnx.load(str(path)).metadata_props] == ["infilink"]
    assert OnnxModel(path).infer(BRIGHT).argmax() == 1
    assert [file.name for file in tmp_path.iterdir()] == ["light.onnx"]


def test_the_spec_beside_wins_over_the_one_inside(tmp_path: Path, make_model) -> None:
    path = make_model(tmp_path, "bright")
    assert read_spec(path).output.tolerance == 50
    with_spec(path, INPUT + "[output]\nkind = 'count'\n")
    assert read_spec(path).output.kind == "count"


def test_a_spec_beside_is_called_as_its_file_unless_it_says_otherwise(tmp_path: Path, make_model) -> None:
    path = with_spec(make_model(tmp_path, "bright", spec=False), INPUT + "[output]\nkind = 'scalar'\n")
    assert read_spec(path).name == "bright"
    with_spec(path, "name = 'sun'\n" + INPUT + "[output]\nkind = 'scalar'\n")
    assert read_spec(path).name == "sun"


def test_classes_have_short_forms() -> None:
    def classes(short: object) -> tuple[str, ...]:
        data = {"name": "a", "input": {"size": [8, 8]}, "output": {"kind": "label", "classes": short}}
        return parse_spec(data, where="here").output.classes

    assert (len(classes("coco")), classes("coco")[0], classes("coco")[79]) == (80, "person", "toothbrush")
    assert classes(3) == ("0", "1", "2")
    assert classes(["x", "y"]) == ("x", "y")


def test_the_models_of_a_folder_are_found_by_their_names_in_order(tiny_models: Path, tmp_path: Path) -> None:
    found = find_models(tiny_models)
    assert list(found) == ["bright", "corner", "light"]
    assert found["light"] == tiny_models / "light.onnx"
    with pytest.raises(InvalidInput, match=r"holds no .onnx file"):
        find_models(tmp_path)
    with pytest.raises(InvalidInput, match="no such folder of models"):
        find_models(tmp_path / "none")


def test_two_models_of_one_name_are_both_named(tmp_path: Path, make_model) -> None:
    first = make_model(tmp_path, "bright")
    second = tmp_path / "copy.onnx"
    shutil.copy(first, second)
    with pytest.raises(InvalidInput) as caught:
        find_models(tmp_path)
    assert f"{second} and {first} are both called 'bright'" in str(caught.value)


def test_models_are_selected_by_name(tiny_models: Path) -> None:
    models = find_models(tiny_models)
    assert select_models(models, []) == models
    assert list(select_models(models, ["light", "bright"])) == ["light", "bright"]
    with pytest.raises(UnknownModel, match="'lights'; known models: bright, corner, light"):
        select_models(models, ["lights"])


def test_a_digest_changes_with_the_file(tmp_path: Path, make_model) -> None:
    path = make_model(tmp_path, "bright", spec=False)
    before = digest(path)
    assert len(before) == 16 and before == digest(path)
    path.write_bytes(path.read_bytes() + b"\0")
    assert digest(path) != before


def test_an_optimized_form_is_written_once_and_says_the_same(tiny_models: Path, tmp_path: Path) -> None:
    path, optimized = tiny_models / "corner.onnx", tmp_path / "kept.onnx"
    plain = OnnxModel(path).infer(BRIGHT)
    for _ in range(2):
        model = OnnxModel(path, optimized=optimized)
        assert np.array_equal(model.infer(BRIGHT), plain)
        assert model.spec == OnnxModel(path).spec
        assert [file.name for file in tmp_path.iterdir()] == ["kept.onnx"]


def test_what_is_inside_a_file_is_read_without_opening_its_graph(tiny_models: Path, tmp_path: Path) -> None:
    for path in tiny_models.glob("*.onnx"):
        assert read_metadata(path) == open_session(path).get_modelmeta().custom_metadata_map
    (tmp_path / "none.onnx").write_bytes(b"")
    (tmp_path / "bad.onnx").write_bytes(b"\x72\x7fdamaged")
    for name in ("none", "bad"):
        assert read_metadata(tmp_path / f"{name}.onnx") == {}
        with pytest.raises(InvalidInput, match="not an ONNX model"):
            read_spec(tmp_path / f"{name}.onnx")
