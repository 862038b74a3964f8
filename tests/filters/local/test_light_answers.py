"""Heads that answer where they are sure enough: learnt, certified, at work."""

import numpy as np
import pytest
from infilink.errors import InvalidInput, NotCertified, UnknownModel
from infilink.filters.local.certify import certify_doubt
from infilink.filters.local.gate import LocalGate
from infilink.filters.local.spec import load_heads
from infilink.filters.local.train import train_heads
from infilink.filters.open_gate import open_gate
from infilink.filters.terms import terms_of
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace

from ..conftest import SPECS, draw
from .mixed import write_mixed

OUTPUTS = {name: spec.output for name, spec in SPECS.items()}


@pytest.fixture
def gate(learnt):
    opened = open_gate(learnt.path)
    for name, output in OUTPUTS.items():
        opened.substitute(name, output)
    return opened


def test_the_head_that_is_sure_is_certified_and_the_other_never_answers(learnt):
    squares, scene = (next(head for head in learnt.spec.heads if head.model == name) for name in ("squares", "scene"))
    assert squares.certificate.certified and squares.certificate.upper_bound <= 0.1
    assert squares.agreement >= 0.9 > squares.constant
    assert scene.threshold is None and not scene.certificate.certified
    assert learnt.spec.answering.keys() == {"squares"}
    assert load_heads(learnt.path)[0] == learnt.spec
    assert learnt.spec.learnt_from is not None and learnt.spec.stem.spec.model == "drawn"


def test_at_work_it_answers_for_the_sure_one_and_asks_for_the_other(gate):
    frames, places = draw(120, seed=5)
    agreed = []
    for i, (frame, place) in enumerate(zip(frames, places, strict=True)):
        decision = gate.decide(frame, i / 10)
        assert decision.keep and decision.answers.keys() <= {"squares"}
        assert decision.features is not None and decision.features.shape == (16,)
        for answer in decision.answers.values():
            assert answer.origin == "local" and answer.trusted and answer.confidence >= 0.5
            agreed.append(OUTPUTS["squares"].agreement(answer.value, np.asarray([place > 0], np.float32)))
    assert len(agreed) > 60 and np.mean(agreed) > 0.9


def test_with_a_head_that_answers_for_every_model_an_input_need_not_be_sent(mixed_path, stem_path, tmp_path):
    with Trace(mixed_path) as trace:
        train_heads(trace, stem=Stem(stem_path), accuracy=0.9, out=tmp_path / "h.onnx", models=["squares"])
    gate = open_gate(tmp_path / "h.onnx")
    frames, _ = draw(60, seed=6)
    assert {gate.decide(frame, i / 10).keep for i, frame in enumerate(frames)} >= {False}
    # A model that it knows nothing of is in service: that one is asked.
    gate.substitute("stranger", OUTPUTS["scene"])
    decisions = [gate.decide(frame, i / 10) for i, frame in enumerate(frames)]
    assert all(decision.keep and "stranger" not in decision.answers for decision in decisions)
    assert any(decision.answers for decision in decisions)


def test_it_promises_what_was_certified_and_loses_what_its_answers_disagree(gate, learnt):
    assert gate.accuracy == 0.9
    terms = terms_of(gate)
    assert terms is not None and terms.certified and terms.run_inputs is not None
    substitute = gate.substitute("squares", OUTPUTS["squares"])
    assert (substitute.origin, substitute.trusted) == ("local", True)
    assert substitute.confidence == pytest.approx(learnt.spec.answering["squares"].agreement)
    exact = {"squares": np.asarray([1.0], np.float32), "scene": np.asarray([0, 1, 0], np.float32)}
    answer = gate.decide(draw(1, seed=1)[0][0], 0.0).answers.get("squares")
    assert answer is not None
    value = float(answer.value[0])
    assert gate.lost({"squares": answer}, exact, OUTPUTS) == pytest.approx(float(round(value) != 1))
    assert gate.lost({}, exact, OUTPUTS) == 0.0
    assert gate.lost({}, {"scene": exact["scene"]}, OUTPUTS) is None


