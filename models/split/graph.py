"""Where a model's graph can be cut in two, and the two halves (needs the `onnx` package, in `infilink[train]`)."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper, shape_inference

from ...errors import InvalidInput
from ...outputs import Array
from ..inputs.pixels import FED_TYPES

# What takes time, or makes a map larger; the rest rides along with it.
_HEAVY = "Conv,MatMul,Gemm,LSTM,GRU,RNN,Attention,Einsum,If,Loop,Scan,Resize,Upsample,Expand,Tile".split(",")
_NAMED = 4


@dataclass(frozen=True)
class _Moment:
    """After one node: what has been computed from the input and is still needed."""

    tensors: tuple[str, ...]
    live: frozenset[str]
    heavy: bool


class CuttableGraph:
    """A model's graph, and the tensors through which everything flows.

    Shapes that are known are taken as constants: what is computed from a shape alone is no flow.

    Args:
        path: the `.onnx` file.
        input_shape: of its input for one frame.

    Raises:
        InvalidInput: the file is no ONNX model.
    """

    def __init__(self, path: Path, input_shape: tuple[int, ...]) -> None:
        self.path = path
        try:
            self._model = onnx.load(str(path))
        except Exception as error:  # of protobuf's own types
            raise InvalidInput(f"{path}: not an ONNX model ({' '.join(str(error).split())[:200]})") from error
        graph = self._model.graph
        constant = {tensor.name for tensor in graph.initializer}
        self._inputs = [value for value in graph.input if value.name not in constant]
        for value in self._inputs[:1]:
            _set_shape(value, input_shape)
        self._nodes = _without_shapes(self._model)
        self._outputs = [value.name for value in graph.output]
        self._moments = self._follow()

    @property
    def cuts(self) -> list[str]:
        """The valid cuts, in the graph's order; of those with nothing heavy between them only the last."""
        found: list[str] = []
        heavy = True
        for moment in self._moments:
            heavy = heavy or moment.heavy
            name = self._valid(moment)
            if name is not None:
                found = [*found, name] if heavy else [*found[:-1], name]
                heavy = False
        # After the last one something heavy must be left: else the device runs it all.
        return found if heavy else found[:-1]

    def check(self, tensor: str) -> None:
        """Makes sure that the model can be cut at a tensor.

        Raises:
            InvalidInput: there is no such tensor, or others cross the cut; the message names them, and valid ones.
        """
        place = next((i for i, moment in enumerate(self._moments) if tensor in moment.tensors), None)
        if place is None:
            known = [name for moment in self._moments for name in moment.tensors]
            near = get_close_matches(tensor, known, n=1)
            raise InvalidInput(
                f"{self.path}: no tensor {tensor!r} is computed from its input"
                + (f"; did you mean {near[0]!r}?" if near else "")
                + f" (see the cuts: `infilink split {self.path.name} --list`)"
            )
        moment = self._moments[place]
        if self._valid(moment) == tensor:
            return
        crossing = sorted(moment.live - {tensor})
        more = f" and {len(crossing) - _NAMED} more" if len(crossing) > _NAMED else ""
        why = f"{', '.join(crossing[:_NAMED])}{more} would cross it too" if crossing else "nothing is left after it"
        before = [name for name in map(self._valid, self._moments[:place]) if name][-2:]
        after = [name for name in map(self._valid, self._moments[place + 1 :]) if name][:2]
        raise InvalidInput(
            f"{self.path}: can't be cut at {tensor!r}: {why}; valid cuts near by: "
            f"{', '.join((*before, *after)) or 'none, this model has no valid cut'}"
        )

    def probe(self, tensors: Iterable[str], value: Array) -> dict[str, Array]:
        """What tensors hold for one input: by it their shapes and dtypes are known, whatever the operators.

        Raises:
            InvalidInput: the model does not run on it.
        """
        names = list(tensors)
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for name in set(names) - set(self._outputs):
            model.graph.output.append(onnx.ValueInfoProto(name=name))
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        try:
            session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            kind = FED_TYPES.get(session.get_inputs()[0].type, value.dtype)
            values = session.run(names, {self._inputs[0].name: value.astype(kind)})
        except Exception as error:  # onnxruntime raises many types of its own
            raise InvalidInput(f"{self.path}: {' '.join(str(error).split())[:300]}") from error
        return dict(zip(names, values, strict=True))

    def halves(self, tensor: str, value: Array) -> tuple[onnx.ModelProto, onnx.ModelProto]:
        """The head and the tail at a valid cut; `value` is what the tensor held once.

        Raises:
            InvalidInput: what `check` raises, or a half is not valid ONNX.
        """
        self.check(tensor)
        made = helper.make_tensor_value_info(tensor, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        head = self._part([tensor], set(), self._inputs, [made])
        tail = self._part(self._outputs, {tensor}, [made], list(self._model.graph.output))
        for half in (head, tail):
            try:
                onnx.checker.check_model(half)
            except onnx.checker.ValidationError as error:
                raise InvalidInput(f"{self.path}: a half is not valid ONNX: {error}") from error
        found = _known_shapes(shape_inference.infer_shapes(head)).get(tensor)
        if found is not None and found != value.shape:
            raise InvalidInput(
                f"{self.path}: {tensor!r} is {found} by the graph and {value.shape} when it runs: its shape is not "
                "fixed; choose another cut (`--list`)"
            )
        return head, tail

    def _valid(self, moment: _Moment) -> str | None:
        """The one tensor through which everything flows at a moment, if it is one."""
        if len(moment.live) != 1:
            return None
        name = next(iter(moment.live))
        return name if name in moment.tensors and name not in self._outputs else None

    def _follow(self) -> list[_Moment]:
        """Node by node what is still needed; nodes that lead to no output, or come from no input, are left out."""
        needed = _closure(self._nodes, self._outputs, set())
        flowing = {value.name for value in self._inputs}
        nodes = []
        for node in needed:
            if flowing & set(_reads(node)):
                flowing |= set(node.output)
                nodes.append(node)
        last = {name: i for i, node in enumerate(nodes) for name in _reads(node)}
        last |= dict.fromkeys(self._outputs, len(nodes))
        live = {value.name for value in self._inputs}
        moments = []
        for i, node in enumerate(nodes):
            live = {name for name in live | set(node.output) if last.get(name, -1) > i}
            heavy = any(word in node.op_type for word in _HEAVY)
            moments.append(_Moment(tuple(filter(None, node.output)), frozenset(live), heavy))
        return moments

    def _part(self, targets: list[str], given: set[str], inputs: list[Any], outputs: list[Any]) -> onnx.ModelProto:
        whole = self._model
        nodes = _closure(self._nodes, targets, given)
        read = {name for node in nodes for name in _reads(node)} | set(targets)
        weights = [tensor for tensor in whole.graph.initializer if tensor.name in read]
        sparse = [tensor for tensor in whole.graph.sparse_initializer if tensor.values.name in read]
        # Before version 4 of the format a weight is an input too.
        named = {tensor.name for tensor in weights}
        listed = [value for value in whole.graph.input if value.name in named]
        graph = helper.make_graph(
            nodes, whole.graph.name, [*inputs, *listed], outputs, weights, sparse_initializer=sparse
        )
        return helper.make_model(
            graph, opset_imports=whole.opset_import, ir_version=whole.ir_version, functions=whole.functions
        )


def _closure(nodes: list[Any], targets: list[str], given: set[str]) -> list[Any]:
    """The nodes that `targets` need, in order; what is in `given` is there already."""
    wanted = set(targets) - given
    found = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(_reads(node)) - given
            found.append(node)
    return found[::-1]


def _reads(node: Any) -> list[str]:
    """What a node reads, in the graphs inside it too."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names += [name for inner in graph.node for name in _reads(inner)]
    return names


def _without_shapes(model: onnx.ModelProto) -> list[Any]:
    """A graph's nodes, `Shape` of what has a known shape made a constant: it no longer needs the tensor itself."""
    if not any(node.op_type == "Shape" for node in model.graph.node):
        return list(model.graph.node)
    shapes = _known_shapes(shape_inference.infer_shapes(model, data_prop=True))
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Shape" and node.input[0] in shapes:
            bounds = {attribute.name: attribute.i for attribute in node.attribute}
            sizes = shapes[node.input[0]][bounds.get("start", 0) : bounds.get("end")]
            tensor = numpy_helper.from_array(np.asarray(sizes, np.int64))
            nodes.append(helper.make_node("Constant", [], list(node.output), value=tensor))
        else:
            nodes.append(node)
    return nodes


def _known_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shapes that are known in full."""
    graph = model.graph
    found = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(size.HasField("dim_value") for size in kind.shape.dim):
            found[value.name] = tuple(size.dim_value for size in kind.shape.dim)
    return found


def _set_shape(value: Any, shape: tuple[int, ...]) -> None:
    """Fixes a graph input's dimensions, as many as it has."""
    dimensions = value.type.tensor_type.shape.dim
    for dimension, size in zip(dimensions, shape, strict=False):
        dimension.dim_value = size
