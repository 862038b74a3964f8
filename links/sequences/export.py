"""Writes networks of token sequences as ONNX: the encoder and one step of the decoder, two graphs in one file.

They share nothing, not even how many rows they have ("n" and "m"): a run computes the one whose outputs are wanted.
"""

from pathlib import Path

import numpy as np
from torch import nn

from ...outputs import Array
from ..link import LinkSpec
from ..networks.onnx_nodes import Nodes, Sizes, save
from .attention import Attention
from .network import SequenceNetwork
from .residual import STATE, ResidualSequenceNetwork
from .runner import ENCODED, NEXT_STATE, STATE_INPUT

STEP_INTEGERS = frozenset({"tokens", "position"})


def save_sequence(built: tuple[Nodes, Sizes, int], network: SequenceNetwork, spec: LinkSpec, path: Path) -> None:
    """Writes what `residual_nodes` or the paper's `paper_sequence_nodes` built."""
    parts, fixed, state = built
    inputs: Sizes = {"features": ("n", spec.layout.size)}
    inputs |= {name: ("m", *shape) for name, shape in fixed.items()}
    inputs |= {STATE_INPUT: ("m", state), "tokens": ("m",), "position": (1,)}
    outputs: Sizes = {ENCODED + name: ("n", *shape) for name, shape in fixed.items()}
    outputs |= {ENCODED + STATE_INPUT: ("n", state), "logits": ("m", network.size), NEXT_STATE: ("m", state)}
    save(parts, spec, path, inputs=inputs, outputs=outputs, integers=STEP_INTEGERS)


def residual_nodes(network: ResidualSequenceNetwork) -> tuple[Nodes, Sizes, int]:
    """`encode` and `step` of our network; what the encoder makes; how long the state is."""
    parts = Nodes()
    positions = _encode(parts, network)
    _step(parts, network)
    copies = 1 + len(network.same_words)
    fixed: Sizes = {
        "memory": (positions, STATE),
        "keys": (positions, network.attention.key.out_features),
        "there": (positions,),
        "copies": (copies, network.longest + 1),
        "present": (copies,),
    }
    return parts, fixed, STATE


def attention_nodes(parts: Nodes, attention: Attention, query: str, target: str, *, prefix: str = "") -> str:
    """`Attention.forward` for one query a row (n, size), from `memory`, `keys` and `there`."""
    name = f"{prefix}attention"
    asked = parts.linear(f"{name}.query", attention.query, query, f"{target}.asked")
    compared = parts.node("Add", [f"{prefix}keys", parts.add_axis(asked, 1, f"{target}.asked_each")], f"{target}.sum")
    on = parts.node("Tanh", [compared], f"{target}.tanh")
    scores = parts.linear(f"{name}.score", attention.score, on, f"{target}.scores")
    flat = parts.drop_axis(scores, 2, f"{target}.flat")
    one, absent = parts.constant("one", np.float32(1)), parts.constant("absent", np.float32(1e4))
    missing = parts.node("Sub", [f"{prefix}there", one], f"{target}.missing")
    barred = parts.node("Mul", [missing, absent], f"{target}.barred")
    weights = parts.node("Softmax", [parts.node("Add", [flat, barred], f"{target}.all")], f"{target}.weights", axis=1)
    row = parts.add_axis(weights, 1, f"{target}.row")
    return parts.drop_axis(parts.node("MatMul", [row, f"{prefix}memory"], f"{target}.mean"), 1, target)


def gru_nodes(parts: Nodes, name: str, layer: nn.GRU | nn.GRUCell, source: str, state: str, target: str) -> str:
    """The states that a GRU goes through, from `source` (steps, n, size): (steps, 1, n, state)."""
    suffix = "_l0" if isinstance(layer, nn.GRU) else ""

    def weight(kind: str) -> Array:
        # Torch has reset, update, new; ONNX update, reset, new.
        reset, update, new = np.split(getattr(layer, kind + suffix).detach().numpy(), 3)
        return np.concatenate([update, reset, new])[None]

    bias = np.concatenate([weight("bias_ih"), weight("bias_hh")], axis=1)
    sources = [
        source,
        parts.constant(f"{name}.w", weight("weight_ih")),
        parts.constant(f"{name}.r", weight("weight_hh")),
    ]
    sources += [parts.constant(f"{name}.b", bias), "", state] if state else [parts.constant(f"{name}.b", bias)]
    return parts.node("GRU", sources, target, hidden_size=layer.hidden_size, linear_before_reset=1)


def id_nodes(parts: Nodes, start: int, stop: int, target: str) -> tuple[str, str]:
    """The ids in a part of the features as whole numbers, and 1 where there is one."""
    ids = parts.node("Cast", [parts.cut("features", start, stop, f"{target}.float")], f"{target}.ids", to=7)
    some = parts.node("Greater", [ids, parts.constant("zero", np.int64(0))], f"{target}.some")
    return ids, parts.node("Cast", [some], f"{target}.there", to=1)


