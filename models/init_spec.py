"""The commented spec of a model that has none, guessed from its file: to be checked."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime as ort

from ..outputs import KINDS
from .decoding import DECODERS
from .graph import Graph, read_graph, read_written
from .guess import guess, spec_name
from .guess_inputs import FedGuess, guess_fed, guess_read
from .guessed import Guess
from .inputs.pixels import FED_TYPES
from .session import open_session
from .spec import UNKNOWN

_NOTES = {
    "output.kind": f" # {', '.join(KINDS)}",
    "output.classes": ' # names in order: ["car", "truck"]; a number stands for "0", "1", ...; "coco" for its 80',
    "decoder.units": " # of boxes: pixels or shares of the input",
    "decoder.first_class": " # the number that the first of the classes has",
    "input.tokenizer": " # the file beside the model that says what its tokens are",
    "input.layout": " # the order of the tensor's axes",
}
_HEAD = (
    "# Guessed from the graph's shapes. What a graph can't tell (colours, resize, mean, std, class names) is only",
    "# usual for its family: check every line. docs/MODELS.md has each key; `infilink models ls` says if it fits.",
)


def guessed_spec(path: Path) -> tuple[str, Guess]:
    """The text of a model's spec, and what was guessed of its outputs.

    Raises:
        InvalidInput: no ONNX model, or none whose inputs are known.
    """
    session = open_session(path)
    fed = guess_fed(session)
    if fed is None:
        graph = read_graph(path)
        guessed = guess(graph)
        if graph.constants:
            first = graph.constants[0]
            told = f"what {', '.join(graph.constants)} are fed: {{ {first} = ... }}"
            guessed = replace(guessed, unknown={"input.constants": told, **guessed.unknown})
        return _picture_text(spec_name(path), graph, guessed), guessed
    read, shapes = guess_read(session, fed, read_written(session, path))
    guessed = Guess(f"{fed.why}; {read.why}", read.output, read.decoder, {}, {**fed.unknown, **read.unknown})
    return _text(spec_name(path), session, fed, read, shapes), guessed


def _text(
    name: str, session: ort.InferenceSession, fed: FedGuess, read: Guess, shapes: Mapping[str, tuple[int, ...]]
) -> str:
    """The spec of a model that looks at something else than one picture."""
    lines = [
        *_top(name),
        "[input]",
        f"# It looks like: {fed.why}. The graph takes:",
        *(f"#   {node.name!r}: {node.shape}, {node.type}" for node in session.get_inputs()),
        *_lines("input", fed.input, fed.unknown),
        *_rest(read, shapes),
    ]
    return "\n".join(lines) + "\n"


def _picture_text(name: str, graph: Graph, guessed: Guess) -> str:
    """The spec of a model that looks at pictures."""
    chosen = {"color": graph.color, "resize": "stretch", "mean": [0.0], "std": [255.0], **guessed.input}
    if graph.color == "GRAY":
        chosen = {**chosen, "color": "GRAY", "mean": chosen["mean"][:1], "std": chosen["std"][:1]}
    if FED_TYPES[graph.dtype].kind in "iu":
        chosen = {**chosen, "mean": [128.0 if graph.dtype == "tensor(int8)" else 0.0], "std": [1.0]}
    choose = "" if all(graph.input_shape[1:]) else "; the graph leaves it open (0 above): choose one"
    lines = [
        *_top(name),
        "[input]",
        f"# {graph.input_name!r}: {list(graph.input_shape)}, {graph.dtype}",
        f"size = {_toml(list(graph.size))} # width, height{choose}",
        f'layout = "{graph.layout}" # NCHW, NHWC',
        f"color = {_toml(chosen['color'])} # RGB, BGR, GRAY",
        f"resize = {_toml(chosen['resize'])} # stretch, letterbox (picture at the top left), letterbox_center",
        f"mean = {_toml(chosen['mean'])} # (pixel - mean) / std, pixels from 0 to 255",
        f"std = {_toml(chosen['std'])}",
        *(_lines("input", _constants(graph), guessed.unknown) if graph.constants else ()),
        *_rest(guessed, graph.outputs),
    ]
    return "\n".join(lines) + "\n"


def _constants(graph: Graph) -> dict[str, str]:
    return {"name": graph.input_name, "constants": UNKNOWN}


def _top(name: str) -> list[str]:
    return [*_HEAD, f"name = {_toml(name)}", 'version = "1"', 'description = ""', ""]


def _rest(guessed: Guess, outputs: Mapping[str, tuple[int, ...]]) -> list[str]:
    """`[output]` and `[decoder]`."""
    return [
        "",
        "[output]",
        f"# It looks like: {guessed.why}. The outputs for one input:",
        *(f"#   {name!r}: {list(shape)}" for name, shape in outputs.items()),
        *_lines("output", guessed.output, guessed.unknown),
        *(['measure = "f1" # f1: where each is; counts: how many there are'] * (guessed.output["kind"] == "boxes")),
        "",
        "[decoder]",
        f"# One of {', '.join(DECODERS)}",
        *_lines("decoder", guessed.decoder, guessed.unknown),
        *(["score = 0.35 # the least score that counts"] * (guessed.output["kind"] == "boxes")),
    ]


def _lines(section: str, values: Mapping[str, Any], unknown: Mapping[str, str]) -> list[str]:
    """A section's lines; what a person must write has a line above that says how."""
    lines = []
    for key, value in values.items():
        told = unknown.get(f"{section}.{key}")
        lines += [f"# WRITE THIS: {told}"] * (told is not None)
        lines.append(f"{key} = {_toml(value)}{_NOTES.get(f'{section}.{key}', '')}")
    return lines


def _toml(value: Any) -> str:
    """A string, number or list of them: JSON's spelling is TOML's; of tables it is not."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
