from pathlib import Path

import numpy as np
import pytest
from infilink.codec import pack, unpack
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.joint import JointInput, join
from infilink.models.inputs.text import from_text
from infilink.models.onnx_model import OnnxModel
from infilink.models.shared_memory import SharedReader, SharedWriter
from infilink.models.spec import read_spec
from onnx import TensorProto, helper

from .kinds import joint, mean, save_model

HEARD = {"modality": "audio", "rate_hz": 8000}
SAID = {"modality": "text"}


def test_every_part_is_fed_as_if_it_were_the_only_one(tmp_path: Path) -> None:
    path = joint(tmp_path)
    model = OnnxModel(path)
    heard = np.linspace(-1, 0.5, 20).astype(np.float32)
    assert model.infer(join(heard=heard, said=from_text("is it spam"))).tolist() == [
        pytest.approx(10 * heard[15]),
        90.0,
    ], "cut to the graph's sixteen samples, with the number that is the same for all"
    assert model.infer(join(heard=heard[:3], said=from_text(""))).tolist() == [0.0, 0.0]


def test_what_is_wrong_is_said_of_its_part(tmp_path: Path) -> None:
    model = OnnxModel(joint(tmp_path))
    sound, text = np.zeros(4, np.float32), from_text("it")
    for wrong, told in [
        (join(heard=sound, said=np.array([255], np.uint8)), "part 'said': a text must be UTF-8"),
        (join(heard=text, said=text), "part 'heard': a sound must be"),
        (join(said=text, heard=sound), "must have the parts heard, said .*, not said, heard"),
        (join(heard=sound), "must have the parts"),
        (np.stack([join(heard=sound, said=text)] * 2), "must have the parts"),
        (sound, r"not float32 \(4,\)"),
    ]:
        for look in (model.infer, model.spec.fed.check):
            with pytest.raises(InvalidInput, match=told):
                look(wrong)


@pytest.mark.parametrize(
    ("fed", "told"),
    [
        ({"modality": "text+audio"}, "'audio.text'"),
        ({"name": "sound"}, "`name` is each part's own"),
        ({"parts": {"heard": HEARD}}, "parts"),
        ({"parts": {"heard": {**HEARD, "chunk": 4}, "said": SAID}}, "fed piece by piece"),
        ({"parts": {"heard": {**HEARD, "constants": {"a": 1}}, "said": SAID}}, "are of the whole input"),
        ({"parts": {"heard": HEARD, "said": {"modality": "audio+text", "parts": {}}}}, "parts"),
    ],
)
def test_what_can_not_be_meant_is_refused(fed: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        JointInput.model_validate({"modality": "audio+text", "parts": {"heard": HEARD, "said": SAID}, **fed})


def save_two(path: Path, parts: dict[str, object]) -> Path:
    """The means of two pictures, side by side."""
    nodes = [
        mean("left", "l", [2, 3]),
        mean("right", "r", [2, 3]),
        helper.make_node("Concat", ["l", "r"], ["out"], axis=1),
    ]
    taken = {name: (TensorProto.FLOAT, ["n", 1, 4, 4]) for name in ("left", "right")}
    spec = {"input": {"modality": "image+image", "parts": parts}, "output": {"kind": "vector", "length": 2}}
    return save_model(path, nodes, taken, {"out": ["n", 2]}, spec)


def test_parts_that_could_be_either_must_be_named(tmp_path: Path) -> None:
    fed = {"size": [4, 4], "color": "GRAY", "std": [1.0], "modality": "image"}
    values = join(one=np.full((4, 4, 3), 9, np.uint8), two=np.full((8, 8, 3), 5, np.uint8))
    path = save_two(tmp_path / "two.onnx", {"one": {**fed, "name": "right"}, "two": fed})
    assert OnnxModel(path).infer(values).tolist() == [5, 9]
    with pytest.raises(InvalidInput, match=r"`input.parts.one.name`, `input.parts.two.name`"):
        OnnxModel(save_two(tmp_path / "two.onnx", {"one": fed, "two": fed}))
    named = {"one": {**fed, "name": "left"}, "two": {**fed, "name": "left"}}
    with pytest.raises(InvalidInput, match="part 'two': has no input 'left'"):
        OnnxModel(save_two(tmp_path / "two.onnx", named))


def test_a_graph_whose_inputs_no_part_takes_is_refused(tmp_path: Path) -> None:
    path = joint(tmp_path)
    spec = read_spec(path)
    fed = spec.fed.model_dump(exclude_defaults=True) | {"constants": {}}
    text = path.with_suffix(".toml")
    from infilink.cloud.model_store import spec_toml

    text.write_text(spec_toml(spec.model_copy(update={"input": JointInput.model_validate(fed)})), encoding="utf-8")
    with pytest.raises(InvalidInput, match="needs"):
        OnnxModel(path)


def test_a_stream_of_other_parts_does_not_fit(tmp_path: Path) -> None:
    spec = read_spec(joint(tmp_path))
    sound, text = InputForm(modality="audio", rate_hz=8000), InputForm(modality="text")
    assert spec.fits(InputForm(modality="audio+text", parts={"heard": sound, "said": text})) == ""
    faster = InputForm(modality="audio", rate_hz=16000)
    for form, told in [
        (InputForm(modality="audio+text", parts={"heard": faster, "said": text}), "part 'heard': it takes 8000"),
        (InputForm(modality="audio+text", parts={"a": sound, "b": text}), "have the parts a, b"),
        (text, "looks at the parts heard, said .* are text"),
    ]:
        with pytest.raises(AssertionError, match=told):
            raise AssertionError(spec.fits(form))


def test_a_joint_input_of_any_size_goes_through_files_and_shared_memory() -> None:
    writer, reader = SharedWriter(), SharedReader()
    for size in (0, 1, 3, 70_000):
        value = join(said=from_text("x" * size), heard=np.arange(size, dtype=np.float32))
        for read in (reader.read(writer.write(value)) if size else value, unpack(pack(value))):
            assert read.dtype == value.dtype and read.tobytes() == value.tobytes()
    writer.close()
