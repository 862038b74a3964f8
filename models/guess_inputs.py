"""What a graph that takes no single picture probably looks at, from the types, shapes and names of its inputs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime as ort

from ..outputs import Array
from .graph import Written
from .guess import guess_row
from .guessed import Guess
from .inputs.fed import FLOATS
from .inputs.tokens import IDS, MASKS, TYPES, its_nodes
from .spec import UNKNOWN

_WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_STATES = ("state", "hidden", "h", "c", "h0", "c0", "hn", "cn", "memory", "cache")
_SECOND_SAMPLES = 16000
_RATE_TOLD = "samples a second that the model was made for, such as 16000"


@dataclass(frozen=True)
class FedGuess:
    """What inputs look like, and the `[input]` that goes with it.

    Attributes:
        why: what they look like, for people.
        input: the section's keys.
        unknown: those that a person must write, such as "input.rate_hz", each with how; their values are `UNKNOWN`.
        feeds: what the graph can be tried with.
        left: the outputs that hold what the model remembers: no answers.
    """

    why: str
    input: Mapping[str, Any]
    unknown: Mapping[str, str] = field(default_factory=dict)
    feeds: Sequence[Mapping[str, Array]] = ()
    left: Sequence[str] = ()


def guess_fed(session: ort.InferenceSession) -> FedGuess | None:
    """What a graph looks at; None: nothing known here, or a picture."""
    nodes = {node.name: node for node in session.get_inputs()}
    looks: tuple[Callable[[dict[str, Any], ort.InferenceSession], FedGuess | None], ...] = (_tokens, _one, _pieces)
    return next((found for look in looks if (found := look(nodes, session)) is not None), None)


def guess_read(
    session: ort.InferenceSession, fed: FedGuess, written: Written
) -> tuple[Guess, dict[str, tuple[int, ...]]]:
    """What a graph answers, and its outputs' shapes for one input."""
    runs: list[list[Any]] = []
    for feeds in fed.feeds:
        with suppress(Exception):  # onnxruntime raises many types of its own; the shapes in the file must do
            runs.append(session.run(None, dict(feeds)))
    shapes: dict[str, tuple[int, ...]] = {}
    values: dict[str, list[Array]] = {}
    for i, node in enumerate(session.get_outputs()):
        seen = [np.asarray(run[i]) for run in runs]
        shapes[node.name] = seen[-1].shape if seen else tuple(n if isinstance(n, int) else 1 for n in node.shape or ())
        if node.name not in fed.left and node.type in FLOATS:
            values[node.name] = seen
    last = list(shapes)[-1]
    # What has a number for each class that is written down is looked at first, then what comes last.
    fitting = [name for name in values if np.prod(shapes[name]) == len(written.classes)]
    for name in [*fitting, *reversed(values)]:
        shape = shapes[name]
        length = int(np.prod(shape))
        if length == 1:
            found = Guess("one number", {"kind": "scalar"}, {"name": "raw"})
        elif length > 1 and shape[-1] == length:
            found = guess_row(values[name], length, written)
        else:
            continue
        decoder = {**found.decoder, **({} if name == last else {"output": name})}
        return Guess(found.why, found.output, decoder, {}, found.unknown), shapes
    told = {"output.kind": "no decoder is known for these shapes (of scikit-learn, export with zipmap off)"}
    return Guess("its shapes are of no family known here", {"kind": UNKNOWN}, {"name": "raw"}, {}, told), shapes


def _tokens(nodes: dict[str, Any], session: ort.InferenceSession) -> FedGuess | None:
    """Ids of tokens, and what else goes with them."""
    whole = [name for name, node in nodes.items() if node.type in _WHOLE and len(node.shape) == 2]
    if not whole or len(whole) != len(nodes):
        return None
    named = its_nodes(nodes, "", "", "")
    if not named["ids"] or set(named.values()) != set(nodes):
        return None
    length = next((n for name in whole if isinstance(n := nodes[name].shape[1], int)), 0)
    usual = {"ids": IDS, "mask": MASKS, "types": TYPES}
    keys = {"ids": "name", "mask": "mask", "types": "types"}
    said = {keys[part]: name for part, name in named.items() if name not in usual[part]}
    feeds = {name: np.ones((1, length or 8), _WHOLE[nodes[name].type]) for name in whole}
    fed = {"modality": "text", "tokenizer": "tokenizer.json", **said, **({"length": length} if length else {})}
    return FedGuess("tokens of a text", fed, {}, [feeds])


def _one(nodes: dict[str, Any], session: ort.InferenceSession) -> FedGuess | None:
    """One input of a kind that its type and its number of axes tell."""
    if len(nodes) != 1:
        return None
    ((name, node),) = nodes.items()
    axes = [n if isinstance(n, int) else 0 for n in node.shape]
    if node.type == "tensor(string)" and len(axes) in (1, 2):
        feeds = [{name: np.full([1] * len(axes), "some words", object)}]
        return FedGuess("a text as one string", {"modality": "text", "form": "string"}, {}, feeds)
    if node.type == "tensor(uint8)" and len(axes) == 2:
        fed = {"modality": "text", "form": "bytes", **({"length": axes[1]} if axes[1] else {})}
        return FedGuess("the bytes of a text", fed, {}, [{name: np.full((1, axes[1] or 8), 97, np.uint8)}])
    if node.type == "tensor(int16)" and len(axes) in (1, 2):
        return _sound(name, node, axes, np.dtype(np.int16))
    if node.type not in FLOATS:
        return None
    kind = FLOATS[node.type]
    if len(axes) == 2 or (len(axes) == 3 and axes[1] == 1):
        return _sound(name, node, axes, kind)
    known: dict[int, Callable[[str, list[int], Any], FedGuess | None]] = {3: _signal, 4: _map, 5: _clip}
    return known[len(axes)](name, axes, kind) if len(axes) in known else None


