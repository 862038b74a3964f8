import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import make_plan
from infilink.links.serving import Serving
from infilink.models.spec import ModelSpec

SCENE = np.asarray([0.1, 0.9], np.float32)
STANDING = np.asarray([2.0], np.float32)


def test_without_links_the_last_exact_output_is_held(specs: dict[str, ModelSpec]) -> None:
    serving = Serving(None, Plan(100, 50, ("scene",)), models=specs)
    first = serving.complete(0.0, {"scene": SCENE, "standing": STANDING})
    assert first["standing"].origin == "executed"
    assert first["standing"].confidence == 1.0
    second = serving.complete(1.0, {"scene": SCENE})
    assert second["standing"].origin == "held"
    assert np.array_equal(second["standing"].value, STANDING)
    assert second["vehicles"].origin == "constant"
    assert 0.0 < second["vehicles"].confidence < 0.5 < second["standing"].confidence < 1.0
    assert second["vehicles"].value.shape == (0, 6)
    assert set(second) == set(specs)


def test_with_links_every_model_is_answered_for_from_whatever_ran(graph: LinkGraph) -> None:
    serving = Serving(graph, Plan(None, 0, ("scene",)))
    answers = serving.complete(0.0, {"scene": SCENE})
    assert set(answers) == set(graph.models)
    for name, answer in answers.items():
        graph.models[name].output.check(answer.value)
        assert 0.0 <= answer.confidence <= 1.0
        assert (answer.origin == "executed") == (name == "scene")
    assert set(serving.complete(1.0, {})) == set(graph.models)


def test_only_unbiased_runs_are_compared_with_what_would_have_been_served(graph: LinkGraph) -> None:
    serving = Serving(graph, Plan(None, 0, ("scene",)))
    serving.complete(0.0, {"scene": SCENE, "standing": STANDING})
    before = serving.live.audited
    serving.complete(1.0, {"scene": SCENE, "standing": STANDING}, biased=("standing",))
    assert serving.live.audited == before, "it ran for its answer was doubtful: no sample of all of them"
    serving.complete(2.0, {"scene": SCENE, "standing": STANDING})
    assert serving.live.audited > before


def test_what_the_device_itself_runs_is_a_source_and_compared_with_nothing(graph: LinkGraph) -> None:
    plan = Plan(None, 0, ("scene",))
    there, here = Serving(graph, plan, local={"standing": "its digest"}), Serving(graph, plan)
    for second in range(5):
        exact = {"scene": SCENE, "standing": STANDING}
        answers = [serving.complete(float(second), exact)["vehicles"] for serving in (there, here)]
        assert np.array_equal(answers[0].value, answers[1].value)
    assert there.live.audited == 0
    assert here.live.audited > 0
    # Alone, without anything that ran in the cloud.
    alone = Serving(graph, Plan(None, 0, ()), local=("standing",)).complete(0.0, {"standing": STANDING})
    assert alone["standing"].origin == "executed"
    assert alone["scene"].sources in ((), ("standing",))


def test_a_model_that_just_ran_is_held_or_linked_not_made_constant(graph: LinkGraph) -> None:
    serving = Serving(graph, Plan(None, 0, ()))
    people = np.asarray([[0.1, 0.1, 0.3, 0.3, 0.9, 0.0]], np.float32)
    serving.complete(0.0, {"people": people})
    answer = serving.complete(0.5, {})["people"]
    assert answer.origin == "held"
    assert np.array_equal(answer.value, people)


def test_a_clock_that_was_set_back_does_not_stop_it(graph: LinkGraph) -> None:
    serving = Serving(graph, Plan(None, 0, ()))
    serving.complete(100.0, {"standing": STANDING})
    assert serving.complete(50.0, {})["standing"].origin in ("held", "linked")


def test_outputs_that_do_not_fit_are_refused_by_name(graph: LinkGraph, specs: dict[str, ModelSpec]) -> None:
    for serving in (Serving(graph, Plan(None, 0, ())), Serving(None, Plan(None, 0, ()), models=specs)):
        with pytest.raises(InvalidInput, match=r"standing: .*NaN"):
            serving.complete(0.0, {"standing": np.asarray([np.nan], np.float32)})
        with pytest.raises(UnknownModel):
            serving.complete(0.0, {"nobody": STANDING})


def test_a_plan_of_unknown_models_is_refused(graph: LinkGraph) -> None:
    with pytest.raises(UnknownModel):
        Serving(graph, Plan(None, 0, ("nobody",)))


def test_a_plan_can_be_changed_between_streams(graph: LinkGraph) -> None:
    total = sum(cost.memory_bytes for cost in graph.costs.values())
    for share in (0.3, 0.6, 1.0):
        plan = make_plan(graph, int(share * total))
        answers = Serving(graph, plan).complete(0.0, {name: graph.constants[name] for name in plan.resident})
        assert {name for name, answer in answers.items() if answer.origin == "executed"} == set(plan.resident)
