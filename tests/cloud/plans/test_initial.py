"""From a placement to plans: each class of devices has its own."""

from infilink.cloud.plans.initial import class_plans, whole_plan
from infilink.models.cost import ModelCost
from infilink.models.placement import PlacedDevice, PlacedModel, PlacementFile

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
