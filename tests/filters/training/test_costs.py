"""What a decision costs is counted from its graph, the same everywhere, and weighed against what it saves."""

import numpy as np
import pytest
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.contest import Contest
from infilink.filters.training.costs import PREPARED_S, count_arithmetic, counted_s, measured_s
from infilink.filters.training.graphs import build_graph, compress
from infilink.filters.training.losses import Losses
from infilink.filters.training.temporal import TemporalNetwork, network_graph
from infilink.filters.training.train import train_filter
from infilink.filters.training.workload import Workload, read_inputs, split_of
from infilink.traces.trace import Trace
from onnx import helper

from .. import arrays

COUNT = parse_rule("value < 1")


def test_sums_of_products_and_written_values_are_counted():
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["moved"], strides=[2, 2]),
        helper.make_node("Flatten", ["moved"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["score"], transB=1),
    ]
    weights = {"kernel": np.zeros((4, 3, 2, 2), np.float32), "weights": np.zeros((1, 64), np.float32)}
    graph = build_graph(nodes, weights, {"image": ["n", 3, 8, 8]})
    # 4 maps of 4 x 4, each value a sum over 3 x 2 x 2 products; then one over all 64.
    assert count_arithmetic(graph) == (64 * 12 + 64, 64 + 64 + 1)


def test_weights_that_are_spread_at_every_run_are_counted_as_written():
    network = network_graph(TemporalNetwork(np.zeros(17), np.ones(17)).eval())
    products, values = count_arithmetic(network)
    more = count_arithmetic(compress(network))
    assert more[0] == products and more[1] > values


@pytest.fixture(scope="module")
def entered(short_trace_path):
    with Trace(short_trace_path) as trace:
        losses = Losses(trace, ("squares",), COUNT)
        work = Workload(trace, losses, split_of(trace), read_inputs(trace, losses, "", inputs=0))
        yield work, {each.candidate.name: each for each in Contest(work).enter(("knn", "difference", "random"))}


def test_what_is_looked_at_costs_what_preparing_it_takes(entered):
    work, each = entered
    assert counted_s(each["knn"], work) > PREPARED_S["sift"] > counted_s(each["difference"], work)
    assert counted_s(each["difference"], work) == pytest.approx(PREPARED_S["stream"], rel=0.01)
    assert measured_s(each["difference"], work) > 0


def test_a_random_draw_looks_at_no_input(tmp_path):
    with arrays.write(tmp_path / "t", "signal", inputs=60, seed=1) as trace:
        losses = Losses(trace, ("h",), arrays.RULE)
        work = Workload(trace, losses, split_of(trace), read_inputs(trace, losses, "signal", inputs=60), "signal")
        (drawn,) = Contest(work).enter(["random"])
        assert counted_s(drawn, work) == measured_s(drawn, work) == 0.0


@pytest.mark.parametrize("dear", ["pixel", "area"])
def test_between_equals_the_given_costs_decide(dear, trace_path, tmp_path):
    asked = []

    def costs(each, work):
        asked.append(each.candidate.name)
        # Half of what the model takes for an input.
        return 0.01 if each.candidate.name == dear else 0.0

    with Trace(trace_path) as trace:
        done = train_filter(
            trace,
            models=("squares",),
            rule=COUNT,
            accuracy=0.7,
            out=tmp_path / "f.onnx",
            candidates=("pixel", "area"),
            costs=costs,
            uncertified=True,
        )
    rates = {name: done.spec.candidates[name].rate for name in asked}
    assert asked == ["pixel", "area"] and abs(rates["pixel"] - rates["area"]) < 0.05
    assert done.spec.kind == ({"pixel", "area"} - {dear}).pop()
