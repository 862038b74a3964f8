"""Filters that find events: which gate wins, what it promises, and what is refused."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from infilink.cli import EXIT_NOT_CERTIFIED, main
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput, NotCertified
from infilink.filters.cli import print_training, train_filter_command
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.evaluation.pages import write_training_page
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.event_gates import FlipCandidate, News
from infilink.filters.training.event_selection import (
    EventSweep,
    EventTarget,
    Watch,
    best_of,
    confidence_of,
    judge_sweep,
    more_events,
)
from infilink.filters.training.losses import Losses
from infilink.filters.training.train_events import split_by_events, train_event_filter
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec
from infilink.outputs import Array, OutputSpec
from infilink.traces.events import Event
from infilink.traces.trace import Trace, TraceInfo, TraceWriter
from rich.console import Console

FPS = 5.0
VISIT, PAUSE = 5, 9
RULE = "count(person) == 0"


@pytest.fixture(scope="module")
def visits_path(tmp_path_factory):
    """130 visits of 0.8 s, 1.8 s apart: a square comes and goes, on a picture that else keeps still."""
    path = tmp_path_factory.mktemp("visits") / "visits.trace"
    random = np.random.default_rng(0)
    spec = ModelSpec(name="eyes", output=OutputSpec(kind="boxes", classes=("person",)))
    info = TraceInfo("visits", FPS, {"eyes": spec}, {"eyes": "d0"}, {"eyes": ModelCost(1 << 20, 0.02, 0.1)})
    nobody, somebody = np.zeros((0, 6), np.float32), np.asarray([[0.3, 0.3, 0.5, 0.6, 0.9, 0]], np.float32)
    empty = np.full((64, 96, 3), 90, np.uint8)
    square = empty.copy()
    square[20:40, 30:50] = 220
    with TraceWriter(path, info) as writer:
        for i in range(130 * (VISIT + PAUSE)):
            there = i % (VISIT + PAUSE) >= PAUSE
            noise = random.integers(0, 3, empty.shape, np.uint8)
            writer.append(
                i, i / FPS, encode_jpeg((square if there else empty) + noise), {"eyes": somebody if there else nobody}
            )
    return path


def learn(path, out, *, inputs=None, recall=0.95, within_s=math.inf, heartbeat_s=None, **options):
    with Trace(path, stop=inputs) as trace:
        return train_event_filter(
            trace, rule=parse_rule(RULE), target=EventTarget(recall, within_s, heartbeat_s), out=out, **options
        )


def test_the_gate_that_sends_the_fewest_inputs_finds_the_events(visits_path, tmp_path):
    done = learn(visits_path, tmp_path / "f.onnx", within_s=0.5, candidates=("kept-blocks", "age"))
    promise, spec = done.spec.events, done.spec
    assert spec.kind == "kept-blocks" and spec.certificate.certified and promise.certified
    assert (promise.events, promise.found, promise.recall, promise.within_s) == (130, 130, 0.95, 0.5)
    assert promise.lower_bound >= 0.95 and promise.more_events == 0
    # A square that comes and goes is two inputs of fourteen.
    assert promise.rate == pytest.approx(12 / 14, abs=0.01)
    # The most that is dropped: now and then the first input of a visit is, and the next one finds it.
    assert 0.98 < promise.agreement <= 1.0
    # What it promises, it does at work.
    with Trace(visits_path) as trace:
        found = evaluate_filter(done.path, trace)
    assert found.events.found == 130 and found.events.within[2.0] == 1.0
    assert 1.0 - found.rate == pytest.approx(2 / 14, abs=0.01)
    gate = FilterRuntime(done.path)
    assert gate.accuracy is None and gate.certified
    held = gate.substitute("eyes", OutputSpec(kind="boxes", classes=("person",)))
    assert (held.origin, held.value, held.trusted) == ("reused", None, True)
    assert held.confidence == pytest.approx(promise.agreement)


def test_too_few_events_are_refused_with_what_is_missing(visits_path, tmp_path):
    out = tmp_path / "f.onnx"
    with pytest.raises(NotCertified, match=r"40 events are too few for 1 candidates.* some 19 more .*found 40 of 40"):
        learn(visits_path, out, inputs=40 * 14, candidates=("kept-blocks",))
    assert not out.exists()
    done = learn(visits_path, out, inputs=40 * 14, candidates=("kept-blocks",), uncertified=True)
    assert not done.spec.certificate.certified and not done.spec.events.certified
    assert done.spec.events.more_events == 19
    assert not FilterRuntime(out).certified


def test_a_heartbeat_is_kept_at_work(visits_path, tmp_path):
    done = learn(visits_path, tmp_path / "f.onnx", heartbeat_s=1.0, candidates=("kept-blocks",))
    assert done.spec.longest_s == 1.0
    gate, sent = FilterRuntime(done.path), []
    with Trace(visits_path) as trace:
        for frame, captured_s in zip(trace.frames(), trace.captured_s, strict=True):
            if gate.decide(frame, float(captured_s)).keep:
                sent.append(captured_s)
    assert np.diff(sent).max() == pytest.approx(1.0)


def test_by_the_command_with_exit_code_3(visits_path, tmp_path, monkeypatch, capsys):
    with Trace(visits_path, stop=300) as short:
        assert len(short) == 300
    out = tmp_path / "f.onnx"
    options = ["--rule", RULE, "--model", "eyes", "--candidate", "age", "--event-recall", "0.99", "--within", "500ms"]
    monkeypatch.setattr(sys, "argv", ["infilink", "train", "filter", str(visits_path), *options, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == EXIT_NOT_CERTIFIED and not out.exists()
    assert "169 more" in " ".join(capsys.readouterr().err.split())
    options_at = {"rule": RULE, "out": out, "model": ["eyes"], "candidate": ["kept-blocks"], "as_json": True}
    train_filter_command(traces=[visits_path], **options_at, event_recall=0.95, within="2s", heartbeat="10s")
    spec = json.loads(capsys.readouterr().out)["spec"]
    assert spec["events"]["within_s"] == 2.0 and spec["longest_s"] == 10.0 and spec["accuracy"] == 0.0


def test_what_is_asked_for_is_shown(visits_path, tmp_path, capsys):
    done = learn(visits_path, tmp_path / "f.onnx", candidates=("kept-blocks",))
    print_training(done, Console(width=200))
    shown = capsys.readouterr().out
    assert "at event recall 0.95" in shown and "finds 130 of 130 events" in shown
    write_training_page(done, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "event recall 0.95" in page and "kept-blocks drops" in page


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"recall": 1.0}, "above 0 and below 1, not 1"),
        ({"within_s": -1.0}, "within 0 s or more, not -1 s"),
        ({"heartbeat_s": 0.0}, "above 0 s, not 0 s"),
        ({"inputs": 70, "candidates": ("nothing",)}, "there is none of that name"),
        ({"inputs": 20}, "too few"),
    ],
)
def test_what_can_t_be_asked_for(visits_path, tmp_path, options, says):
    with pytest.raises(InvalidInput, match=says):
        learn(visits_path, tmp_path / "f.onnx", **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"event_recall": 0.9, "accuracy": 0.8}, "without --accuracy"),
        ({"event_recall": 0.9, "within": "soon"}, "no length of time"),
        ({"within": "2s"}, "ask with --event-recall"),
    ],
)
def test_options_that_do_not_go_together(visits_path, tmp_path, options, says):
    with pytest.raises(InvalidInput, match=says):
        train_filter_command(traces=[visits_path], rule=RULE, out=tmp_path / "f.onnx", model=["eyes"], **options)


def test_the_cut_lies_between_two_events_with_as_many_before_as_after(visits_path):
    with Trace(visits_path) as trace:
        truth = Losses(trace, ("eyes",), parse_rule(RULE)).truth
        split = split_by_events(trace, truth)
        assert not truth["person"][split.trained : split.calibrated].any()
    later = Watch.of(truth, trace.captured_s, start=split.calibrated, stop=split.stop)
    assert len(later.events) == 65


def watch_of(events: int, inputs_each: int = 4) -> Watch:
    made = [
        Event("person", i * inputs_each, i * inputs_each + 1, 10.0 * i, 10.0 * i + 1.0, source=i) for i in range(events)
    ]
    return Watch(made, np.arange(events), [np.asarray([event.first, event.last]) for event in made])


def sweep_of(watch: Watch, *misses: int) -> EventSweep:
    """A threshold for each number of misses, each sending less than the one before."""
    kept = np.zeros((len(misses), 4 * len(watch.events)), bool)
    for row, missed in enumerate(misses):
        for chance in watch.chances[missed:]:
            kept[row, chance[: max(1, 2 - row)]] = True
    return EventSweep("gate", np.arange(len(misses), dtype=float), kept, watch)


@pytest.mark.parametrize(
    ("events", "missed", "certified"), [(58, 0, False), (59, 0, True), (92, 1, False), (93, 1, True)]
)
def test_a_recall_of_95_takes_59_events_without_a_miss_and_93_with_one(events, missed, certified):
    judged = judge_sweep(sweep_of(watch_of(events), missed), EventTarget(0.95), confidence=confidence_of(1))
    assert judged.certified is certified
    assert more_events(judged, EventTarget(0.95), confidence=confidence_of(1)) == (0 if certified else 1)


def test_several_candidates_take_more_events():
    def needed(candidates: int) -> int:
        confidence = confidence_of(candidates)
        judged = judge_sweep(sweep_of(watch_of(10), 0), EventTarget(0.95), confidence=confidence)
        return 10 + more_events(judged, EventTarget(0.95), confidence=confidence)

    assert [needed(count) for count in (1, 2, 5)] == [59, 72, 90]


def test_thresholds_are_tested_from_the_most_careful_on_and_the_first_that_fails_ends_it():
    judged = judge_sweep(sweep_of(watch_of(100), 0, 0, 9, 0), EventTarget(0.95), confidence=confidence_of(1))
    assert judged.certified and judged.best == 1


def test_a_bunch_of_events_proves_as_much_as_one():
    watch = watch_of(120)
    bunched = Watch(watch.events, np.arange(120) // 4, watch.chances)
    assert judge_sweep(sweep_of(watch, 0), EventTarget(0.95), confidence=0.95).certified
    assert not judge_sweep(sweep_of(bunched, 0), EventTarget(0.95), confidence=0.95).certified


def test_what_is_proven_wins_over_what_sends_less():
    few, many = watch_of(20), watch_of(100)
    proven = judge_sweep(replace(sweep_of(many, 0), cost=0.1), EventTarget(0.95), confidence=0.95)
    unproven = judge_sweep(sweep_of(few, 0, 0), EventTarget(0.95), confidence=0.95)
    assert unproven.sent < proven.sent
    assert best_of([unproven, proven]) is proven


def test_few_events_leave_a_margin():
    watch = watch_of(10)
    kept = np.stack([np.arange(40) % (i + 1) == 0 for i in range(8)])
    judged = judge_sweep(EventSweep("gate", np.arange(8.0), kept, watch), EventTarget(0.95), confidence=0.95)
    # Up to every second input nothing is missed; by that margin (1 + 5 / 10) it has to be every input.
    assert not judged.certified and judged.missed[1] == 0.0 and judged.missed[2] > 0.0
    assert judged.best == 0


def test_a_broken_promise_is_seldom_certified():
    """400 trainings each in which the true recall is .94 or .95: at most 5 % are certified, and a few are."""
    random, share = np.random.default_rng(5), []
    watch = watch_of(150)
    for _ in range(400):
        lost = random.random(150) < 0.06
        kept = np.zeros((1, 600), bool)
        for chance, each in zip(watch.chances, lost, strict=True):
            kept[0, chance] = not each
        share.append(
            judge_sweep(EventSweep("gate", np.zeros(1), kept, watch), EventTarget(0.95), confidence=0.95).certified
        )
    assert np.mean(share) <= 0.05


def test_the_learned_state_and_what_is_new():
    flip = FlipCandidate(np.asarray([0.1, 0.9, 0.8]), np.asarray([0.0, 1.0, 2.0]), (2.0, 1.0))
    assert flip.scores(np.asarray([0, 1]), 2) == pytest.approx([math.log(2.0) + 1.6 - 0.1, 0.0 + 1.6 - 0.9])
    there: Array = np.asarray([False, True, True, False])
    news = News.__new__(News)
    news._there = np.stack([there])
    assert list(news.of(np.asarray([0, 1, 2, 0]), np.asarray([1, 2, 3, 3]))) == [1.0, 0.0, 0.0, 0.0]
