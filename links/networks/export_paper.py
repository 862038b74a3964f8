"""Writes the paper's networks as ONNX, node by node; they are served like ours."""

import numpy as np
from torch import nn

from ...outputs import Array
from ..layout import FeatureLayout
from ..sequences.export import attention_nodes, gru_nodes, id_nodes
from ..sequences.runner import ENCODED, NEXT_STATE, STATE_INPUT
from .onnx_nodes import Nodes, Sizes
from .paper_sequence import UNITS, PaperSequenceLink, PaperSequenceNetwork, SeqEncoder
from .paper_vector import PaperNetwork, SeqToVec, VecToVec


def paper_nodes(network: PaperNetwork) -> Nodes:
    """`PaperNetwork.predict`."""
    parts = Nodes()
    there = _masks(parts, network.layout, list(network.links), "there")
    linked = [_link(parts, network, index, name) for index, name in enumerate(network.links)]
    if linked:
        stacked = parts.concat([parts.add_axis(name, 1, f"{name}.row") for name in linked], "linked")
        heard = parts.node("Mul", [stacked, parts.add_axis(there, 2, "there_each")], "heard")
        weighted = parts.node("Mul", [heard, parts.parameter("weights", network.weights)], "weighted")
        _alone_or(parts, there, parts.sum(heard, 1, "alone"), parts.sum(weighted, 1, "together"), "vector")
        apart = parts.node("Sub", [stacked, parts.add_axis("vector", 1, "vector_row")], "apart_signed")
        apart = parts.node("Mul", [parts.node("Abs", [apart], "apart_each"), "there_each"], "apart_heard")
        parts.sum(apart, 1, "apart")
    else:
        nothing = parts.constant("nothing", np.zeros((1, network.length), np.float32))
        parts.node("Mul", [parts.cut("features", 0, 1, "a_column"), nothing], "vector")
        parts.node("Identity", ["vector"], "apart")
    known = [there] if linked else []
    parts.linear(
        "agree_hidden", network.agree_hidden, parts.concat([*known, "vector", "apart"], "known"), "agree_first"
    )
    parts.linear("agree_out", network.agree_out, parts.node("Relu", ["agree_first"], "agree_on"), "agree_logit")
    parts.node("Sigmoid", ["agree_logit"], "agree")
    return parts


def paper_sequence_nodes(network: PaperSequenceNetwork) -> tuple[Nodes, Sizes, int]:
    """`encode` and `step` of the paper's; what the encoder makes; how long the state is."""
    parts = Nodes()
    positions = sum(link.encoder.positions for _, link in network.pairs)
    state = UNITS * len(network.links)
    memories, keys, theres, states = [], [], [], []
    for index, (name, link) in enumerate(network.pairs):
        memory, there, first = _encode(parts, network.layout, index, name, link)
        memories.append(memory)
        keys.append(parts.linear(f"say{index}.key", link.decoder.attention.key, memory, f"{memory}.keys"))
        theres.append(there)
        states.append(first)
    parts.concat(memories, f"{ENCODED}memory")
    parts.concat(keys, f"{ENCODED}keys")
    parts.concat(theres, f"{ENCODED}there")
    parts.concat(states, ENCODED + STATE_INPUT)
    _masks(parts, network.layout, list(network.links), f"{ENCODED}present")
    _step(parts, network)
    fixed: Sizes = {
        "memory": (positions, UNITS),
        "keys": (positions, UNITS),
        "there": (positions,),
        "present": (len(network.links),),
    }
    return parts, fixed, state


def _link(parts: Nodes, network: PaperNetwork, index: int, name: str) -> str:
    link, layout, to = network.links[name], network.layout, f"link{index}"
    if isinstance(link, VecToVec):
        where = layout.slices[name]
        vector = parts.cut("features", where.start, where.stop, f"{to}.source")
        first = parts.node("Relu", [parts.linear(f"{to}.first", link.first, vector, f"{to}.hidden")], f"{to}.on")
        return parts.linear(f"{to}.last", link.last, first, to)
    assert isinstance(link, SeqToVec)
    where = layout.id_slices[name]
    ids, there = id_nodes(parts, where.start, where.stop, to)
    words = parts.node("Gather", [parts.parameter(f"{to}.words", link.words.weight), ids], f"{to}.read")
    states = _lstm(parts, to, link.recurrent, parts.node("Transpose", [words], f"{to}.steps", perm=[1, 0, 2]))
    return parts.linear(f"{to}.last", link.last, _at_end(parts, states, there, where.stop - where.start, to), to)


def _lstm(parts: Nodes, to: str, layer: nn.LSTM, source: str) -> str:
    """The states (steps, 1, n, size) of an LSTM over `source` (steps, n, size)."""

    def weight(kind: str) -> Array:
        # Torch has input, forget, new, output; ONNX input, output, forget, new.
        i, f, g, o = np.split(getattr(layer, kind).detach().numpy(), 4)
        return np.concatenate([i, o, f, g])[None]

    bias = np.concatenate([weight("bias_ih_l0"), weight("bias_hh_l0")], axis=1)
    weights = {"w": weight("weight_ih_l0"), "r": weight("weight_hh_l0"), "b": bias}
    names = [parts.constant(f"{to}.lstm.{kind}", value) for kind, value in weights.items()]
    return parts.node("LSTM", [source, *names], f"{to}.states", hidden_size=layer.hidden_size)


