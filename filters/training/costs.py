"""What one decision of an entrant costs: counted, so that every machine makes the same choice; measured, to be shown.

A choice that hung on a clock would hang on what else the machine did. So the arithmetic of the entrant's graph is
counted and taken at the speed of one ordinary core, and what comes before the graph at what it typically takes there
(`docs/BENCHMARKS.md`, "What a decision costs").
"""

import math
import time
from collections.abc import Callable, Mapping

import numpy as np
import onnx

from ..gates.held_feed import AnswerNumbers, HeldFeed
from ..gates.learned import Feed
from ..gates.stem_feed import StemFeed
from ..modalities import Modality
from ..modalities.descriptor import Descriptor
from ..modalities.joint import Joint
from .entrants import Entrant
from .graphs import session_of
from .replay import Replay
from .workload import Workload

MULTIPLY_ADDS_PER_S = 2.5e10
VALUES_PER_S = 2e9
"""What a core does in a second: sums of products, and values that it writes on the way."""

PREPARED_S: Mapping[str, float] = {
    "stream": 2.5e-4,
    "image": 1e-4,
    "video": 1e-4,
    "audio": 1e-4,
    "text": 2e-5,
    "signal": 1e-5,
    "map": 3e-5,
    "sift": 1e-2,
}
"""How long one input typically takes to prepare: pictures of 640 x 360, a second of sound, a text of 64 words."""

_TIMED = 20

Costs = Callable[[Entrant, Workload], float]
"""What a decision of an entrant costs on a workload, in seconds."""


def counted_s(entrant: Entrant, work: Workload) -> float:
    """The same on every machine: the graph's arithmetic at a stated speed, after what preparing an input takes.

    What is behind a stem is next to nothing.
    """
    if entrant.stem is not None:
        return PREPARED_S["image"] + entrant.stem.spec.multiplications / MULTIPLY_ADDS_PER_S
    if entrant.modality is None and not isinstance(work.replay, Replay):
        # Drawn at random, the input is not looked at.
        return 0.0
    products, values = count_arithmetic(entrant.graph)
    return prepared_s(entrant.modality) + products / MULTIPLY_ADDS_PER_S + values / VALUES_PER_S


def measured_s(entrant: Entrant, work: Workload) -> float:
    """The fastest of some decisions here, from the input to the score: what else runs is left out as far as can be."""
    if entrant.modality is None and not isinstance(work.replay, Replay):
        return 0.0
    replay = work.replay
    session = session_of(entrant.graph)
    feed: Feed | StemFeed | HeldFeed
    if entrant.stem is None:
        feed = Feed(session, entrant.modality, pairwise=replay.pairwise, step_s=replay.step_s)
    elif entrant.compared:
        outputs = {model: work.trace.models[model].output for model in entrant.compared}
        feed = HeldFeed(session, entrant.stem.spec, AnswerNumbers(outputs, entrant.compared), step_s=replay.step_s)
    else:
        feed = StemFeed(session, entrant.stem.spec)
    times = []
    part = work.trace.part(0, min(_TIMED, len(work.trace)))
    for value, captured_s in zip(part.inputs(), part.captured_s, strict=True):
        started = time.perf_counter()
        feed.scores(value, float(captured_s))
        times.append(time.perf_counter() - started)
    return float(np.min(times))


def count_arithmetic(graph: onnx.ModelProto) -> tuple[int, int]:
    """How many multiply-adds a graph does for one input, and how many values its nodes write."""
    shapes = _shapes(graph)
    products = values = 0
    for node in graph.graph.node:
        size = math.prod(shapes[node.output[0]])
        values += size
        if node.op_type == "Conv":
            products += size * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            # Each output is a sum over as many products as the second factor has rows, however it lies in memory.
            products += size * math.prod(shapes[node.input[1]]) // shapes[node.output[0]][-1]
    return products, values


def _shapes(graph: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, as it is for one input."""
    opened = onnx.ModelProto()
    opened.CopyFrom(graph)
    names = [name for node in graph.graph.node for name in node.output]
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    nothing = {}
    for each in graph.graph.input:
        tensor = each.type.tensor_type
        shape = [size.dim_value or 1 for size in tensor.shape.dim]
        nothing[each.name] = np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    found = session_of(opened).run(names, nothing)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    return shapes | {name: value.shape for name, value in zip(names, found, strict=True)}


def prepared_s(modality: Modality | None) -> float:
    """What preparing an input takes, as it typically does; None: a frame of a stream."""
    if modality is None:
        return PREPARED_S["stream"]
    if isinstance(modality, Descriptor):
        return PREPARED_S["sift"] if modality.inner is None else prepared_s(modality.inner)
    if isinstance(modality, Joint):
        return sum(prepared_s(part) for part in modality.parts.values())
    return PREPARED_S[modality.kind]
