"""A filter that holds answers, with a stem: the models' own answer for the last kept input counts once it is there."""

import numpy as np
import pytest
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.gates.base import ModelOutput
from infilink.filters.gates.held_feed import AnswerNumbers, HeldFeed, output_numbers
from infilink.filters.gates.learned import FilterRuntime
from infilink.models.stem.stem import Stem
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

from ..conftest import train
from ..stems import write_stem


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


@pytest.fixture(scope="module")
def path(stem, trace_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("filter") / "filter.onnx"
    train(trace_path, out, "unchanged >= 1", models=("scene",), candidates=("stem",), stem=stem)
    return out


def said(place: int, digest: str = "d0") -> dict[str, ModelOutput]:
    return {"scene": ModelOutput(np.eye(3, dtype=np.float32)[place], digest)}


def frames_of(trace: Trace, place: int) -> list[int]:
    """The inputs with the square there."""
    return [i for i, each in enumerate(trace.outputs("scene")) if each.argmax() == place]


def test_another_answer_than_the_head_now_gives_is_stale(path, trace):
    frames, (then, now, *_) = list(trace.frames()), frames_of(trace, 1)
    scores = []
    for place in (1, 0):
        gate = FilterRuntime(path)
        first = gate.decide(frames[then], 0.0)
        assert first.keep and first.learn is not None
        first.learn(said(place))
        scores.append(gate.decide(frames[now], 0.1).score)
    assert scores[0] < scores[1]


def test_until_the_answer_is_there_what_the_head_said_stands_in(path, trace):
    gate, frame = FilterRuntime(path), next(trace.frames())
    assert isinstance(gate.feed, HeldFeed)
    first = gate.decide(frame, 0.0)
    repeated = gate.decide(frame, 0.1).score
    first.learn({"another": ModelOutput(np.zeros(3, np.float32), "d0")})
    assert gate.decide(frame, 0.1).score == pytest.approx(repeated, abs=1e-3)


def test_an_answer_that_comes_after_the_next_kept_input_is_of_no_use(path, trace):
    frames = list(trace.frames())
    at = [frames_of(trace, place)[0] for place in (1, 2)]
    gates = FilterRuntime(path), FilterRuntime(path)
    first = [gate.decide(frames[at[0]], 0.0) for gate in gates]
    # After so many seconds an input is kept in any case.
    assert all(gate.decide(frames[at[1]], 11.0).keep for gate in gates)
    assert first[0].learn is not None
    first[0].learn(said(1))
    assert gates[0].decide(frames[at[1]], 11.1).score == gates[1].decide(frames[at[1]], 11.1).score


def test_a_trace_is_judged_with_the_answers_that_come_back(path, trace_path):
    with Trace(trace_path) as trace:
        found = evaluate_filter(path, trace)
    assert found.accuracy >= 0.9 and found.rate > 0.6


@pytest.mark.parametrize(
    ("output", "value", "numbers"),
    [
        (OutputSpec(kind="boxes", classes=("a", "b")), np.asarray([[0, 0, 1, 1, 0.5, 1]] * 3, np.float32), [0, 3]),
        (OutputSpec(kind="label", classes=("a", "b")), np.asarray([0.25, 0.75], np.float32), [0.25, 0.75]),
        (OutputSpec(kind="count"), np.asarray([4.0], np.float32), [4]),
        (OutputSpec(kind="tokens", length=4), np.asarray([4, 5]), []),
        (OutputSpec(kind="mask"), np.ones((4, 4), np.float32), []),
    ],
)
def test_answers_as_numbers(output, value, numbers):
    assert output_numbers(output, value).tolist() == numbers


def test_some_numbers_of_some_models_are_compared():
    outputs = {"a": OutputSpec(kind="label", classes=("x", "y", "z")), "b": OutputSpec(kind="count")}
    numbers = AnswerNumbers(outputs, {"a": (0, 2), "b": (0,)})
    values = {"a": np.asarray([0.1, 0.2, 0.7]), "b": np.asarray([5.0])}
    assert numbers.length == 3 and numbers.of(values) == pytest.approx([0.1, 0.7, 5.0])
