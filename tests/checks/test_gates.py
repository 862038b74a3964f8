"""What every gate must do, found by `open_gate.FREE` and by the classes of gates; `FILES` has one of each kind."""

import functools
import gc
import importlib
import inspect
import math
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import infilink.filters
import numpy as np
import pytest
from infilink.filters.gates.base import Decision, Gate, ModelOutput, Substitute
from infilink.filters.modalities import fit_modality
from infilink.filters.open_gate import FREE, open_gate
from infilink.outputs import OutputSpec

from ..filters.arrays import make
from ..filters.conftest import draw
from ..filters.exits.made import write_exit
from ..filters.local.made import write_heads, write_presence
from ..filters.made import write_frames, write_mean, write_repeats, write_reuse, write_tasks
from .drawn import SPECS, output_of

LABEL = OutputSpec(kind="label", classes=("dull", "news"))
OUTPUTS = {
    "squares": OutputSpec(kind="count"),
    "scene": OutputSpec(kind="label", classes=("nothing", "left", "right")),
    "h": LABEL,
    "stranger": OutputSpec(kind="mask"),
}
"""The models of a stream; the gates are made for some of them, and for no stranger."""


@functools.cache
def drawn(kind: str) -> list[np.ndarray]:
    """Forty inputs: frames, or of a modality."""
    random = np.random.default_rng(5)
    return draw(40, seed=5)[0] if kind == "frames" else [make(kind, i % 2, random) for i in range(40)]


def mean_filter(folder: Path, kind: str) -> Gate:
    modality = fit_modality(kind, drawn(kind))
    middle = float(np.median([modality.prepare(value).mean() for value in drawn(kind)]))
    return open_gate(write_mean(folder / "mean.onnx", modality, threshold=middle))


def reuse(folder: Path, cache: Path | None = None) -> Gate:
    modality = fit_modality("signal", drawn("signal"))
    return open_gate(write_reuse(folder / "reuse.onnx", modality, LABEL, gate=0.05), cache=cache)


FILES: dict[str, tuple[str, Callable[[Path], Gate]]] = {
    "filter": ("frames", lambda folder: open_gate(write_frames(folder / "f.onnx"))),
    "unchanged": ("frames", lambda folder: open_gate(write_repeats(folder / "f.onnx"))),
    "filter of windows": ("video", lambda folder: mean_filter(folder, "video")),
    "filter of signals": ("signal", lambda folder: mean_filter(folder, "signal")),
    "one task": ("frames", lambda folder: open_gate(f"{write_tasks(folder / 'f.onnx')}#scene")),
    "tasks": ("frames", lambda folder: open_gate(write_tasks(folder / "f.onnx"))),
    "reuse": ("signal", reuse),
    "reuse with a file": ("signal", lambda folder: reuse(folder, folder / "cache")),
    "heads": ("frames", lambda folder: open_gate(write_heads(folder / "h.onnx"))),
    "exit": ("frames", lambda folder: open_gate(write_exit(folder / "e.onnx"))),
    "heads that learn on": (
        "frames",
        lambda folder: open_gate(write_heads(folder / "h.onnx"), update=folder / "learnt.npz"),
    ),
    "filter that learns on": (
        "frames",
        lambda folder: open_gate(write_presence(folder / "f.onnx"), update=folder / "learnt.npz"),
    ),
}
"""A gate of every kind of file, with what its inputs are; add what is new here."""

GATES = {**{each.example: ("frames", lambda _, text=each.example: open_gate(text)) for each in FREE.values()}, **FILES}


@pytest.fixture(params=GATES)
def name(request) -> str:
    return request.param


@pytest.fixture
def inputs(name) -> list[np.ndarray]:
    return [value.copy() for value in drawn(GATES[name][0])]


@pytest.fixture
def new(name, tmp_path) -> Iterator[Callable[[], Gate]]:
    """Opens the gate anew, from a file of its own, as the agent does it."""
    opened: list[Gate] = []

    def begin() -> Gate:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        opened.append(GATES[name][1](folder))
        for model, output in OUTPUTS.items():
            opened[-1].substitute(model, output)
        return opened[-1]

    yield begin
    for gate in opened:
        gate.close()


@pytest.fixture
def gate(new) -> Gate:
    return new()


def run(gate: Gate, inputs: list[np.ndarray], count: int = 40, *, start: int = 0) -> list[Decision]:
    """Ten inputs a second; what wants to learn is told the same each time."""
    decisions, random = [], np.random.default_rng(9)
    for i in range(start, start + count):
        decisions.append(gate.decide(inputs[i % len(inputs)], i / 10))
        if decisions[-1].learn is not None:
            said = {name: ModelOutput(output_of(spec, random), "d0") for name, spec in OUTPUTS.items()}
            decisions[-1].learn(said)
    return decisions


def plain(decision: Decision) -> tuple[Any, ...]:
    """A decision as what can be compared."""
    answers = {name: each and (each.origin, each.confidence, each.trusted) for name, each in decision.answers.items()}
    values = [each.value.tolist() for each in decision.answers.values() if each and each.value is not None]
    return (decision.keep, decision.score, decision.threshold, decision.learn is None, answers, values)


def held_bytes(root: object) -> int:
    """What an object holds in memory, and all that it refers to."""
    total, queue, seen = 0, [root], set[int]()
    while queue:
        each = queue.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        queue += [*gc.get_referents(each), *([each.base] if isinstance(each, np.ndarray) else [])]
    return total


