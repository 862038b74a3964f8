import numpy as np
from infilink.links.expectation.usual import Usual
from infilink.links.graph import LinkGraph
from infilink.links.table import NEVER


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


def test_what_is_remembered_of_what_ran_is_bounded_and_says_what_is_measured_each_time(graph: LinkGraph) -> None:
    answering, table = graph.answering, graph.tables["scene"]
    for at in range(5000):
        ran = frozenset(("vehicles", "scene", f"another {at}"))
        assert answering.best_link("scene", ran, None) == table.best_link(ran - {"scene"}, NEVER)
    assert answering._route.cache_info().currsize < 5000
