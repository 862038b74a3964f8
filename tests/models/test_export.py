"""Torch modules as ONNX files: what is in them, and what is refused without leaving anything behind."""

from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.export import export
from infilink.models.inputs.text import from_text
from infilink.models.onnx_model import OnnxModel

from .inputs.kinds import write_tokenizer

HEAD = """
import sys
import numpy as np
import torch
from torch import nn

SPEC = {"name": "tiny", "input": {"size": [16, 8]}, "output": {"kind": "label", "classes": ["a", "b", "c"]},
        "decoder": {"name": "softmax"}}
SAMPLES = [np.random.default_rng(i).random((1, 3, 8, 16)) for i in range(3)]

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

class Noisy(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)) + torch.rand(1, 3)

class Halves(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)), {"b": x.amax(dim=(2, 3))}
"""


def write(tmp_path: Path, code: str, *, before: str = "") -> str:
    folder = tmp_path / "code"
    folder.mkdir(exist_ok=True)
    (folder / "net.py").write_text(f"{HEAD}{before}\ndef build():\n    {code}\n", encoding="utf-8")
    return f"{folder / 'net.py'}:build"


def test_a_module_and_its_file_say_the_same(tmp_path: Path) -> None:
    out = tmp_path / "tiny.onnx"
    done = export(write(tmp_path, "return net(), SPEC, SAMPLES"), out)
    assert done.difference < 1e-5 and done.samples == 3 and done.int8 is None
    assert done.size_bytes == out.stat().st_size
    model = OnnxModel(out)
    assert model.spec == done.spec and model.spec.name == "tiny"
    assert model.infer(np.zeros((8, 16, 3), np.uint8)).sum() == pytest.approx(1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["code", "tiny.onnx"]


def test_samples_of_several_pictures_are_cut_into_single_ones(tmp_path: Path) -> None:
    done = export(write(tmp_path, "return net(), SPEC, [torch.rand(4, 3, 8, 16)]"), tmp_path / "tiny.onnx")
    assert done.samples == 4


def test_one_of_several_outputs_can_be_read(tmp_path: Path) -> None:
    code = "return Halves(), SPEC | {'decoder': {'name': 'softmax', 'output': 'output0'}}, SAMPLES"
    assert export(write(tmp_path, code), tmp_path / "tiny.onnx").spec.decoder.output == "output0"


def test_int8_says_how_far_it_is_from_float(tmp_path: Path) -> None:
    done = export(write(tmp_path, "return net(), SPEC, SAMPLES"), tmp_path / "tiny.onnx", int8=True)
    assert done.int8 is not None and done.int8.method == "static"
    assert 0 <= done.int8.mean <= done.int8.largest < 0.1
    assert OnnxModel(tmp_path / "tiny.onnx").spec == done.spec


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("return net(), SPEC", "must return"),
        ("return 5, SPEC, SAMPLES", "torch.nn.Module"),
        ("return net(), 'spec', SAMPLES", "ModelSpec or a dict"),
        ("return net(), SPEC, []", "at least one sample"),
        ("return net(), SPEC, ['x']", "sample 0"),
        ("return net(), SPEC, [torch.rand(1, 3, 8, 8)]", "sample 0 is [1, 3, 8, 8]"),
        ("return net(), SPEC | {'outptu': 1}, SAMPLES", "outptu"),
        ("return net(), SPEC | {'output': {'kind': 'vector', 'length': 5}}, SAMPLES", "does not fit"),
        ("return net(), SPEC | {'decoder': {'output': 'x'}}, SAMPLES[:0] + [1]", "sample 0"),
        ("return Noisy(), SPEC, SAMPLES", "differs from torch"),
        ("return nn.Linear(7, 7), SPEC, SAMPLES", "failed on its samples"),
        ("raise RuntimeError('no weights\\nhere')", "RuntimeError: no weights here"),
        ("sys.exit(3)", "SystemExit"),
    ],
)
def test_what_can_not_be_exported_is_refused_and_leaves_nothing(tmp_path: Path, code: str, says: str) -> None:
    target = write(tmp_path, code)
    with pytest.raises(InvalidInput) as raised:
        export(target, tmp_path / "tiny.onnx")
    assert says in str(raised.value)
    assert [p.name for p in tmp_path.iterdir()] == ["code"]


