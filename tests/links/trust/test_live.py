"""Serving with live trust: turns and audits are compared with what would have been served."""

import json

import numpy as np
import pytest
from infilink.links.expectation.live import LiveExpectation
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.serving import Serving
from infilink.links.table import NEVER, Measured, Table
from infilink.links.trust.calibration import Calibration
from infilink.links.trust.live import LiveTrust
from infilink.models.cost import ModelCost
from infilink.models.encoding.encoding import Encoding
from infilink.models.spec import parse_spec
from infilink.outputs import Array

OUTPUTS = {"cars": {"kind": "count"}, "scene": {"kind": "label", "classes": ["empty", "busy"]}}
NEAR = Calibration.of(np.zeros(100))
EMPTY, BUSY = np.asarray([0.9, 0.1], np.float32), np.asarray([0.1, 0.9], np.float32)


@pytest.fixture(scope="module")
def held_graph() -> LinkGraph:
    """Two models that are only ever held: what is held was certified."""
    models = {name: parse_spec({"name": name, "output": output}, where=name) for name, output in OUTPUTS.items()}
    values: dict[str, list[Array]] = {"cars": [np.asarray([n], np.float32) for n in range(3)], "scene": [EMPTY, BUSY]}
    constant = Measured(0.3, 0.3, None, Calibration.of(np.ones(3)))
    table = Table(constant, (Measured(0.97, 0.97, 0.0, NEAR),) * NEVER)
    return LinkGraph(
        models,
        {name: ModelCost(2**20, 0.01, 0.1) for name in models},
        dict.fromkeys(models, "0"),
        dict.fromkeys(models, table),
        {name: values[name][0] for name in models},
        {},
        {name: Encoding.fit(models[name].output, values[name]) for name in models},
        {"calibrated_s": 1000.0},
    )


def serve(serving: Serving, scenes: list[Array], start: int = 0) -> list[str]:
    """What stands behind each answer for the scene on the second of two inputs a turn."""
    trusts = []
    for index, scene in enumerate(scenes, start=start):
        serving.complete(2.0 * index, {"cars": np.zeros(1, np.float32), "scene": scene})
        answer = serving.complete(2.0 * index + 1.0, {"cars": np.zeros(1, np.float32)})["scene"]
        assert answer.origin == "held"
        trusts.append(answer.trust)
    return trusts


class Unmoved(LiveExpectation):
    """What is expected stays as it was learnt, so that what is held goes on being served: trust alone is looked at."""

    def observe(self, target: str, way: str, odds: float, agreement: float, *, rank: float = 0.0) -> None:
        """Takes nothing from a comparison."""


def new_serving(graph: LinkGraph) -> Serving:
    plan = Plan(None, 0, ("cars",), {"scene": 2.0})
    return Serving(graph, plan, expectation=Unmoved(tuple(graph.models)), clock=lambda: 2000.0)


def test_answers_carry_what_stands_behind_them(held_graph: LinkGraph) -> None:
    serving = new_serving(held_graph)
    first = serving.complete(0.0, {"scene": EMPTY})
    assert (first["scene"].trust, first["scene"].region, first["cars"].trust) == ("exact", None, "uncalibrated")
    assert first["cars"].region is None, "three comparisons are too few"
    second = serving.complete(1.0, {})["scene"]
    assert (second.trust, second.trusted, second.alpha) == ("certified", True, 0.1)
    assert (second.calibration_count, second.calibrated_s) == (100, 1000.0)
    assert second.region is not None
    assert second.region.text(held_graph.models["scene"].output) == "empty"


def test_drift_takes_trust_away_and_it_comes_back(held_graph: LinkGraph) -> None:
    serving = new_serving(held_graph)
    assert set(serve(serving, [EMPTY] * 100)) == {"certified"}
    assert serving.live.audited == 99, "nothing is served before the first"
    changing = serve(serving, [BUSY, EMPTY] * 30, 100)
    assert changing[-1] == "revoked"
    assert serving.live.revoked() == ("scene held",)
    (change,) = serving.live.take_changes()
    assert (change.change, change.way.target) == ("revoked", "scene")
    assert serving.live.take_changes() == []
    assert serve(serving, [EMPTY] * 500, 160)[-1] == "certified"
    assert serving.live.revoked() == ()
    assert (serving.live.revocations, serving.live.regained) == (1, 1)


def test_regions_widen_when_they_miss(held_graph: LinkGraph) -> None:
    serving = new_serving(held_graph)
    serve(serving, [BUSY, EMPTY] * 40)
    region = serving.complete(161.0, {})["scene"].region
    assert region is not None
    assert region.bounds == (0, 1)


def test_residents_are_not_compared_with_anything(held_graph: LinkGraph) -> None:
    serving = new_serving(held_graph)
    for index in range(20):
        serving.complete(float(index), {"cars": np.asarray([index % 2], np.float32)})
    assert serving.live.audited == 0


def test_streams_do_not_share_what_they_saw(held_graph: LinkGraph) -> None:
    one, other = new_serving(held_graph), new_serving(held_graph)
    serve(one, [BUSY, EMPTY] * 60)
    assert one.live.revocations == 1
    assert set(serve(other, [EMPTY] * 5)) == {"certified"}


def test_without_links_nothing_is_promised(held_graph: LinkGraph) -> None:
    serving = Serving(None, Plan(None, 0, ("cars",)), models=held_graph.models)
    serving.complete(0.0, {"scene": EMPTY})
    answer = serving.complete(1.0, {})["scene"]
    assert (answer.trust, answer.region, serving.live.audited) == ("uncalibrated", None, 0)


def test_trust_outlives_the_process(held_graph: LinkGraph) -> None:
    serving = new_serving(held_graph)
    serve(serving, [EMPTY] * 30)
    assert serve(serving, [EMPTY, BUSY] * 40, start=30)[-1] == "revoked"
    again = new_serving(held_graph)
    again.complete(2.0 * 109, {"cars": np.zeros(1, np.float32), "scene": BUSY})
    again.live = LiveTrust.from_dict(json.loads(json.dumps(serving.live.as_dict())))
    assert again.live.revoked() == serving.live.revoked() != ()
    assert again.live.audited == serving.live.audited
    for serves in (serving, again):
        # From here on both learn the same, down to when trust is regained.
        serve(serves, [EMPTY] * 400, start=110)
    assert again.live.as_dict() == serving.live.as_dict()
    assert again.live.regained == serving.live.regained > 0


@pytest.mark.parametrize("damage", [{}, {"alpha": 0.1, "counts": [1, 0, 0], "ways": [[{}, {}]]}], ids=["empty", "way"])
def test_what_is_no_trust_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        LiveTrust.from_dict(damage)
