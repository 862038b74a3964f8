"""A tiny model for each kind of input, what each says of an input, and how inputs travel: all known beforehand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from infilink.codec import encode_jpeg
from infilink.models.inputs.form import InputForm
from infilink.outputs import Array
from infilink.protos import edge_pb2
from infilink.protos.payloads import quantized, write_array_payload, write_parts
from infilink.protos.sounds import write_flac, write_opus
from onnx import TensorProto, helper

JPEG, UTF8, ARRAY, FLAC, OPUS, PARTS = (
    getattr(edge_pb2, f"ENCODING_{name}") for name in ("JPEG", "UTF8", "ARRAY", "FLAC", "OPUS", "PARTS")
)
Payload = tuple[Any, bytes]
"""An encoding and its bytes."""


@dataclass(frozen=True)
class Kind:
    """One kind of inputs.

    Attributes:
        form: of a stream of them.
        model: the model that looks at them.
        inputs: some, as numbers that tell them apart; how each travels, in every way that there is.
        says: what the model says of one of these.
        tolerance: how far off that may be, as some ways are not exact.
    """

    form: InputForm
    model: str
    inputs: tuple[float, ...]
    ways: Callable[[float], list[Payload]]
    says: Callable[[float], float]
    tolerance: float = 1e-3


def write_mean(
    path: Path, inputs: dict[str, tuple[int, list[Any]]], spec: str, *, scale: float = 1.0, kind: str = "scalar"
) -> None:
    """A model that says the mean of all numbers of an input, of a sound how loud it is; of several inputs their sum."""
    nodes, means = [], []
    for name, (_, shape) in inputs.items():
        nodes.append(helper.make_node("Cast", [name], [f"{name} floats"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Abs" if name == "sound" else "Identity", [f"{name} floats"], [f"{name} all"]))
        axes = list(range(1, len(shape)))
        nodes.append(helper.make_node("ReduceMean", [f"{name} all"], [f"{name} mean"], axes=axes, keepdims=0))
        means.append(f"{name} mean")
    nodes.append(helper.make_node("Sum", means, ["mean"]))
    nodes.append(helper.make_node("Mul", ["mean", "scale"], ["out"]))
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    output = f'[output]\nkind = "{kind}"\ntolerance = 0.01\n'
    path.with_suffix(".toml").write_text(f'name = "{path.stem}"\n{spec}\n{output}')


def grey(level: float) -> Array:
    return np.full((16, 16, 3), level, np.uint8)


def sound(level: float) -> Array:
    """A tone: what is a mere offset, Opus leaves out."""
    return np.rint(level * np.sin(np.arange(1600) / 3)).astype(np.int16)


def loudness(level: float) -> float:
    return abs(level) * 2 / np.pi / 32768


def window(level: float) -> Array:
    return np.full((8, 2), level, np.float32)


def feature_map(level: float) -> Array:
    return np.full((4, 3, 3), level, np.float32)


def text(level: float) -> bytes:
    return bytes([int(level)]) * 5


def a_jpeg(level: float) -> bytes:
    return encode_jpeg(grey(level), quality=100)


def numbers(value: Array) -> list[Payload]:
    return [(ARRAY, write_array_payload(value)), (ARRAY, quantized(value)), (ARRAY, quantized(value, "int16"))]


def sounds(level: float) -> list[Payload]:
    whole = sound(level)
    floats = (whole / 32768).astype(np.float32)
    return [
        (ARRAY, write_array_payload(whole)),
        (ARRAY, write_array_payload(floats)),
        (FLAC, write_flac(whole, 8000)),
        (OPUS, write_opus(whole, 8000)),
    ]


SOUND, TEXT = InputForm(modality="audio", rate_hz=8000), InputForm(modality="text")
KINDS = {
    "image": Kind(
        InputForm(), "bright", (40, 90, 200), lambda level: [(JPEG, a_jpeg(level))], lambda level: level, tolerance=2
    ),
    "video": Kind(
        InputForm(modality="video", window=2, stride=1),
        "clip",
        (40, 90, 200),
        lambda level: [
            (PARTS, write_parts([("", JPEG, a_jpeg(level))] * 2)),
            (ARRAY, write_array_payload(np.stack([grey(level)] * 2))),
        ],
        lambda level: level,
        tolerance=2,
    ),
    "audio": Kind(SOUND, "loud", (900, 9000, 20_000), sounds, loudness, tolerance=0.01),
    "signal": Kind(
        InputForm(modality="signal", rate_hz=32, window=8, stride=8, channels=("x", "y")),
        "shake",
        (0.5, -2.0, 7.0),
        lambda level: numbers(window(level)),
        lambda level: level,
    ),
    "text": Kind(TEXT, "letters", (65, 70, 122), lambda level: [(UTF8, text(level))], lambda level: level),
    "map": Kind(
        InputForm(modality="map"),
        "cut",
        (0.5, 3.0, -1.0),
        lambda level: numbers(feature_map(level)),
        lambda level: level,
    ),
    "audio+text": Kind(
        InputForm(modality="audio+text", parts={"sound": SOUND, "words": TEXT}),
        "both",
        (65, 70, 122),
        lambda level: [
            (PARTS, write_parts([("sound", FLAC, write_flac(sound(8192), 8000)), ("words", UTF8, text(level))])),
            (PARTS, write_parts([("sound", *sounds(8192)[0]), ("words", UTF8, text(level))])),
        ],
        lambda level: loudness(8192) + level,
        tolerance=0.01,
    ),
}
_AUDIO = 'modality = "audio"\nrate_hz = 8000.0'
_TEXT = 'modality = "text"\nform = "bytes"'


def write_twins(folder: Path) -> Path:
    """A model that says twice as much as the one for pictures, and one for sounds."""
    folder.mkdir(exist_ok=True)
    floats = TensorProto.FLOAT
    picture = "[input]\nsize = [16, 16]\nstd = [1.0]"
    write_mean(folder / "bright2.onnx", {"image": (floats, [1, 3, 16, 16])}, picture, scale=2)
    write_mean(folder / "loud2.onnx", {"sound": (floats, [1, "samples"])}, f"[input]\n{_AUDIO}", scale=2)
    return folder


def write_models(folder: Path) -> Path:
    """A model of each kind."""
    folder.mkdir(exist_ok=True)
    floats, whole = TensorProto.FLOAT, TensorProto.INT64
    sizes = "size = [16, 16]\nstd = [1.0]"
    write_mean(folder / "bright.onnx", {"image": (floats, [1, 3, 16, 16])}, f"[input]\n{sizes}")
    clip = f'[input]\nmodality = "video"\nframes = 2\n{sizes}'
    write_mean(folder / "clip.onnx", {"clip": (floats, [1, 3, 2, 16, 16])}, clip)
    write_mean(folder / "loud.onnx", {"sound": (floats, [1, "samples"])}, f"[input]\n{_AUDIO}")
    shake = '[input]\nmodality = "signal"\nchannels = ["x", "y"]\nsteps = 8\nrate_hz = 32.0'
    write_mean(folder / "shake.onnx", {"signal": (floats, [1, 2, 8])}, shake)
    write_mean(folder / "letters.onnx", {"text": (whole, [1, "bytes"])}, f"[input]\n{_TEXT}")
    write_mean(folder / "cut.onnx", {"map": (floats, [1, 4, 3, 3])}, '[input]\nmodality = "map"\nshape = [4, 3, 3]')
    both = (
        f'[input]\nmodality = "audio+text"\n[input.parts.sound]\n{_AUDIO}\nname = "sound"\n'
        f'[input.parts.words]\n{_TEXT}\nname = "words"'
    )
    write_mean(folder / "both.onnx", {"sound": (floats, [1, "samples"]), "words": (whole, [1, "bytes"])}, both)
    return folder


def a_hello(kind: str, *, device: str = "arm", session: str = "1", stream: str = "", **more: Any) -> edge_pb2.Hello:
    """The Hello of a stream of that kind, which is called as its kind is if nothing is said."""
    name = stream or kind.replace("+", "-")
    return edge_pb2.Hello(device=device, session=session, stream=name, form=KINDS[kind].form.model_dump_json(), **more)


def an_input(sequence: int, payload: Payload, **more: Any) -> edge_pb2.Input:
    """An Input that carries that."""
    encoding, data = payload
    return edge_pb2.Input(sequence=sequence, encoding=encoding, payload=data, **more)


def all_inputs(kind: str) -> list[tuple[edge_pb2.Input, float]]:
    """An Input for each way of each of a kind's inputs, with what is to be said of it."""
    of = KINDS[kind]
    payloads = [(payload, of.says(level)) for level in of.inputs for payload in of.ways(level)]
    return [(an_input(at, payload, captured_ns=at * 10**9), said) for at, (payload, said) in enumerate(payloads)]