def test_what_to_call_must_be_there(tmp_path: Path) -> None:
    target = write(tmp_path, "return net(), SPEC, SAMPLES")
    (tmp_path / "code" / "broken.py").write_text("import nothing_of_that_name", encoding="utf-8")
    for wrong, says in [
        (target.replace("build", "make"), "no function 'make'"),
        (target.replace("net.py", "other.py"), "no such file"),
        (target.replace("net.py", "broken.py"), "nothing_of_that_name"),
        ("net.py", "PATH.py:function"),
    ]:
        with pytest.raises(InvalidInput, match=says):
            export(wrong, tmp_path / "tiny.onnx")
    with pytest.raises(InvalidInput, match="ends in"):
        export(target, tmp_path / "tiny.pt")
    with pytest.raises(InvalidInput, match="make it first"):
        export(target, tmp_path / "nowhere" / "tiny.onnx")


SOUNDS = """
class Loud(nn.Module):
    def forward(self, sound, gain):
        return (sound.abs().mean(dim=1, keepdim=True) * gain, sound.amax(dim=1, keepdim=True))
"""
WORDS = """
class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(8, 2)
    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(-1).float()
        return (self.table(input_ids) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
"""


def test_a_module_of_several_inputs_of_any_length_is_exported(tmp_path: Path) -> None:
    spec = {
        "name": "loud",
        "input": {"modality": "audio", "rate_hz": 8000, "constants": {"gain": 2.0}, "name": "sound"},
        "output": {"kind": "scalar"},
        "decoder": {"output": "output0"},
    }
    samples = "[(torch.rand(1, n), torch.tensor([2.0])) for n in (8, 9, 30)]"
    target = write(tmp_path, f"return Loud(), {spec!r}, {samples}", before=SOUNDS)
    assert export(target, tmp_path / "loud.onnx").samples == 3
    model = OnnxModel(tmp_path / "loud.onnx")
    for length in (5, 50):
        assert model.infer(np.full(length, 0.25, np.float32)).tolist() == [0.5]


@pytest.mark.parametrize("int8", [False, True])
def test_a_module_of_texts_needs_its_tokenizer_beside_it(tmp_path: Path, int8: bool) -> None:
    spec = {
        "name": "words",
        "input": {"modality": "text"},
        "output": {"kind": "label", "classes": ["ham", "spam"]},
        "decoder": {"name": "softmax"},
    }
    sample = "{'attention_mask': torch.ones(1, n, dtype=torch.long), 'input_ids': torch.arange(n)[None]}"
    samples = f"[{sample} for n in (2, 5, 8)]"
    target = write(tmp_path, f"return Words(), {spec!r}, {samples}", before=WORDS)
    with pytest.raises(InvalidInput, match=r"names tokenizer.json, which must lie beside"):
        export(target, tmp_path / "words.onnx", int8=int8)
    assert not (tmp_path / "words.onnx").exists()
    write_tokenizer(tmp_path / "tokenizer.json")
    export(target, tmp_path / "words.onnx", int8=int8)
    assert OnnxModel(tmp_path / "words.onnx").infer(from_text("is it spam")).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        ("[{'sound': torch.rand(1, 4), 'loud': 1.0}]", "has loud, but forward.. takes sound, gain"),
        ("[(torch.rand(1, 4), 1.0, 2.0)]", "has 3 tensors"),
        ("[(torch.rand(1, 4), 1.0), torch.rand(1, 4)]", "other tensors than the first"),
        ("[torch.tensor(1.0)]", "a batch of at least one"),
    ],
)
def test_samples_that_the_module_does_not_take_are_refused(tmp_path: Path, samples: str, told: str) -> None:
    spec = {"name": "loud", "input": {"modality": "audio", "rate_hz": 8000}, "output": {"kind": "scalar"}}
    with pytest.raises(InvalidInput, match=told):
        export(write(tmp_path, f"return Loud(), {spec!r}, {samples}", before=SOUNDS), tmp_path / "loud.onnx")
