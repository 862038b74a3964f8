"""A small model for every kind of input, whose answers are known beforehand, and inputs for it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.joint import join
from infilink.models.inputs.text import from_text
from infilink.models.spec import parse_spec, write_spec
from infilink.outputs import Array
from onnx import NodeProto, TensorProto, helper, numpy_helper

WORDS = ("[PAD]", "[UNK]", "is", "it", "spam", "ham", "call", "now")
Taken = Mapping[str, tuple[int, Sequence[int | str]]]
"""The type and the shape of each of a graph's inputs."""


def save_model(
    path: Path,
    nodes: Sequence[NodeProto],
    taken: Taken,
    gives: Mapping[str, Sequence[int | str]],
    spec: Mapping[str, Any] | None = None,
    numbers: Mapping[str, Array] | None = None,
) -> Path:
    """An ONNX file, with its spec inside where there is one."""
    graph = helper.make_graph(
        list(nodes),
        path.stem,
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in taken.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in gives.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (numbers or {}).items()],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    if spec is not None:
        write_spec(path, parse_spec({"name": path.stem, **spec}, where="test"))
    return path


def mean(of: str, out: str, axes: Sequence[int]) -> NodeProto:
    """The mean over some axes, which are gone then."""
    return helper.make_node("ReduceMean", [of], [out], axes=list(axes), keepdims=0)


def write_tokenizer(path: Path, words: Sequence[str] = WORDS) -> Path:
    """A `tokenizer.json` that knows a few words, as the package tokenizers would write it."""
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    told = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": at, "content": words[at], **special} for at in (0, 1)],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: at for at, word in enumerate(words)}, "unk_token": words[1]},
    }
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def vector(length: int) -> dict[str, Any]:
    return {"kind": "vector", "length": length}


def image(folder: Path) -> Path:
    spec = {"input": {"size": [8, 8], "std": [1.0]}, "output": vector(3)}
    taken = {"image": (TensorProto.FLOAT, ["n", 3, 8, 8])}
    return save_model(folder / "image.onnx", [mean("image", "out", [2, 3])], taken, {"out": ["n", 3]}, spec)


def constants(folder: Path) -> Path:
    """A picture's mean, times a number, and more by another for each colour."""
    nodes = [mean("image", "mean", [2, 3]), *nodes_of("Mul", "mean", "gain"), *nodes_of("Add", "Mul", "offset")]
    nodes[-1].output[0] = "out"
    taken = {
        "gain": (TensorProto.FLOAT, []),
        "image": (TensorProto.FLOAT, ["n", 3, 8, 8]),
        "offset": (TensorProto.FLOAT, ["n", 3]),
    }
    fed = {"name": "image", "size": [8, 8], "std": [1.0], "constants": {"gain": 2, "offset": [1.0, 2.0, 3.0]}}
    spec = {"input": fed, "output": vector(3)}
    return save_model(folder / "constants.onnx", nodes, taken, {"out": ["n", 3]}, spec)


def nodes_of(operator: str, *given: str) -> list[NodeProto]:
    return [helper.make_node(operator, list(given), [operator])]


def video(folder: Path) -> Path:
    spec = {"input": {"modality": "video", "size": [8, 8], "std": [1.0]}, "output": vector(3)}
    taken = {"clip": (TensorProto.FLOAT, ["n", 3, 4, 8, 8])}
    return save_model(folder / "video.onnx", [mean("clip", "out", [2, 3, 4])], taken, {"out": ["n", 3]}, spec)


