"""Links made by hand: what they predict, what they promise and what models cost is known beforehand, not measured.

They are between models that say how bright a frame is, each times a number of its own.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from infilink import __version__
from infilink.links.index import Index
from infilink.links.link import METADATA_KEY, LinkSpec
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.models.cost import ModelCost, measure_cost
from infilink.models.encoding.encoding import Encoding
from infilink.models.inputs.form import InputForm
from infilink.models.spec import digest, find_models, read_spec
from infilink.outputs import OutputSpec
from onnx import TensorProto, helper, save

from .conftest import grey

MEAN, DEVIATION = 120.0, 60.0
CONFIDENCE = 0.95
CONSTANT = 0.3

Agreements = Mapping[str, Mapping[tuple[str, ...], float]]


def memory_bytes(model: Path) -> int:
    """What any of the tiny models takes at most: that of one, measured."""
    return measure_cost(model, [grey(99)] * 3).memory_bytes


def write_links(
    folder: Path,
    models: Path,
    scales: Mapping[str, float],
    costs: Mapping[str, ModelCost],
    *,
    agreements: Agreements,
    held: float = 0.2,
    note: str = "",
    form: InputForm | None = None,
) -> Path:
    """A folder of links, as training writes it.

    Args:
        folder: where they go.
        models: the models' folder.
        scales: each model's number.
        costs: what each is to cost.
        agreements: what links of a target promise, by their sources; a target that is not named has no link.
        held: what holding a last output promises, however old it is.
        note: one folder differs from another by it.
        form: of the inputs that they were learnt from; None: it says none.
    """
    paths = find_models(models)
    digests = {name: digest(path) for name, path in paths.items()}
    specs = {name: read_spec(path) for name, path in paths.items()}
    encodings = {name: encoding(specs[name].output, scale) for name, scale in scales.items()}
    free = (Measured(CONSTANT, CONSTANT), (Measured(held, held),) * NEVER)
    tables = {
        name: Table(*free, {s: (Measured(value, value),) * BUCKETS for s, value in agreements.get(name, {}).items()})
        for name in scales
    }
    constants = {name: np.asarray([MEAN * scale], np.float32) for name, scale in scales.items()}
    folder.mkdir(parents=True)
    for target in agreements:
        # A link reads the others, in the order of its encodings, and is told its target last.
        read = {name: encodings[name] for name in (*(other for other in scales if other != target), target)}
        write_link(folder / f"{target}.onnx", LinkSpec(target, read, digests, __version__))
    notes = {"note": note} | ({} if form is None else {"form": form.model_dump(mode="json")})
    Index(specs, costs, digests, encodings, tables, constants, tuple(agreements), notes).write(folder)
    return folder


def encoding(output: OutputSpec, scale: float) -> Encoding:
    """By which models that look at the same grey say the same."""
    mean, deviation = np.asarray([MEAN * scale], np.float32), np.asarray([DEVIATION * scale], np.float32)
    return Encoding(output, np.asarray([0]), mean, deviation, mean, np.zeros((0, 2), np.float32))


def write_link(path: Path, spec: LinkSpec) -> None:
    """A link that predicts what its sources say, in the mean over those that ran."""
    layout, sources = spec.layout, len(spec.sources)
    said, there = np.zeros((2, layout.size, 1), np.float32)
    said[:sources], there[2 * sources : 3 * sources] = 1.0, 1.0

    def floats(name: str, values: np.ndarray) -> object:
        return helper.make_tensor(name, TensorProto.FLOAT, values.shape, values.reshape(-1))

    nodes = [
        helper.make_node("MatMul", ["features", "said"], ["sum"]),
        helper.make_node("MatMul", ["features", "there"], ["count"]),
        helper.make_node("Max", ["count", "one"], ["least"]),
        helper.make_node("Div", ["sum", "least"], ["vector"]),
        helper.make_node("MatMul", ["features", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "confidence"], ["agree"]),
    ]
    weights = [
        floats("said", said),
        floats("there", there),
        floats("nothing", np.zeros_like(said)),
        floats("one", np.ones(1, np.float32)),
        floats("confidence", np.full(1, CONFIDENCE, np.float32)),
    ]
    graph = helper.make_graph(
        nodes,
        "link",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", layout.size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in ("vector", "agree")],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    model.metadata_props.add(key=METADATA_KEY, value=spec.dump())
    save(model, str(path))
