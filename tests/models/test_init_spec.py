"""Specs of models that look at something else than one picture, guessed from their graphs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.cli import init_model_command
from infilink.models.onnx_model import OnnxModel, try_out
from infilink.models.spec import METADATA_KEY, ModelSpec, read_spec
from onnx import TensorProto, helper, load, save

from .inputs.kinds import KINDS, save_model, write_tokenizer

WRITTEN = {
    "constants": {"constants": "{ gain = 2, offset = [1.0, 2.0, 3.0] }"},
    "audio": {"rate_hz": "8000"},
    "pieces": {
        "rate_hz": "8000",
        "chunk": "4",
        "constants": "{ gain = 6.0 }",
    },
    "signal": {"channels": '["x", "y", "z"]', "rate_hz": "32"},
}
"""What a person must write of each kind."""


def without_spec(path: Path) -> Path:
    model = load(str(path))
    kept = [each for each in model.metadata_props if each.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    save(model, str(path))
    return path


def filled_in(path: Path, answers: dict[str, str]) -> ModelSpec:
    """The guessed spec, with what a person writes for each "?"."""
    init_model_command(path)
    beside = path.with_suffix(".toml")
    text = beside.read_text(encoding="utf-8")
    assert set(re.findall(r'^(\w+) = "\?"', text, re.MULTILINE)) == set(answers), text
    if answers:
        with pytest.raises(InvalidInput, match=r'still "\?"'):
            read_spec(path)
    for key, value in answers.items():
        text = re.sub(rf'^{key} = "\?"', f"{key} = {value}", text, flags=re.MULTILINE)
    beside.write_text(text, encoding="utf-8")
    return read_spec(path)


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("joint", "image", "bytes")])
def test_a_guess_with_what_a_person_writes_is_fed_as_the_model_wants(tmp_path: Path, name: str) -> None:
    path = KINDS[name].save(tmp_path)
    wanted, spec = read_spec(path), filled_in(without_spec(path), WRITTEN.get(name, {}))
    assert spec.modality == wanted.modality
    model = OnnxModel(path)
    assert np.isfinite(try_out(model.infer, model.spec.fed.samples())).all()
    left: set[str] = {"mean", "std", "context"}
    here, there = (each.fed.model_dump(exclude=left) for each in (spec, wanted))
    assert here == there | {"name": here["name"]}


def test_bytes_are_told_from_tokens_by_their_type(tmp_path: Path) -> None:
    for dtype, form in [(TensorProto.UINT8, "bytes"), (TensorProto.INT32, "tokens")]:
        write_tokenizer(tmp_path / "tokenizer.json")
        nodes = [
            helper.make_node("Cast", ["text"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["floats", "one"], ["out"], keepdims=1),
        ]
        path = save_model(
            tmp_path / f"{form}.onnx",
            nodes,
            {"text": (dtype, ["n", 8])},
            {"out": ["n", 1]},
            None,
            {"one": np.array([1])},
        )
        spec: Any = filled_in(path, {})
        assert (spec.fed.form, spec.fed.length, spec.output.kind) == (form, 8, "scalar")


def test_classes_that_the_exporter_wrote_beside_it_are_taken(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "config.json").write_text('{"id2label": {"0": "ham", "1": "spam"}}', encoding="utf-8")
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats", "one"], ["total"], keepdims=1),
        helper.make_node("Mul", ["total", "weights"], ["logits"]),
        helper.make_node("Identity", ["floats"], ["hidden"]),
    ]
    numbers = {"one": np.array([1]), "weights": np.array([[-3.0, 2.0]], np.float32)}
    taken = {"input_ids": (TensorProto.INT64, ["n", "t"])}
    path = save_model(tmp_path / "net.onnx", nodes, taken, {"logits": ["n", 2], "hidden": ["n", "t"]}, None, numbers)
    spec = filled_in(path, {})
    assert spec.output.classes == ("ham", "spam") and spec.output.kind == "label"
    assert (spec.decoder.name, spec.decoder.output) == ("softmax", "logits")


def test_outputs_of_no_known_shape_are_left_open(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["sound"], ["out"])]
    path = save_model(tmp_path / "net.onnx", nodes, {"sound": (TensorProto.FLOAT, [1, 2, 3])}, {"out": [1, 2, 3]})
    init_model_command(path)
    assert 'kind = "?"' in path.with_suffix(".toml").read_text(encoding="utf-8")
