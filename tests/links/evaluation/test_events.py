"""Events that links find stand beside what is free at the same number of executions."""

import json
import math

import numpy as np
import pytest
from infilink.links.answer import Answer
from infilink.links.evaluation.events import WAYS, score_links, verdict
from infilink.links.evaluation.tally import Tally
from infilink.models.spec import ModelSpec, parse_spec

INPUTS = 100
TURNS = (0, 25, 50, 75)
"""The inputs on which `people` ran; `cars` ran on all."""


def spec(name: str, **output: object) -> ModelSpec:
    return parse_spec({"name": name, "output": {"kind": "count", **output}}, where="the test")


MODELS = {"people": spec("people"), "cars": spec("cars"), "warmth": spec("warmth", kind="scalar")}


@pytest.fixture
def outputs() -> dict[str, list[np.ndarray]]:
    """Two visits, of 10 and 5 s; a car all the time."""
    there = np.zeros(INPUTS)
    there[20:30] = there[60:65] = 2.0
    rows = {"people": there, "cars": np.ones(INPUTS), "warmth": np.arange(INPUTS)}
    return {name: [np.asarray([value], np.float32) for value in values] for name, values in rows.items()}


@pytest.fixture
def tally(outputs: dict[str, list[np.ndarray]]) -> Tally:
    """What links that are always right served."""
    counted = Tally(MODELS)
    for row in range(INPUTS):
        exact = {name: values[row] for name, values in outputs.items()}
        ran = {"people": row in TURNS, "cars": True, "warmth": False}
        counted.add({n: Answer(v, 1.0, "executed" if ran[n] else "linked") for n, v in exact.items()}, exact)
    return counted


def test_links_that_are_right_find_what_holding_misses(tally, outputs) -> None:
    constants = {name: np.zeros(1, np.float32) for name in MODELS}
    found = score_links(MODELS, tally, outputs, constants, np.arange(INPUTS, dtype=float))
    assert found.keys() == {"people", "cars"}, "a scalar states nothing"
    people = found["people"]
    assert people.executed == len(TURNS) and people.ways.keys() == WAYS.keys()
    assert {way: score.found for way, score in people.ways.items()} == {
        "links": 2,
        "held": 1,
        "constant": 1,
        "every K-th": 1,
        # A third of what all ran together.
        "round robin": 2,
    }
    held = people.ways["held"]
    assert held.events == 2 and held.delay_p50_s == 5.0 and held.delay_p95_s == math.inf
    # From the end of the first visit to the next turn, in the 100 s that were watched.
    assert held.false_minutes == pytest.approx(24 * 60 * 0.20)
    assert people.ways["links"].false_minutes == people.ways["constant"].false_minutes == 0.0
    assert verdict(found) == (
        "events: of 3 (2 models) links found 3 with 0 false minutes a day, "
        "round robin, at as many executions, 3 with 14 false minutes a day"
    )


def test_a_miss_is_no_number_in_json(tally, outputs) -> None:
    constants = {name: np.zeros(1, np.float32) for name in MODELS}
    found = score_links(MODELS, tally, outputs, constants, np.arange(INPUTS, dtype=float))
    plain = json.loads(json.dumps(found["people"].as_dict(), allow_nan=False))
    assert plain["ways"]["held"]["delay_p95_s"] is None
    assert plain["ways"]["links"]["recall"] == 1.0


def test_without_events_it_says_so(tally, outputs) -> None:
    quiet = {"people": [np.zeros(1, np.float32)] * INPUTS}
    found = score_links(MODELS, tally, quiet, {"people": np.zeros(1)}, np.arange(INPUTS, dtype=float))
    assert found == {} and "none in this recording" in verdict(found)


def test_what_never_ran_states_its_constant(outputs) -> None:
    counted = Tally({"people": MODELS["people"]})
    for value in outputs["people"]:
        counted.add({"people": Answer(np.zeros(1), 0.5, "constant")}, {"people": value})
    found = score_links(MODELS, counted, {"people": outputs["people"]}, {"people": np.ones(1)}, np.arange(100.0))
    ways = found["people"].ways
    assert found["people"].executed == 0
    assert ways["links"].found == 0 and ways["held"].found == ways["every K-th"].found == 2
    assert verdict(found).endswith("day: what is free is ahead") and "links found 0 with 0 false" in verdict(found)
