import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm, as_text
from infilink.models.inputs.text import TextInput, from_text
from infilink.models.inputs.tokens import Tokenizer, its_nodes
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest, read_spec
from onnx import TensorProto, helper

from .kinds import WORDS, raw_bytes, save_model, string, tokens, write_tokenizer


def save_ids(folder: Path, shape: list[int | str], dtype: int = TensorProto.INT64, **fed: object) -> Path:
    """The ids as they are fed."""
    write_tokenizer(folder / "tokenizer.json")
    nodes = [helper.make_node("Cast", ["words"], ["out"], to=TensorProto.FLOAT)]
    length = shape[1] if isinstance(shape[1], int) else 4
    spec = {"input": {"modality": "text", **fed}, "output": {"kind": "vector", "length": length}}
    return save_model(folder / "ids.onnx", nodes, {"words": (dtype, shape)}, {"out": shape}, spec)


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.INT32])
def test_a_text_is_ids_cut_or_filled_up(tmp_path: Path, dtype: int) -> None:
    path = save_ids(tmp_path, [1, 4], dtype)
    fed = read_spec(path).fed
    assert isinstance(fed, TextInput) and (fed.length, fed.padded) == (4, True), "as the graph says"
    model = OnnxModel(path)
    for text, ids in [
        ("is it SPAM", [2, 3, 4, 0]),
        ("call it ham now now", [6, 3, 5, 7]),
        ("", [0] * 4),
        ("x", [1, 0, 0, 0]),
    ]:
        assert model.infer(from_text(text)).tolist() == ids


def test_only_the_tokens_that_count_count(tmp_path: Path) -> None:
    model = OnnxModel(tokens(tmp_path))
    alone = [model.infer(from_text(text)) for text in ("is it spam", "call now", "")]
    assert [float(value[0]) for value in alone] == [9, 13, 0]
    padded = tmp_path / "tokens.toml"
    padded.write_text(
        '[input]\nmodality = "text"\nlength = 6\npadded = true\npad = 7\n[output]\nkind = "scalar"\n', encoding="utf-8"
    )
    filled = OnnxModel(tmp_path / "tokens.onnx")
    assert [filled.infer(from_text(text)) for text in ("is it spam", "call now", "")] == alone


def test_a_string_and_bytes_are_fed_as_they_are(tmp_path: Path) -> None:
    model = OnnxModel(string(tmp_path))
    assert [model.infer(from_text(text)).tolist() for text in ("spam", "Größe 😀", "")] == [[1], [0], [0]]
    model = OnnxModel(raw_bytes(tmp_path))
    assert [model.infer(from_text(text)).tolist() for text in ("ab", "", "aaaaaaaab")] == [[195], [0], [8 * 97]]


@pytest.mark.parametrize("wrong", [b"\xff", b"spam \xc3", "Größe".encode("latin-1")])
def test_what_is_no_utf8_is_refused_saying_where(tmp_path: Path, wrong: bytes) -> None:
    value = np.frombuffer(wrong, np.uint8)
    for save in (tokens, string, raw_bytes):
        with pytest.raises(InvalidInput, match=r"a text must be UTF-8, and byte \d of \d is not \(0x"):
            OnnxModel(save(tmp_path)).infer(value)


