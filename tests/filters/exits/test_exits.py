"""A small model stands in for a big one where that is proven to be good enough, and nowhere else."""

import logging

import numpy as np
import pytest
from infilink.errors import InvalidInput, NotCertified, UnknownModel
from infilink.filters.exits.cues import Cues
from infilink.filters.exits.doubt import Doubt
from infilink.filters.exits.evaluate import evaluate_exit
from infilink.filters.exits.gate import ExitGate
from infilink.filters.exits.mapping import ClassMap
from infilink.filters.exits.spec import load_exit
from infilink.filters.exits.train import train_exit
from infilink.filters.open_gate import open_gate
from infilink.filters.serves import Served, check_serves
from infilink.filters.terms import terms_of
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

from ..conftest import draw
from ..local.mixed import write_mixed
from .made import exit_bytes, write_small

COCO = OutputSpec(kind="boxes", classes=("person", "car", "dog"), measure="counts")
PEOPLE = OutputSpec(kind="boxes", classes=("face", "Person"))
LABEL = OutputSpec(kind="label", classes=("a", "b", "c"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("exit") / "exit.onnx"
    found.write_bytes(exit_bytes())
    return found


def rows(*boxes):
    return np.asarray(boxes, np.float32).reshape(-1, 6)


def test_boxes_are_written_as_the_big_models_and_of_what_it_speaks_alone():
    found = ClassMap.of(PEOPLE, COCO, classes=(), score=0.4)
    said = rows([0, 0, 9, 9, 0.9, 1], [0, 0, 5, 5, 0.8, 0], [20, 20, 30, 30, 0.3, 1])
    assert found.names == ("person",) and not found.is_whole
    assert found.answer(said).tolist() == rows([0, 0, 9, 9, 0.9, 0]).tolist()
    assert len(found.relevant(said)) == 2, "faces are another class"
    exact = rows([0, 0, 9, 9, 0.7, 0], [1, 1, 8, 8, 0.9, 1])
    assert found.agreement(found.answer(said), exact) == 1.0, "of the car it says nothing"
    assert found.answer(rows()).shape == (0, 6)


def test_a_label_that_the_big_model_does_not_have_is_no_answer():
    small = OutputSpec(kind="label", classes=("c", "z", "a"))
    found = ClassMap.of(small, LABEL, classes=(), score=0.0)
    assert found.answer(np.asarray([0.7, 0.1, 0.2], np.float32)).tolist() == pytest.approx([0.0, 0.0, 0.7])
    assert found.answer(np.asarray([0.1, 0.7, 0.2], np.float32)) is None


@pytest.mark.parametrize(
    ("small", "big", "classes", "message"),
    [
        (LABEL, COCO, (), "returns label and the big one boxes"),
        (OutputSpec(kind="mask"), OutputSpec(kind="mask"), (), "only where both return boxes, label or multilabel"),
        (OutputSpec(kind="boxes", classes=("cat",)), COCO, (), "no class in common: .* cat"),
        (PEOPLE, COCO, ("car",), "'car': must be one that both models know: person"),
        (LABEL, LABEL, ("a",), "leave them out"),
        (
            OutputSpec(kind="multilabel", classes=("a",)),
            OutputSpec(kind="multilabel", classes=("a", "b")),
            (),
            "does not know all",
        ),
    ],
)
def test_outputs_that_are_not_of_one_kind_are_refused(small, big, classes, message):
    with pytest.raises(InvalidInput, match=message):
        ClassMap.of(small, big, classes=classes, score=0.4)


def test_cues_are_as_many_for_any_number_of_boxes_and_see_what_jumps():
    cues = Cues(COCO, 0.4)
    one = rows([0, 0, 9, 9, 0.9, 0])
    found = [cues.of(value, (100, 50)) for value in (one, one, rows(), np.repeat(one, 120, axis=0))]
    assert len({each.shape for each in found}) == 1 and np.isfinite(found).all()
    half = len(found[0]) // 2
    assert not found[1][half:].any() and found[2][half:].any()
    cues.reset()
    assert np.array_equal(cues.of(one, (100, 50)), found[0])


def test_doubt_learns_where_answers_agree_and_outlives_its_file(tmp_path):
    random = np.random.default_rng(0)
    cues = random.normal(size=(400, 8))
    agreements = (np.abs(cues[:, 0]) < 1.0).astype(float)
    doubt = Doubt.fit(cues[:300], agreements[:300])
    later = doubt.confidence(cues[300:])
    assert later[agreements[300:] == 1].mean() > later[agreements[300:] == 0].mean() + 0.3
    again = Doubt.unpack(doubt.pack(), path=tmp_path)
    assert again.confidence(cues) == pytest.approx(doubt.confidence(cues), abs=1e-4)
    assert doubt.unlike(100 * cues[:1])[0] > 5 * doubt.unlike(cues).mean()
    with pytest.raises(InvalidInput, match="damaged: train it again"):
        Doubt.unpack(doubt.pack()[:-40], path=tmp_path)


def test_it_answers_where_it_is_sure_and_says_who_said_it(path):
    gate = ExitGate(path)
    terms = terms_of(gate)
    assert terms is not None and terms.certified and terms.accuracy == 0.9
    gate.substitute("scene", gate.spec.classes.big)
    frames, places = draw(200, seed=21)
    # In any order, as what it was learnt from.
    order = np.random.default_rng(1).permutation(200).tolist()
    places = [places[at] for at in order]
    found = [gate.decide(frames[at], i / 10) for i, at in enumerate(order)]
    answered = [(place, each) for place, each in zip(places, found, strict=True) if not each.keep]
    assert 20 < len(answered) < 190
    assert np.mean([each.answers["scene"].value.argmax() == place for place, each in answered]) >= 0.9
    said = answered[0][1].answers["scene"]
    assert (said.origin, said.sources, said.trusted) == ("local", ("small",), True) and 0.5 <= said.confidence <= 1.0


def test_another_model_in_service_is_asked_on_every_input(path):
    gate = ExitGate(path)
    gate.substitute("squares", OutputSpec(kind="count"))
    found = [gate.decide(frame, i / 10) for i, frame in enumerate(draw(60, seed=21)[0])]
    assert all(each.keep for each in found) and any(each.answers for each in found)


def test_an_input_unlike_all_that_was_learnt_goes_up(path):
    assert ExitGate(path).decide(np.full((120, 160, 3), 255, np.uint8), 0.0).keep


def test_what_fails_goes_up_and_is_told_once(path, caplog):
    gate = ExitGate(path)
    with caplog.at_level(logging.ERROR):
        found = [gate.decide(np.zeros((0, 0, 3), np.uint8), 0.0) for _ in range(3)]
    assert all(each.keep and each.failed for each in found) and len(caplog.records) == 1


def test_it_is_judged_beside_the_small_model_alone(path, tmp_path):
    found = evaluate_exit(ExitGate(path), write_mixed(tmp_path / "other.trace", inputs=300, seed=4, lot=False))
    others = {each.name: each for each in found.baselines}
    alone, drawn = others["small model alone"], others["small model, random goes up"]
    assert found.accuracy >= 0.9 and found.promised == 0.9 and 0.05 < found.rate < 0.95
    assert alone.rate == 1.0 and alone.accuracy < found.accuracy - 0.1
    assert drawn.rate == pytest.approx(found.rate, abs=0.01) and drawn.accuracy < found.accuracy
    assert found.accuracy >= others["every K-th"].accuracy


def test_it_serves_the_model_that_it_was_learnt_for_alone(path):
    gate = ExitGate(path)
    check_serves(gate, {"scene": Served(gate.spec.classes.big, "d0")})
    with pytest.raises(InvalidInput, match="another version of scene"):
        check_serves(gate, {"scene": Served(gate.spec.classes.big, "d1")})
    for text, message in ((f"{path}@0.95", "for the accuracy that it was trained for"),):
        with pytest.raises(InvalidInput, match=message):
            open_gate(text)
    with pytest.raises(InvalidInput, match="`update` takes"):
        open_gate(path, update=path.with_suffix(".npz"))


def test_what_is_not_proven_is_not_written(tmp_path):
    small, out = write_small(tmp_path / "small.onnx"), tmp_path / "exit.onnx"
    with Trace(write_mixed(tmp_path / "short.trace", inputs=90, lot=False)) as trace:
        with pytest.raises(NotCertified, match="ask for less"):
            train_exit(trace, model="scene", small=small, accuracy=0.97, out=out)
        assert not out.exists()
        with pytest.raises(UnknownModel):
            train_exit(trace, model="nobody", small=small, accuracy=0.9, out=out)
        with pytest.raises(InvalidInput, match="returns label and the big one count"):
            train_exit(trace, model="squares", small=small, accuracy=0.9, out=out)


def test_a_file_that_is_no_exit_is_told(tmp_path):
    small = write_small(tmp_path / "small.onnx")
    with pytest.raises(InvalidInput, match="is an ONNX model but no exit"):
        load_exit(small)