def _pieces(nodes: dict[str, Any], session: ort.InferenceSession) -> FedGuess | None:
    """A sound piece by piece, with what the model remembers, and numbers that are always the same."""
    sounds = [name for name, node in nodes.items() if node.type in FLOATS and len(node.shape) == 2]
    states = [name for name in nodes if name not in sounds and name.lower().strip("_") in _STATES]
    constants = [name for name in nodes if name not in sounds + states and len(nodes[name].shape) <= 1]
    if len(sounds) != 1 or not states or len(sounds + states + constants) != len(nodes):
        return None
    outputs = [node.name for node in session.get_outputs()]
    carried = {name: next((out for out in outputs if out.lower().startswith(name.lower())), "") for name in states}
    unknown = {
        "input.rate_hz": _RATE_TOLD,
        "input.chunk": "how many samples are fed at once, and as `context` how many before these",
    }
    fed: dict[str, Any] = {"modality": "audio", "name": sounds[0], "rate_hz": UNKNOWN, "chunk": UNKNOWN}
    if all(carried.values()):
        fed["state"] = carried
    else:
        fed["state"] = UNKNOWN
        unknown["input.state"] = f'the output that each of {", ".join(states)} is fed from: {{ INPUT = "OUTPUT" }}'
    if constants:
        fed["constants"] = UNKNOWN
        unknown["input.constants"] = f"what {', '.join(constants)} are fed: {{ {constants[0]} = ... }}"
    return FedGuess("pieces of a sound, and what was remembered", fed, unknown, (), tuple(carried.values()))


def _sound(name: str, node: Any, axes: list[int], kind: np.dtype[Any]) -> FedGuess:
    length = axes[-1]
    feeds = [{name: _noise([1] * (len(axes) - 1) + [length or _SECOND_SAMPLES]).astype(kind)}]
    fed = {"modality": "audio", "rate_hz": UNKNOWN, **({"length": length} if length else {})}
    scale = {"scale": "int16"} if kind == np.int16 else {}
    return FedGuess("a sound", {**fed, **scale}, {"input.rate_hz": _RATE_TOLD}, feeds)


def _signal(name: str, axes: list[int], kind: np.dtype[Any]) -> FedGuess:
    # There are usually fewer channels than steps; what is of any size are steps.
    first = bool(axes[1]) and (not axes[2] or axes[1] <= axes[2])
    channels, steps = (axes[1], axes[2]) if first else (axes[2], axes[1])
    told = f"the names of its {channels or ''} channels, in order, as the source has them".replace("  ", " ")
    fed = {
        "modality": "signal",
        "channels": UNKNOWN,
        "rate_hz": UNKNOWN,
        "layout": "NCT" if first else "NTC",
        "mean": [0.0],
        "std": [1.0],
        **({"steps": steps} if steps else {}),
    }
    shape = [1, channels or 1, steps or 128] if first else [1, steps or 128, channels or 1]
    unknown = {"input.channels": told, "input.rate_hz": _RATE_TOLD.replace("16000", "50, or 0 for any")}
    return FedGuess("a window of a signal", fed, unknown, [{name: _noise(shape).astype(kind)}])


def _map(name: str, axes: list[int], kind: np.dtype[Any]) -> FedGuess | None:
    if not all(axes[1:]) or axes[1] in (1, 3) or axes[3] in (1, 3):
        return None
    feeds = [{name: _noise([1, *axes[1:]]).astype(kind)}]
    return FedGuess("a feature map", {"modality": "map", "shape": axes[1:]}, {}, feeds)


def _clip(name: str, axes: list[int], kind: np.dtype[Any]) -> FedGuess | None:
    layout = "NTHWC" if axes[4] in (1, 3) else "NTCHW" if axes[2] in (1, 3) and axes[1] not in (1, 3) else "NCTHW"
    sizes = dict(zip(layout, axes, strict=True))
    width, height, frames = sizes["W"] or 112, sizes["H"] or 112, sizes["T"]
    chosen = {"N": 1, "C": sizes["C"] or 3, "T": frames or 8, "H": height, "W": width}
    feeds = [{name: _noise([chosen[axis] for axis in layout]).astype(kind)}]
    fed = {
        "modality": "video",
        "size": [width, height],
        "layout": layout,
        "color": "GRAY" if sizes["C"] == 1 else "RGB",
        "mean": [0.0],
        "std": [255.0],
        **({"frames": frames} if frames else {}),
    }
    return FedGuess("a clip", fed, {}, feeds)


def _noise(shape: Sequence[int]) -> Array:
    return np.random.default_rng(0).random(shape) * 0.1