def is_gate(kind: type) -> bool:
    return kind is not Gate and all(callable(getattr(kind, each, None)) for each in ("decide", "substitute", "reset"))


def test_every_class_of_gates_is_checked(tmp_path):
    modules = pkgutil.walk_packages(infilink.filters.__path__, f"{infilink.filters.__name__}.")
    members = [inspect.getmembers(importlib.import_module(each.name), inspect.isclass) for each in modules]
    there = {kind for classes in members for _, kind in classes if is_gate(kind)}
    checked = set()
    for name, (_, begin) in GATES.items():
        folder = tmp_path / name.replace(":", "-")
        folder.mkdir()
        gate = begin(folder)
        gate.close()
        checked.add(type(gate))
    assert checked == there, "a gate is missing in `FILES`"


def test_a_decision_has_all_its_fields(name, gate, inputs):
    assert isinstance(gate.name, str) and gate.name
    assert gate.accuracy is None or 0.0 < gate.accuracy < 1.0
    decisions = run(gate, inputs)
    scores = [each.score for each in decisions if each.score is not None]
    assert len(scores) >= 39 if name not in ("all", "first", "every:3", "random:0.2:7") else not scores
    assert all(isinstance(score, float) and math.isfinite(score) for score in scores)
    for decision in decisions:
        assert type(decision.keep) is bool
        assert isinstance(decision.threshold, float | int) and math.isfinite(decision.threshold)
        assert all(each is None or isinstance(each, Substitute) for each in decision.answers.values())


def test_it_keeps_some_inputs_and_drops_some(name, gate, inputs):
    # Light answers for some models leave others to be asked.
    kept = sum(decision.keep and not decision.answers for decision in run(gate, inputs))
    assert 1 < kept < 40 or (name, kept) in (("all", 40), ("first", 1))


def test_the_first_input_is_kept_or_answered_without_an_earlier_one(gate, inputs):
    for _ in range(2):
        first = gate.decide(inputs[0], 0.0)
        substitutes = {name: gate.substitute(name, output) for name, output in OUTPUTS.items()}
        known = [name for name, each in substitutes.items() if each.confidence > 0]
        answers = [first.answers.get(name) or substitutes[name] for name in known]
        assert first.keep or (known and all(each.value is not None for each in answers))
        run(gate, inputs[1:], 5)
        gate.reset()


def test_the_same_inputs_are_decided_the_same(new, inputs):
    first, again = (run(new(), inputs, 80) for _ in range(2))
    assert [plain(each) for each in first] == [plain(each) for each in again]


def test_after_a_reset_a_stream_is_scored_as_a_new_one(new, inputs):
    fresh, used = new(), new()
    for i, value in enumerate(reversed(inputs)):
        used.decide(value, i / 10)
    used.reset()
    expected, found = ([gate.decide(value, i / 10).score for i, value in enumerate(inputs)] for gate in (fresh, used))
    assert found == expected


def test_an_input_is_left_as_it_was(gate, inputs):
    before = [value.tobytes() for value in inputs]
    run(gate, inputs)
    assert [value.tobytes() for value in inputs] == before


def test_what_it_holds_is_bounded(gate, inputs):
    run(gate, inputs, 1000)
    before = held_bytes(gate)
    decisions = run(gate, inputs, 1000, start=1000)
    assert decisions and held_bytes(gate) - before < 2000


@pytest.mark.parametrize("wrong", [np.zeros((2, 2, 2, 2, 2), np.float32), np.zeros((0, 0, 3), np.float32), None])
def test_what_a_gate_with_a_promise_fails_on_is_kept_and_not_learned_from(gate, inputs, wrong):
    if gate.accuracy is None:
        return
    run(gate, inputs, 3)
    decision = gate.decide(wrong, 0.3)
    assert decision.keep and decision.learn is None and not decision.answers and decision.score is None
    assert gate.decide(inputs[0], 0.4).score is not None


def test_it_has_a_substitute_for_every_model(gate):
    for model, output in OUTPUTS.items():
        found = gate.substitute(model, output)
        assert found.origin in ("skipped", "reused", "local") and 0.0 <= found.confidence <= 1.0
        if found.value is not None:
            assert np.array_equal(output.check(found.value), found.value)
        assert not found.trusted or found.confidence > 0
    for output in SPECS.values():
        assert gate.substitute("stranger", output) == Substitute()


def test_it_says_what_was_lost_of_what_it_promises(gate):
    random = np.random.default_rng(3)
    exact = {name: output_of(spec, random) for name, spec in OUTPUTS.items()}
    substitutes = {name: gate.substitute(name, output) for name, output in OUTPUTS.items()}
    learnt = [name for name, each in substitutes.items() if each.confidence > 0]
    assert gate.lost({}, {"stranger": exact["stranger"]}, OUTPUTS) is None
    if gate.accuracy is None:
        assert gate.lost({}, exact, OUTPUTS) is None
        return
    assert learnt and gate.lost({}, exact, OUTPUTS) == 0.0, "every model ran"
    for _ in range(20):
        answers = {
            name: replace(each, value=output_of(OUTPUTS[name], random) if each.value is None else each.value)
            for name, each in substitutes.items()
        }
        lost = gate.lost(answers, exact, OUTPUTS)
        assert lost is not None and 0.0 <= lost <= 1.0
        assert lost == gate.lost({name: answers[name] for name in learnt}, exact, OUTPUTS), "others are not its promise"


def test_it_closes_twice(gate, inputs):
    run(gate, inputs, 5)
    gate.close()
    gate.close()
