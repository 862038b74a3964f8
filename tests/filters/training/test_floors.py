"""What must be kept besides: of a class, in every slice."""

import numpy as np
import pytest
from infilink.codec import pack
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import parse_rule
from infilink.filters.rules.zones import Zone
from infilink.filters.training.floors import Mask, Recall, Slices, parse_recall
from infilink.filters.training.losses import Losses
from infilink.filters.training.selection import choose
from infilink.filters.training.sweep import Sweep
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

INPUTS = 2000


def made(rates: list[float], wrong_in: np.ndarray) -> Sweep:
    """Errors fall on some inputs alone: half of those that are dropped there."""
    random = np.random.default_rng(0)
    draws, half = random.random(INPUTS), random.random(INPUTS) < 0.5
    kept = np.stack([draws >= rate for rate in rates])
    return Sweep("a", np.linspace(0, 1, len(rates)), kept, (~kept & wrong_in & half).astype(float))


def test_a_slice_that_is_kept_too_badly_lowers_the_rate():
    rare = np.arange(INPUTS) % 10 == 0
    sweep = made([0.0, 0.05, 0.1, 0.2, 0.4, 0.8], rare)
    free = choose([sweep], accuracy=0.9)
    assert free.certificate.certified and free.certificate.rate > 0.7
    floored = choose([sweep], accuracy=0.9, floors=[Mask("rare", 0.9, rare)])
    assert floored.certificate.certified and floored.certificate.rate < 0.15
    (found,) = floored.floors
    assert found.name == "rare" and found.inputs == 200 and found.lower_bound >= 0.9 and found.accuracy >= 0.9


def test_a_floor_that_can_not_be_proven_is_no_certificate():
    few = np.arange(INPUTS) < 8
    sweep = made([0.0, 0.2, 0.4], np.zeros(INPUTS, bool))
    choice = choose([sweep], accuracy=0.9, floors=[Mask("few", 0.9, few)])
    assert not choice.certificate.certified and choice.floors[0].lower_bound < 0.9


def test_recall_counts_the_needed_inputs_with_the_class(trace):
    losses = Losses(trace, ("scene",), parse_rule("label in (nothing)"))
    (mask,) = Recall("left", 0.9).on(trace, losses)
    left = [int(np.argmax(output)) == 1 for output in trace.outputs("scene")]
    assert mask.name == "recall of left" and mask.where.tolist() == left
    with pytest.raises(InvalidInput, match="there are left, nothing, right"):
        Recall("up", 0.9).on(trace, losses)
    with pytest.raises(InvalidInput, match="no input on which it is seen is needed"):
        Recall("nothing", 0.9).on(trace, losses)


def test_slices_by_hour_light_and_name(trace):
    losses = Losses(trace, ("scene",), parse_rule("label in (nothing)"))
    assert [mask.name for mask in Slices("hour", 0.8).on(trace, losses)] == ["hour 0"]
    light = Slices("light", 0.8).on(trace, losses)
    assert sum(mask.where.sum() for mask in light) <= len(trace) and {mask.name for mask in light} <= {"dark", "bright"}
    named = Slices(["gate" if i % 2 else "yard" for i in range(len(trace))], 0.8).on(trace, losses)
    assert [(mask.name, int(mask.where.sum())) for mask in named] == [("gate", 130), ("yard", 130)]
    for wrong, says in ((Slices("moon", 0.8), "there are hour, light"), (Slices(["a"], 0.8), "1 names for 260 inputs")):
        with pytest.raises(InvalidInput, match=says):
            wrong.on(trace, losses)


def test_recall_in_a_zone(tmp_path):
    """What stands in the zone, and not what is elsewhere."""
    zones = {"door": Zone("door", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))}
    rule = parse_rule("count('T-shirt/top (new)', zone=door) == 0", zones=zones)
    spec = ModelSpec(name="m", output=OutputSpec(kind="boxes", classes=("T-shirt/top (new)", "bag")))
    info = TraceInfo("made up", 1.0, {"m": spec}, {"m": "d"}, {"m": ModelCost(1 << 20, 0.01, 0.1)}, input="array")
    rows = ([], [[0.1, 0.1, 0.3, 0.9, 0.9, 0]], [[0.6, 0.1, 0.8, 0.9, 0.9, 0]], [[0.1, 0.1, 0.3, 0.9, 0.9, 1]])
    with TraceWriter(tmp_path / "t", info) as writer:
        for i, boxes in enumerate(rows):
            writer.append(i, float(i), pack(np.zeros(1)), {"m": np.asarray(boxes, np.float32).reshape(-1, 6)})
    with Trace(tmp_path / "t") as trace:
        losses = Losses(trace, ("m",), rule)
        for text in ("T-shirt/top (new) in door=0.9", "'t-shirt/top (new)'=0.9"):
            (mask,) = parse_recall(text).on(trace, losses)
            assert mask.where.tolist() == [False, True, False, False]
        with pytest.raises(InvalidInput, match=r"there are 'T-shirt/top \(new\)', 'T-shirt/top \(new\) in door', bag"):
            Recall("shoe", 0.9).on(trace, losses)


@pytest.mark.parametrize(
    ("text", "floor"),
    [
        ("car=0.95", Recall("car", 0.95)),
        ("traffic light : .9", Recall("traffic light", 0.9)),
        ("tabby, tabby cat=0.9", Recall("tabby, tabby cat", 0.9)),
        ("'x = 0.3'=0.9", Recall("x = 0.3", 0.9)),
        ("a: b=0.9", Recall("a: b", 0.9)),
        ('"it\'s" = .5', Recall("it's", 0.5)),
    ],
)
def test_a_recall_is_what_its_text_says(text, floor):
    assert parse_recall(text) == floor


@pytest.mark.parametrize("text", ["car", "car=2", "=0.5", "car=x", "car=0", "'car=0.9", "'car' s=0.9"])
def test_a_recall_that_makes_no_sense_is_refused(text):
    with pytest.raises(InvalidInput, match="CLASS=SHARE"):
        parse_recall(text)
