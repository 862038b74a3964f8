"""The plan that the coordinator starts with: by `answers` and the budget, or by a placement."""

import asyncio
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.cloud.config import CloudConfig
from infilink.cloud.plans.initial import InitialPlan, class_plans, make_initial_plan, whole_plan
from infilink.cloud.repository import Repository
from infilink.errors import InvalidInput
from infilink.links.index import Index
from infilink.models.cost import ModelCost
from infilink.models.placement import PlacedDevice, PlacedModel, PlacementFile
from infilink.models.spec import read_spec, write_spec
from infilink.models.split.split import split

from ...models.split.models import write_chain
from ..conftest import MEMORY_BYTES

COSTS = {name: ModelCost(size, 0.01, 0.1) for name, size in {"a": 10, "b": 20, "c": 40}.items()}
RUNS, HERE = PlacedModel(where="cloud", expected_agreement=1.0), PlacedModel(where="device", expected_agreement=1.0)
LINKED = PlacedModel(where="linked", sources=("a", "b"), expected_agreement=0.8)
CONSTANT = PlacedModel(where="constant", expected_agreement=0.3)
PLACEMENT = PlacementFile(
    digests=dict.fromkeys(COSTS, "d"),
    cloud_memory_bytes=70,
    expected_agreement=0.9,
    devices={
        "door": PlacedDevice(send="inputs", expected_agreement=0.93, models={"a": HERE, "b": RUNS, "c": LINKED}),
        "yard": PlacedDevice(send="inputs", expected_agreement=0.77, models={"a": CONSTANT, "b": RUNS, "c": RUNS}),
    },
)
NAMES = ("bright", "corner", "light")
BUDGET = "100MiB"
LIGHT_SWAPPED = """\
input = {size = [24, 16]}
output = {kind = "label", classes = ["bright", "dark"]}
decoder = {name = "softmax"}
"""


def initial(models: Path, **settings) -> InitialPlan:
    config = CloudConfig(models=models, **settings)
    return asyncio.run(make_initial_plan(config, Repository.open(models)))


def test_without_a_budget_every_model_is_resident_and_nothing_is_measured(tiny_models: Path) -> None:
    made = initial(tiny_models)
    assert (made.plan.resident, made.plan.rotating, made.plan.budget_bytes) == (NAMES, (), None)
    assert made.graph is None and made.costs == {}


def test_links_answer_only_if_they_are_asked_to(tiny_models: Path, links: Path) -> None:
    assert initial(tiny_models, links=links).graph is None
    made = initial(tiny_models, links=links, answers="links")
    assert made.graph is not None and made.plan.resident == NAMES
    assert made.plan.budget_bytes is None, "what models take here may be more than where the links were learnt"


@pytest.mark.parametrize("answers", ["links", "hold"])
def test_what_does_not_fit_the_budget_takes_turns(tiny_models: Path, links: Path, answers: str) -> None:
    made = initial(tiny_models, links=links, answers=answers, budget=BUDGET)
    assert (made.graph is not None) == (answers == "links")
    assert made.plan.resident and made.plan.rotating
    assert sorted((*made.plan.resident, *made.plan.rotating)) == list(NAMES), "two fit, and the third takes turns"
    assert made.plan.memory_bytes <= made.plan.budget_bytes == 100 * 2**20
    assert {name: cost.memory_bytes for name, cost in made.costs.items()} == MEMORY_BYTES


def test_a_share_is_of_what_all_models_take_as_it_is_measured(tiny_models: Path) -> None:
    made = initial(tiny_models, answers="hold", budget="70%")
    total = sum(cost.memory_bytes for cost in made.costs.values())
    assert set(made.costs) == set(NAMES) and total > 3 * 2**20
    assert made.plan.budget_bytes == total * 70 // 100 and made.plan.memory_bytes <= made.plan.budget_bytes
    # How many are resident hangs on what they were measured to take.
    assert len(made.plan.resident) < 3


def test_weights_of_what_is_not_here_are_refused(tiny_models: Path, links: Path) -> None:
    linked = {"links": links, "answers": "links"}
    initial(tiny_models, **linked, weights={"models": {"light": 2.0}, "classes": {"light:bright": 3.0}})
    with pytest.raises(InvalidInput, match=r"'dark' is of no model here .*bright, corner, light"):
        initial(tiny_models, **linked, weights={"models": {"dark": 2.0}})
    with pytest.raises(InvalidInput, match="light has no such class"):
        initial(tiny_models, **linked, weights={"classes": {"light:grey": 2.0}})


def test_a_budget_that_is_too_small_is_refused(tiny_models: Path, links: Path) -> None:
    assert initial(tiny_models, links=links, budget="130MiB").plan.resident == NAMES
    with pytest.raises(InvalidInput, match=r"all 3 models take 130\.0 MiB; give more, or set `answers` to"):
        initial(tiny_models, links=links, budget="129MiB")
    for answers in ("links", "hold"):
        with pytest.raises(InvalidInput, match=r"less than the smallest model takes \(bright: 30\.0 MiB"):
            initial(tiny_models, links=links, answers=answers, budget="29MiB")