def test_nothing_certified_is_nothing_written_unless_it_is_asked_for(stem_path, tmp_path):
    out = tmp_path / "h.onnx"
    asked = {"stem": Stem(stem_path), "accuracy": 0.95, "out": out, "models": ["squares"]}
    with Trace(write_mixed(tmp_path / "short.trace", inputs=100)) as trace:
        with pytest.raises(NotCertified, match=r"no head of squares is proven to agree .*more runs .*--uncertified"):
            train_heads(trace, **asked)
        assert not out.exists()
        done = train_heads(trace, **asked, uncertified=True)
    head = done.spec.heads[0]
    assert head.threshold is not None and not head.certificate.certified
    gate = LocalGate(out)
    terms = terms_of(gate)
    assert terms is not None and not terms.certified
    assert not gate.substitute("squares", OUTPUTS["squares"]).trusted


def test_what_can_not_be_learnt_from_is_refused(mixed_path, stem_path, tmp_path):
    stem, out = Stem(stem_path), tmp_path / "h.onnx"
    with Trace(mixed_path) as trace:
        with pytest.raises(UnknownModel):
            train_heads(trace, stem=stem, accuracy=0.9, out=out, models=["other"])
        with pytest.raises(InvalidInput, match="accuracy must be above 0"):
            train_heads(trace, stem=stem, accuracy=1.0, out=out)
        with trace.part(0, 30) as part, pytest.raises(InvalidInput, match="30 inputs are too few"):
            train_heads(part, stem=stem, accuracy=0.9, out=out)
    old = write_mixed(tmp_path / "old.trace", inputs=80, times="invented")
    with Trace(old) as trace, pytest.raises(NotCertified, match="invented"):
        train_heads(trace, stem=stem, accuracy=0.9, out=out)
    assert not out.exists()


def test_a_file_that_is_none_or_is_damaged_is_refused(learnt, stem_path, tmp_path):
    import onnx

    with pytest.raises(InvalidInput, match="holds no heads"):
        LocalGate(stem_path)
    model = onnx.load(str(learnt.path))
    for prop in model.metadata_props:
        if prop.key == "infilink.learnt":
            prop.value = prop.value[:-40]
    onnx.save(model, str(tmp_path / "cut.onnx"))
    with pytest.raises(InvalidInput, match="damaged: train it again"):
        LocalGate(tmp_path / "cut.onnx")
    with pytest.raises(InvalidInput, match="is for the accuracy that it was trained for"):
        open_gate(f"{learnt.path}@0.8")


def test_answers_that_are_often_wrong_are_not_given_however_few_they_are():
    random = np.random.default_rng(0)
    doubts = random.random(500)
    # Even the surest answers are wrong half the time: up to a doubt of .2 all inputs together lose a tenth.
    wrong = (random.random(500) < 0.5).astype(float)
    wrong[doubts < 0.01] = 1.0
    with pytest.raises(NotCertified, match="no answer is likely enough"):
        certify_doubt("m", doubts, wrong, accuracy=0.9)
    wrong = np.where(doubts < 0.4, 0.0, wrong)
    found = certify_doubt("m", doubts, wrong, accuracy=0.9)
    assert found.certificate.certified and 0.3 < found.threshold <= 0.5
    assert wrong[doubts <= found.threshold].mean() <= 0.1


def test_features_are_of_the_stem_and_the_graph_says_the_same_numbers(learnt, stem_path):
    gate, stem = LocalGate(learnt.path), Stem(stem_path)
    for frame in draw(5, seed=8)[0]:
        decision = gate.decide(frame, 0.0)
        seen = stem.see(frame).features
        np.testing.assert_allclose(decision.features, seen, rtol=1e-5)
        for model, head in gate.heads.items():
            if model in decision.answers:
                found = head.answer(seen[None])
                assert decision.answers[model].confidence == pytest.approx(float(found.confidence[0]), abs=1e-3)
                np.testing.assert_allclose(decision.answers[model].value, found.values[0], atol=1e-3)


def test_what_is_unlike_all_that_was_learnt_is_asked(gate):
    frame = draw(1, seed=8)[0][0]
    assert gate.decide(frame, 0.0).answers
    strange = np.random.default_rng(0).integers(0, 256, frame.shape).astype(np.uint8)
    decision = gate.decide(strange, 0.1)
    assert decision.keep and not decision.answers