def _encode(parts: Nodes, network: ResidualSequenceNetwork) -> int:
    layout = network.layout
    flat = parts.cut("features", 0, layout.ids_at, "flat")
    first = parts.node("Relu", [parts.linear("first", network.first, flat, "first")], "first_on")
    hidden = parts.node("Relu", [parts.linear("second", network.second, first, "second")], "hidden")
    parts.node("Tanh", [parts.linear("initial", network.initial, hidden, "state_logit")], ENCODED + STATE_INPUT)
    memory = [parts.add_axis(parts.linear("summary", network.summary, hidden, "summary"), 1, "summary_position")]
    always = parts.node(
        "Mul", [parts.cut("features", 0, 1, "a_column"), parts.constant("none", np.float32(0))], "a_zero"
    )
    there = [parts.node("Add", [always, parts.constant("one", np.float32(1))], "always")]
    words = parts.parameter("words", network.words)
    copies, present = [], [parts.cut("features", layout.ids_at - 2, layout.ids_at - 1, "held")]
    last, last_there = id_nodes(parts, layout.last_ids_at, layout.size, "last")
    copies.append(_places(parts, last, network.longest, network.longest, "last"))
    for index, where in enumerate(layout.id_slices.values()):
        ids, here = id_nodes(parts, where.start, where.stop, f"source{index}")
        table = parts.parameter(f"source{index}.words", network.source_words[index])
        read = parts.node("Gather", [table, ids], f"source{index}.read")
        places = parts.parameter(f"source{index}.places", network.source_places[index])
        read = parts.node("Add", [read, places], f"source{index}.placed")
        if index in network.same_words:
            same = parts.node(
                "Gather", [parts.parameter(f"source{index}.same", network.same_words[index]), ids], f"s{index}"
            )
            read = parts.node("Add", [read, parts.node("Gather", [words, same], f"s{index}.words")], f"s{index}.both")
            copies.append(_places(parts, same, where.stop - where.start, network.longest, f"s{index}"))
            at = network.mask_at(index)
            present.append(parts.cut("features", at, at + 1, f"s{index}.present"))
        memory.append(read)
        there.append(here)
    places = parts.parameter("last_places", network.last_places)
    memory.append(parts.node("Add", [parts.node("Gather", [words, last], "last.read"), places], "last.placed"))
    there.append(last_there)
    joined = parts.concat(memory, f"{ENCODED}memory")
    parts.linear("attention.key", network.attention.key, joined, f"{ENCODED}keys")
    parts.concat(there, f"{ENCODED}there")
    parts.concat(copies, f"{ENCODED}copies")
    parts.concat(present, f"{ENCODED}present")
    return 1 + sum(layout.ids.values()) + layout.target_ids


def _places(parts: Nodes, ids: str, count: int, longest: int, target: str) -> str:
    """What stands at each place that a sequence may have, its end included: float32 (n, 1, longest + 1)."""
    cut = parts.cut(ids, 0, min(count, longest), f"{target}.cut")
    pads = parts.constant(f"{target}.pads", np.asarray([0, 0, 0, longest + 1 - min(count, longest)]))
    filled = parts.node("Pad", [parts.node("Cast", [cut], f"{target}.number", to=1), pads], f"{target}.filled")
    return parts.add_axis(filled, 1, f"{target}.places")


def _step(parts: Nodes, network: ResidualSequenceNetwork) -> None:
    before = parts.node("Gather", [parts.parameter("said_before", network.said_before), "tokens"], "before")
    place = parts.node("Gather", [parts.parameter("places", network.places), "position"], "place")
    word = parts.add_axis(parts.node("Add", [before, place], "word"), 0, "word_step")
    held = parts.add_axis(STATE_INPUT, 0, "state_step")
    states = gru_nodes(parts, "recurrent", network.recurrent, word, held, "states")
    heard = parts.drop_axis(parts.drop_axis(states, 1, "states_flat"), 0, NEXT_STATE)
    context = attention_nodes(parts, network.attention, heard, "context")
    said = parts.linear("out", network.out, parts.concat([heard, context], "both"), "said")
    spoken = parts.node("MatMul", [said, parts.constant("words.turned", network.words.detach().numpy().T)], "spoken")
    bias = parts.constant("word_bias", (network.word_bias + network.barred).detach().numpy())
    plain = parts.node("Add", [spoken, bias], "plain")
    opened = parts.node("Softplus", [parts.linear("gate", network.gate, heard, "gate_logit")], "opened")
    bonus = parts.add_axis(parts.node("Mul", [opened, "present"], "bonus"), 2, "bonus_each")
    here = parts.drop_axis(parts.node("Gather", ["copies", "position"], "copies_here", axis=2), 2, "copies_flat")
    ids = parts.node("Cast", [here], "copied_ids", to=7)
    depth, values = (
        parts.constant("depth", np.asarray([network.size])),
        parts.constant("on_off", np.asarray([0, 1], np.float32)),
    )
    one_hot = parts.node("OneHot", [ids, depth, values], "copied")
    parts.node(
        "Add", [plain, parts.sum(parts.node("Mul", [bonus, one_hot], "copied_bonus"), 1, "copies_sum")], "logits"
    )