def test_what_links_were_not_learnt_with_is_answered_without_them(
    tiny_models: Path, links: Path, tmp_path: Path, caplog
) -> None:
    own = shutil.copytree(tiny_models, tmp_path / "models")
    another = shutil.copy(own / "bright.onnx", own / "another.onnx")
    write_spec(another, read_spec(another).model_copy(update={"name": "another"}))
    write_spec(own / "light.onnx", read_spec(own / "light.onnx").model_copy(update={"version": "2"}))
    graph = initial(own, links=links, answers="links").graph
    assert graph is not None and set(graph.models) == {"bright", "corner"}
    assert "another: the links were learnt without it" in caplog.text
    assert re.search(r"light: the links were learnt with \w{16}, and \w{16} is served now", caplog.text)


def test_links_of_none_of_the_models_are_refused(tiny_models: Path, links: Path, tmp_path: Path) -> None:
    own = shutil.copytree(tiny_models, tmp_path / "models")
    for name in NAMES:
        write_spec(own / f"{name}.onnx", read_spec(own / f"{name}.onnx").model_copy(update={"version": "2"}))
    with pytest.raises(InvalidInput, match="was learnt with none of the models that are here"):
        initial(own, links=links)


def test_links_of_other_classes_or_another_modality_are_refused(
    serve: Callable[..., Any], tiny_models: Path, links: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(tiny_models, tmp_path / "models")
    # The file is the same; what is said of it beside it is not.
    (own / "light.toml").write_text(LIGHT_SWAPPED)
    for settings in ({"answers": "links"}, {"answers": "hold", "budget": BUDGET}):
        with pytest.raises(InvalidInput, match=r"'light' says 2 classes \(number 0 is 'bright'\) here, .* 2 classes"):
            serve(None, models=own, links=links, **settings)
    index = Index.read(links)
    sounds = replace(index, notes={**index.notes, "input": "array"})
    (tmp_path / "links").mkdir()
    sounds.write(tmp_path / "links")
    with pytest.raises(InvalidInput, match="bright: they are image here, and were kept as array in training"):
        serve(None, links=tmp_path / "links", answers="links")


def test_a_second_part_is_served_whole(tmp_path: Path) -> None:
    whole = write_chain(tmp_path / "chain.onnx")
    tail = split(whole, "map", tmp_path / "parts", frames=[np.full((24, 32, 3), 99, np.uint8)]).tail.parent
    assert initial(tail).plan.resident == ("chain",)
    with pytest.raises(InvalidInput, match="holds the second part of chain, which is served whole: leave `answers`"):
        initial(tail, answers="hold", budget="1GiB")


def test_a_placement_says_what_runs_for_which_devices(tiny_models: Path, links: Path, tmp_path: Path) -> None:
    digests = Repository.open(tiny_models).digests
    models = {"bright": HERE, "corner": RUNS, "light": CONSTANT}
    door = PlacedDevice(send="inputs", expected_agreement=0.8, models=models)
    placed = PlacementFile(digests=digests, cloud_memory_bytes=None, expected_agreement=0.8, devices={"door": door})
    path = tmp_path / "placement.json"
    path.write_text(placed.model_dump_json())
    made = initial(tiny_models, links=links, placement=path)
    assert made.placement == placed
    assert made.plan_for("door").served["light"].origin == "constant"
    assert made.plan_for("") is made.plan and made.plan.resident == ("corner",)
    path.write_text(json.dumps({**placed.model_dump(), "digests": dict.fromkeys(NAMES, "0")}))
    with pytest.raises(InvalidInput, match="was planned for other models than the links are of"):
        initial(tiny_models, links=links, placement=path)


def test_each_class_has_what_runs_on_its_inputs_and_the_cloud_holds_all_of_it() -> None:
    plans = class_plans(PLACEMENT, COSTS)
    door, yard = plans["door"], plans["yard"]
    assert (door.resident, door.memory_bytes, door.budget_bytes, door.expected_agreement) == (("b",), 20, 70, 0.93)
    assert (yard.resident, yard.memory_bytes) == (("b", "c"), 60)
    assert [door.served[name].origin for name in "abc"] == ["executed", "executed", "linked"]
    assert (door.served["a"].why, door.served["c"].sources) == ("runs on the device", ("a", "b"))
    assert (yard.served["a"].origin, yard.served["a"].expected_agreement) == ("constant", 0.3)
    whole = whole_plan(PLACEMENT, COSTS)
    assert (whole.resident, whole.memory_bytes, whole.budget_bytes, whole.rotating) == (("b", "c"), 60, 70, ())