def audio(folder: Path) -> Path:
    """The largest sample, and the least."""
    nodes = [
        helper.make_node("ReduceMax", ["sound"], ["most"], axes=[1], keepdims=1),
        helper.make_node("ReduceMin", ["sound"], ["least"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["most", "least"], ["out"], axis=1),
    ]
    spec = {"input": {"modality": "audio", "rate_hz": 8000}, "output": vector(2)}
    taken = {"sound": (TensorProto.FLOAT, ["n", "samples"])}
    return save_model(folder / "audio.onnx", nodes, taken, {"out": ["n", 2]}, spec)


def pieces(folder: Path, **fed: Any) -> Path:
    """Of pieces of four samples, with the two before: the sum of all means so far."""
    nodes = [
        mean("piece", "mean", [1]),
        helper.make_node("Mul", ["mean", "gain"], ["louder"]),
        helper.make_node("Add", ["louder", "state"], ["out"]),
        helper.make_node("Identity", ["out"], ["stateN"]),
    ]
    taken = {
        "piece": (TensorProto.FLOAT, [1, "samples"]),
        "state": (TensorProto.FLOAT, [1]),
        "gain": (TensorProto.FLOAT, [1]),
    }
    kind = {
        "modality": "audio",
        "rate_hz": 8000,
        "name": "piece",
        "chunk": 4,
        "context": 2,
        "state": {"state": "stateN"},
    }
    spec = {
        "input": {**kind, "constants": {"gain": 6.0}, **fed},
        "output": {"kind": "scalar"},
        "decoder": {"output": "out"},
    }
    return save_model(folder / "pieces.onnx", nodes, taken, {"out": [1], "stateN": [1]}, spec)


def signal(folder: Path) -> Path:
    spec = {"input": {"modality": "signal", "channels": ["x", "y", "z"], "rate_hz": 32}, "output": vector(3)}
    taken = {"signal": (TensorProto.FLOAT, ["n", 3, 8])}
    return save_model(folder / "signal.onnx", [mean("signal", "out", [2])], taken, {"out": ["n", 3]}, spec)


TOKENS = [
    helper.make_node("Mul", ["input_ids", "attention_mask"], ["counted"]),
    helper.make_node("Cast", ["counted"], ["ids"], to=TensorProto.FLOAT),
    helper.make_node("ReduceSum", ["ids", "one"], ["total"], keepdims=1),
]
"""The sum of the ids that count."""


def tokens(folder: Path) -> Path:
    write_tokenizer(folder / "tokenizer.json")
    taken = {
        "input_ids": (TensorProto.INT64, ["n", "tokens"]),
        "attention_mask": (TensorProto.INT64, ["n", "tokens"]),
    }
    nodes = [*TOKENS, helper.make_node("Identity", ["total"], ["out"])]
    numbers = {"one": np.array([1])}
    spec = {"input": {"modality": "text"}, "output": {"kind": "scalar"}}
    return save_model(folder / "tokens.onnx", nodes, taken, {"out": ["n", 1]}, spec, numbers)


def string(folder: Path) -> Path:
    """1 for "spam", else 0."""
    table = {"keys_strings": ["spam"], "values_floats": [1.0], "default_float": 0.0}
    nodes = [helper.make_node("LabelEncoder", ["text"], ["out"], domain="ai.onnx.ml", **table)]
    spec = {"input": {"modality": "text", "form": "string"}, "output": {"kind": "scalar"}}
    taken = {"text": (TensorProto.STRING, ["n", 1])}
    return save_model(folder / "string.onnx", nodes, taken, {"out": ["n", 1]}, spec)


def raw_bytes(folder: Path) -> Path:
    """The sum of the first eight bytes."""
    nodes = [
        helper.make_node("Cast", ["text"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats", "one"], ["out"], keepdims=1),
    ]
    spec = {"input": {"modality": "text", "form": "bytes"}, "output": {"kind": "scalar"}}
    taken = {"text": (TensorProto.INT32, ["n", 8])}
    return save_model(folder / "raw_bytes.onnx", nodes, taken, {"out": ["n", 1]}, spec, {"one": np.array([1])})


def feature_map(folder: Path) -> Path:
    spec = {"input": {"modality": "map", "shape": [2, 4, 4]}, "output": vector(2)}
    taken = {"map": (TensorProto.FLOAT, ["n", 2, 4, 4])}
    return save_model(folder / "feature_map.onnx", [mean("map", "out", [2, 3])], taken, {"out": ["n", 2]}, spec)


def joint(folder: Path) -> Path:
    """The largest sample, and the sum of the ids, times a number."""
    write_tokenizer(folder / "tokenizer.json")
    nodes = [
        *TOKENS,
        helper.make_node("ReduceMax", ["sound"], ["most"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["most", "total"], ["both"], axis=1),
        helper.make_node("Mul", ["both", "gain"], ["out"]),
    ]
    taken = {
        "sound": (TensorProto.FLOAT, ["n", 16]),
        "gain": (TensorProto.FLOAT, []),
        "input_ids": (TensorProto.INT64, ["n", "tokens"]),
        "attention_mask": (TensorProto.INT64, ["n", "tokens"]),
    }
    parts = {"heard": {"modality": "audio", "rate_hz": 8000}, "said": {"modality": "text"}}
    fed = {"modality": "audio+text", "constants": {"gain": 10.0}, "parts": parts}
    spec = {"input": fed, "output": vector(2)}
    return save_model(folder / "joint.onnx", nodes, taken, {"out": ["n", 2]}, spec, {"one": np.array([1])})


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        save: writes the model into a folder.
        draw: an input for it.
        form: of a stream of such inputs.
        batches: whether several may share a run.
    """

    save: Callable[[Path], Path]
    draw: Callable[[np.random.Generator], Array]
    form: InputForm
    batches: bool = True


def picture(random: np.random.Generator) -> Array:
    return random.integers(0, 256, (12, 20, 3), np.uint8)


def clip(random: np.random.Generator) -> Array:
    return random.integers(0, 256, (4, 12, 20, 3), np.uint8)


def sound(random: np.random.Generator) -> Array:
    return (random.random(16) * 2 - 1).astype(np.float32)


def words(random: np.random.Generator) -> Array:
    return from_text(" ".join(random.choice(WORDS[2:], int(random.integers(1, 9)))))


def both(random: np.random.Generator) -> Array:
    # Seven bytes before what is float32: it does not begin where such numbers usually do.
    return join(heard=sound(random), said=words(random))


def numbers(*shape: int) -> Callable[[np.random.Generator], Array]:
    return lambda random: random.random(shape, np.float32)


SOUNDS = InputForm(modality="audio", rate_hz=8000, window=16, stride=8)
TEXTS = InputForm(modality="text")
KINDS = {
    "image": Kind(image, picture, InputForm()),
    "constants": Kind(constants, picture, InputForm()),
    "video": Kind(video, clip, InputForm(modality="video", window=4, stride=1)),
    "audio": Kind(audio, sound, SOUNDS),
    "pieces": Kind(pieces, sound, SOUNDS, batches=False),
    "signal": Kind(
        signal,
        numbers(8, 3),
        InputForm(modality="signal", rate_hz=32, window=8, stride=4, channels=("x", "y", "z")),
    ),
    "tokens": Kind(tokens, words, TEXTS),
    "string": Kind(string, words, TEXTS),
    "bytes": Kind(raw_bytes, words, TEXTS),
    "map": Kind(feature_map, numbers(2, 4, 4), InputForm(modality="map")),
    "joint": Kind(joint, both, InputForm(modality="audio+text", parts={"heard": SOUNDS, "said": TEXTS})),
}
"""Of every kind, and every way that there is to feed it."""
