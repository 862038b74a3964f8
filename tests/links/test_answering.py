import numpy as np
from infilink.links.expectation.usual import Usual
from infilink.links.graph import LinkGraph


def test_what_a_model_usually_says_stands_for_the_constant_and_nothing_is_certified_of_it(graph: LinkGraph) -> None:
    target, answering = "standing", graph.answering
    constant = graph.exact(target, graph.constants[target])
    usual = Usual(graph.models[target].output, constant, graph.tables[target].constant.validation)
    learnt = answering.ways(target, None, {}, None, 0.0, {})
    assert answering.ways(target, None, {}, None, 0.0, {}, usual=usual) == learnt, "nothing was seen"
    other = graph.exact(target, graph.constants[target] + 7.0)
    for _ in range(12):
        usual.observe(other)
    (way,) = answering.ways(target, None, {}, None, 0.0, {}, usual=usual)
    assert (way.origin, way.sources) == ("constant", (target,))
    answer = answering.answer_by(target, way, {}, None, 0.0, {})
    assert np.array_equal(answer.value, other.value)
    assert (answer.trust, answer.region) == ("uncalibrated", None)