@given(text=st.text(max_size=60), length=st.integers(1, 20), padded=st.booleans())
def test_any_text_has_as_many_tokens_as_it_may(tmp_path_factory, text: str, length: int, padded: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "tokenizer.json"
    if not path.is_file():
        write_tokenizer(path)
    assert as_text(from_text(text)) == text
    found = Tokenizer(path, length=length, padded=padded, pad=None)(text)
    assert {len(values) for values in found.values()} == {length if padded else max(1, min(length, sum(found["mask"])))}
    assert sum(found["mask"]) <= length and set(found["ids"]) <= set(range(len(WORDS)))


@given(data=st.binary(max_size=40))
def test_bytes_are_a_text_or_are_refused(data: bytes) -> None:
    try:
        assert as_text(np.frombuffer(data, np.uint8)).encode() == data
    except InvalidInput:
        with pytest.raises(UnicodeDecodeError):
            data.decode()


def test_a_tokenizer_says_how_it_cuts_and_fills_up(tmp_path: Path) -> None:
    path = write_tokenizer(tmp_path / "tokenizer.json")
    told = json.loads(path.read_text(encoding="utf-8"))
    told["truncation"] = {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Left"}
    pad = {"direction": "Left", "pad_id": 5, "pad_type_id": 0, "pad_token": "ham", "pad_to_multiple_of": None}
    told["padding"] = {"strategy": "BatchLongest", **pad}
    path.write_text(json.dumps(told), encoding="utf-8")
    made = Tokenizer(path, length=0, padded=False, pad=None)
    assert made("is it spam call now")["ids"] == [4, 6, 7], "its own length, and from its own end"
    filled = Tokenizer(path, length=4, padded=True, pad=None)("is it")
    assert (filled["ids"], filled["mask"]) == ([5, 5, 2, 3], [0, 0, 1, 1])


def test_what_a_tokenizer_puts_around_a_text_is_kept_when_it_is_cut(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(["call it spam now"], trainer)
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    cut = Tokenizer(tmp_path / "tokenizer.json", length=6, padded=True, pad=None)
    whole = cut("call it spam now, Größe 😀")
    assert len(whole["ids"]) == 6 and (whole["ids"][0], whole["ids"][-1]) == (1, 2) and whole["types"] == [0] * 5 + [1]
    assert cut("")["ids"] == [1, 2, 0, 0, 0, 0] and cut("")["mask"] == [1, 1, 0, 0, 0, 0]
    assert cut("call it " * 100_000)["ids"] == cut("call it " * 100)["ids"]


def test_the_inputs_of_a_graph_are_known_by_their_usual_names() -> None:
    usual = ("token_type_ids", "attention_mask", "input_ids")
    assert its_nodes(usual, "", "", "") == {"ids": "input_ids", "mask": "attention_mask", "types": "token_type_ids"}
    assert its_nodes(["x"], "", "", "") == {"ids": "x"}
    assert its_nodes(["x", "y"], "y", "x", "") == {"ids": "y", "mask": "x"}
    assert its_nodes(["x", "y"], "", "", "")["ids"] == ""


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch) -> None:
    path = tokens(tmp_path)
    beside = tmp_path / "tokenizer.json"
    beside.write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"tokenizer.json can't be read as a tokenizer"):
        OnnxModel(path)
    beside.unlink()
    with pytest.raises(InvalidInput, match=r"tokenizer.json is missing beside the model"):
        OnnxModel(path)
    with pytest.raises(InvalidInput, match=r"names tokenizer.json, which is not there"):
        digest(path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InvalidInput, match=r"pip install 'infilink\[text\]'"):
        OnnxModel(path)


def test_a_tokenizer_counts_into_the_digest(tmp_path: Path) -> None:
    path = tokens(tmp_path)
    before = digest(path)
    write_tokenizer(tmp_path / "tokenizer.json", (*WORDS, "more"))
    after = digest(path)
    assert after != before
    (tmp_path / "tokens.toml").write_text('[input]\nmodality = "text"\n[output]\nkind = "scalar"\n', encoding="utf-8")
    assert digest(path) == after, "named by the spec beside the model, too"


@pytest.mark.parametrize(
    ("taken", "fed", "told"),
    [
        ({"words": [1, 4], "more": [1, 4]}, {}, "name that of the ids"),
        ({"input_ids": [1, 4], "position_ids": [1, 4]}, {}, "give others numbers"),
        ({"input_ids": [1, 4], "attention_mask": [1, 5]}, {}, r"mask of tokens are fed as .* \[1, 4\]"),
        ({"words": [1, 4]}, {"types": "sentences"}, "has no input 'sentences': `input.types`"),
        ({"words": [1, 4]}, {"length": 5, "padded": True}, r"\[1, 5\]"),
        ({"words": [1, 4]}, {"form": "string"}, "not one string"),
        ({"words": [1, 4, 2]}, {"form": "bytes"}, "bytes are fed as"),
    ],
)
def test_a_graph_that_takes_something_else_is_refused(
    tmp_path: Path, taken: dict[str, list[int]], fed: dict[str, object], told: str
) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    nodes = [helper.make_node("Cast", [next(iter(taken))], ["out"], to=TensorProto.FLOAT)]
    spec = {"input": {"modality": "text", **fed}, "output": {"kind": "vector", "length": 4}}
    shapes = {name: (TensorProto.INT64, shape) for name, shape in taken.items()}
    path = save_model(tmp_path / "m.onnx", nodes, shapes, {"out": ["n", 4]}, spec)
    with pytest.raises(InvalidInput, match=told):
        OnnxModel(path)


@pytest.mark.parametrize(
    ("fed", "told"),
    [
        ({"tokenizer": "../tokenizer.json"}, "`tokenizer` must be the name of a file beside the model"),
        ({"tokenizer": ""}, "tokenizer"),
        ({"padded": True}, "`padded` needs a `length`"),
        ({"form": "string", "mask": "m"}, 'are for `form = "tokens"`'),
    ],
)
def test_what_can_not_be_meant_is_refused(fed: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TextInput.model_validate({"modality": "text", **fed})


def test_any_stream_of_texts_fits() -> None:
    assert TextInput(modality="text").fits(InputForm(modality="text")) == ""
    assert "these inputs are image" in TextInput(modality="text").fits(InputForm())
