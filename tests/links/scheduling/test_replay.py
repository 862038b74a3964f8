"""A recorded site is served as a coordinator would serve it."""

from collections import Counter

import numpy as np
import pytest
from infilink.links.graph import LinkGraph
from infilink.links.scheduling.expected import expected_losses, linked_losses
from infilink.links.scheduling.replay import RecordedCamera, replay_site
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.trust.live import LiveTrust
from infilink.models.cost import ModelCost
from infilink.models.spec import parse_spec
from infilink.traces.trace import Trace

MODELS = {
    name: parse_spec({"name": name, "output": {"kind": "count"}}, where="the test") for name in ("cars", "people")
}
COSTS = {"cars": ModelCost(10, 0.01, 0.3), "people": ModelCost(10, 0.02, 0.3)}


def camera(name: str, start_s: float, inputs: int = 40, every_s: float = 0.5) -> RecordedCamera:
    values = [np.asarray([at // 10], np.float32) for at in range(inputs)]
    return RecordedCamera(name, start_s + every_s * np.arange(inputs), dict.fromkeys(MODELS, values))


def test_cameras_are_served_in_the_order_of_time_and_come_and_go() -> None:
    site = [camera("door", 0.0), camera("yard", 5.1), camera("door", 30.0)]
    schedule = SiteSchedule(COSTS, compute_cores=10.0)
    served = [*replay_site(site, schedule, resident=tuple(COSTS), models=MODELS)]
    times = [site[each.place].captured_s[each.row] for each in served]
    assert times == sorted(times) and len(served) == 120
    assert Counter(each.camera for each in served) == {"door": 80, "yard": 40}
    assert all(answer.origin == "executed" for each in served for answer in each.answers.values())
    assert schedule.stats().streams == 0


def test_with_little_compute_answers_are_held() -> None:
    site = [camera("door", 0.0, inputs=200), camera("yard", 0.1, inputs=200)]
    schedule = SiteSchedule(COSTS, compute_cores=0.2 * 4 * 0.03)
    served = [*replay_site(site, schedule, resident=tuple(COSTS), models=MODELS)]
    origins = Counter(answer.origin for each in served for answer in each.answers.values())
    assert origins["held"] > origins["executed"] > 0 and set(origins) <= {"held", "executed", "constant"}
    assert schedule.spent_s <= 0.2 * 4 * 0.03 * 100 + 0.1


def test_models_are_there_when_their_loads_have_taken_their_time() -> None:
    schedule = SiteSchedule(COSTS, compute_cores=10.0, budget_bytes=20)
    served = [*replay_site([camera("door", 0.0)], schedule, models=MODELS, load_s=lambda name: 1.2)]
    ran = {name: [each.row * 0.5 for each in served if name in each.choice.run] for name in COSTS}
    first, second = sorted(times[0] for times in ran.values())
    assert first >= 1.2 and second >= first + 1.0
    assert schedule.stats().loads == {"cars": 1, "people": 1}


def test_losses_may_come_from_elsewhere_and_an_input_may_cost() -> None:
    def knowing(camera: RecordedCamera, row: int, answers: object) -> dict[str, float]:
        return {"cars": 1.0, "people": 0.0}

    site = [camera("door", 0.0, inputs=200)]
    schedule = SiteSchedule(COSTS, compute_cores=0.01, audit=0.0)
    served = [*replay_site(site, schedule, resident=tuple(COSTS), models=MODELS, losses=knowing)]
    ran = Counter(name for each in served for name in each.choice.run)
    assert ran["cars"] > 3 * ran["people"]
    schedule = SiteSchedule(COSTS, compute_cores=0.01)
    asked = [*replay_site(site, schedule, resident=tuple(COSTS), models=MODELS, losses=knowing, frame_s=0.03)]
    assert 0 < sum(bool(each.choice.run) for each in asked) < sum(bool(each.choice.run) for each in served)


def test_links_answer_for_what_does_not_run(graph: LinkGraph, later_trace_path) -> None:
    with Trace(later_trace_path) as trace:
        outputs = {name: trace.outputs(name) for name in trace.models}
        site = [RecordedCamera("door", trace.captured_s, outputs, graph=graph)]
    full = sum(cost.infer_s for cost in graph.costs.values()) * 2.0
    schedule, live = SiteSchedule(graph.costs, compute_cores=0.3 * full, audit=0.05), [LiveTrust()]
    served = [*replay_site(site, schedule, resident=tuple(graph.costs), live=live)]
    origins = Counter(answer.origin for each in served for answer in each.answers.values())
    assert origins["linked"] > 0 and live[0].audited > 0
    assert schedule.spent_s == pytest.approx(0.3 * full * 75, rel=0.15)


def test_what_links_are_expected_to_lose(graph: LinkGraph) -> None:
    fresh, linked = expected_losses(graph), linked_losses(graph)
    assert fresh.keys() == graph.tables.keys() and all(len(row) == 8 for row in fresh.values())
    # How many vehicles there are tells what the scene is, and whether one stands.
    assert max(linked["vehicles"]["scene"]) < 0.2 and max(linked["vehicles"]["standing"]) < 0.2
    assert all(name not in targets for name, targets in linked.items())