def _at_end(parts: Nodes, states: str, there: str, count: int, to: str) -> str:
    """`at_end`, of states (steps, 1, n, size)."""
    rows = parts.node("Transpose", [parts.drop_axis(states, 1, f"{to}.flat")], f"{to}.memory", perm=[1, 0, 2])
    lengths = parts.sum(there, 1, f"{to}.length", keep=True)
    steps = parts.constant(f"{to}.step", np.arange(1, count + 1, dtype=np.float32)[None])
    last = parts.node("Cast", [parts.node("Equal", [steps, lengths], f"{to}.is_last")], f"{to}.last_step", to=1)
    return parts.sum(
        parts.node("Mul", [rows, parts.add_axis(last, 2, f"{to}.last_each")], f"{to}.ends"), 1, f"{to}.end"
    )


def _encode(
    parts: Nodes, layout: FeatureLayout, index: int, name: str, link: PaperSequenceLink
) -> tuple[str, str, str]:
    to, encoder = f"link{index}", link.encoder
    if isinstance(encoder, SeqEncoder):
        where = layout.id_slices[name]
        ids, there = id_nodes(parts, where.start, where.stop, to)
        words = parts.node("Gather", [parts.parameter(f"{to}.words", encoder.words.weight), ids], f"{to}.read")
        steps = parts.node("Transpose", [words], f"{to}.steps", perm=[1, 0, 2])
        states = gru_nodes(parts, f"{to}.encoder", encoder.recurrent, steps, "", f"{to}.states")
        return f"{to}.memory", there, _at_end(parts, states, there, where.stop - where.start, to)
    where = layout.slices[name]
    vector = parts.cut("features", where.start, where.stop, f"{to}.source")
    first = parts.node("Relu", [parts.linear(f"{to}.first", encoder.first, vector, f"{to}.hidden")], f"{to}.on")
    state = parts.linear(f"{to}.last", encoder.last, first, f"{to}.end")
    zero = parts.node(
        "Mul", [parts.cut(state, 0, 1, f"{to}.column"), parts.constant("none", np.float32(0))], f"{to}.zero"
    )
    there = parts.node("Add", [zero, parts.constant("one", np.float32(1))], f"{to}.there")
    return parts.add_axis(state, 1, f"{to}.memory"), there, state


def _step(parts: Nodes, network: PaperSequenceNetwork) -> None:
    start, logits, states = 0, [], []
    for index, (_, link) in enumerate(network.pairs):
        to, decoder = f"say{index}", link.decoder
        stop = start + link.encoder.positions
        for part in ("memory", "keys", "there"):
            parts.cut(part, start, stop, f"{to}.{part}")
        own = parts.cut(STATE_INPUT, index * UNITS, (index + 1) * UNITS, f"{to}.state")
        context = attention_nodes(parts, decoder.attention, own, f"{to}.context", prefix=f"{to}.")
        word = parts.node("Gather", [parts.parameter(f"{to}.words", decoder.words.weight), "tokens"], f"{to}.word")
        source = parts.add_axis(parts.concat([context, word], f"{to}.both"), 0, f"{to}.step")
        after = gru_nodes(parts, f"{to}.cell", decoder.cell, source, parts.add_axis(own, 0, f"{to}.held"), f"{to}.all")
        state = parts.drop_axis(parts.drop_axis(after, 1, f"{to}.flat"), 0, f"{to}.after")
        states.append(state)
        logits.append(parts.add_axis(parts.linear(f"{to}.last", decoder.last, state, f"{to}.logits"), 1, f"{to}.row"))
        start = stop
    parts.concat(states, NEXT_STATE)
    heard = parts.node(
        "Mul", [parts.concat(logits, "all_logits"), parts.add_axis("present", 2, "present_each")], "heard"
    )
    weighted = parts.node("Mul", [heard, parts.parameter("weights", network.weights)], "weighted")
    mixed = _alone_or(parts, "present", parts.sum(heard, 1, "alone"), parts.sum(weighted, 1, "together"), "mixed")
    parts.node("Add", [mixed, parts.parameter("barred", network.barred)], "logits")


def _alone_or(parts: Nodes, there: str, alone: str, together: str, target: str) -> str:
    few = parts.node(
        "Less",
        [parts.sum(there, 1, f"{target}.count", keep=True), parts.constant("two", np.float32(1.5))],
        f"{target}.few",
    )
    return parts.node("Where", [few, alone, together], target)


def _masks(parts: Nodes, layout: FeatureLayout, names: list[str], target: str) -> str:
    order = list(layout.lengths)
    places = [2 * layout.total + order.index(name) for name in names]
    if not places:
        return target
    return parts.node("Gather", ["features", parts.constant(f"{target}.places", np.asarray(places))], target, axis=1)
