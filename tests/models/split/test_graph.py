"""Where a graph can be cut: exactly where one tensor carries everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.split.graph import CuttableGraph
from onnx import TensorProto, helper, save

from .models import SIZE, floats, write_chain, write_model, write_shaped

SHAPE = (1, 3, SIZE, SIZE)


def test_cuts_are_where_one_tensor_carries_everything(tmp_path):
    graph = CuttableGraph(write_chain(tmp_path / "chain.onnx"), SHAPE)
    # Not `grey`: the Relu behind it costs nothing and makes the map no larger.
    assert graph.cuts == ["map", "sum"]
    graph.check("grey")


def test_a_cut_that_others_cross_names_them_and_what_is_near(tmp_path):
    graph = CuttableGraph(write_chain(tmp_path / "chain.onnx"), SHAPE)
    with pytest.raises(InvalidInput, match="'left': map would cross it too; valid cuts near by: grey, map, sum"):
        graph.check("left")
    with pytest.raises(InvalidInput, match="cut at 'out': nothing is left after it"):
        graph.check("out")


def test_a_tensor_that_is_not_there_is_answered_with_a_near_one(tmp_path):
    graph = CuttableGraph(write_chain(tmp_path / "chain.onnx"), SHAPE)
    for name in ("mapp", "first"):
        with pytest.raises(InvalidInput, match="no tensor"):
            graph.check(name)
    with pytest.raises(InvalidInput, match="did you mean 'map'"):
        graph.check("mapp")


def test_a_shape_that_is_known_is_no_flow(tmp_path):
    graph = CuttableGraph(write_shaped(tmp_path / "shaped.onnx"), SHAPE)
    assert graph.cuts == ["flat"]
    graph.check("map")
    head, tail = graph.halves("map", np.zeros((1, 4, 16, 16), np.float32))
    assert [node.op_type for node in head.graph.node] == ["Conv"]
    assert [value.name for value in tail.graph.input] == ["map"]


def test_the_halves_share_no_weight_but_constants(tmp_path):
    graph = CuttableGraph(write_chain(tmp_path / "chain.onnx"), SHAPE)
    head, tail = graph.halves("map", np.zeros((1, 4, 16, 16), np.float32))
    assert [weight.name for weight in head.graph.initializer] == ["first"]
    assert [weight.name for weight in tail.graph.initializer] == ["half", "last"]


def test_what_a_graph_inside_reads_crosses_the_cut(tmp_path):
    """The branches of an If see the tensors around it."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("Mul", ["early", "two"], [f"{name}_out"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, None)],
        )
        for name in ("then", "else")
    }
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["early"]),
        helper.make_node("Conv", ["early", "second"], ["late"]),
        helper.make_node("If", ["yes"], ["chosen"], **branches),
        helper.make_node("Add", ["late", "chosen"], ["both"]),
        helper.make_node("ReduceMean", ["both"], ["out"], axes=[1, 2, 3], keepdims=0),
    ]
    weights = [
        floats("first", [1, 1, 1], [1, 3, 1, 1]),
        floats("second", [1], [1, 1, 1, 1]),
        floats("two", [2], [1]),
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
    ]
    path = write_model(tmp_path / "inside.onnx", nodes, weights, [1], {"output": {"kind": "scalar"}})
    with pytest.raises(InvalidInput, match="cut at 'late': early would cross it too"):
        CuttableGraph(path, SHAPE).check("late")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=2), min_size=2, max_size=12))
def test_cuts_are_those_that_every_path_goes_through(tmp_path_factory, wiring):
    """Against a search: a tensor is a valid cut if without it the output can't be reached from the input."""
    names = ["image"]
    nodes = []
    for i, picks in enumerate(wiring):
        reads = [names[pick % len(names)] for pick in picks]
        nodes.append(helper.make_node("Sum", reads, [f"t{i}"]))
        names.append(f"t{i}")
    nodes.append(helper.make_node("Identity", [names[-1]], ["out"]))
    path = tmp_path_factory.mktemp("graph") / "any.onnx"
    shape = [1, 3, 4, 4]
    graph = helper.make_graph(
        nodes,
        "any",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    cuttable = CuttableGraph(path, tuple(shape))
    for name in names[1:]:
        if _reaches(nodes, {"image"}, without=None) and _needs(nodes, name):
            valid = not _reaches(nodes, {"image"}, without=name)
            try:
                cuttable.check(name)
                found = True
            except InvalidInput:
                found = False
            assert found == valid, name


def _reaches(nodes, reached, *, without):
    for node in nodes:
        if set(node.input) & reached and node.output[0] != without:
            reached = reached | {node.output[0]}
    return "out" in reached


def _needs(nodes, name):
    """Whether the output depends on a tensor at all."""
    wanted = {"out"}
    for node in reversed(nodes):
        if node.output[0] in wanted:
            wanted |= set(node.input)
    return name in wanted
