"""Python functions as models: aligned, resumable, one input at a time."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.errors import InvalidInput, ModelFailed
from infilink.models.cost import ModelCost
from infilink.outputs import Array
from infilink.traces.callables import record_callables
from infilink.traces.import_log import ASSUMED_COST
from infilink.traces.trace import Trace

SCALAR = {"output": {"kind": "scalar"}}


def frames(count: int) -> Iterator[Array]:
    for i in range(count):
        yield np.full((16, 24, 3), 10 * i, np.uint8)


def mean(value: Any) -> list[float]:
    return [float(np.mean(value))]


def test_functions_see_what_is_kept(tmp_path: Path) -> None:
    seen = []

    def watch(frame: Array) -> Array:
        seen.append(frame.copy())
        return np.asarray([frame.mean()], np.float32)

    cost = ModelCost(7, 0.5, 0.25)
    done = record_callables(
        frames(6), {"mean": (SCALAR, watch)}, tmp_path / "a.trace", step_s=0.25, costs={"mean": cost}
    )
    assert (done.inputs, done.added) == (6, 6)
    with Trace(tmp_path / "a.trace") as trace:
        assert (trace.info.input, trace.info.fps, trace.info.costs) == ("image", 4.0, {"mean": cost})
        assert trace.captured_s.tolist() == [0, 0.25, 0.5, 0.75, 1.0, 1.25]
        assert all(map(np.array_equal, trace.frames(), seen))
        assert [float(value[0]) for value in trace.outputs("mean")] == [float(frame.mean()) for frame in seen]


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    called: list[int] = []

    def fragile(frame: Array) -> list[float]:
        called.append(round(float(frame.mean())))
        if len(called) == 8:
            raise RuntimeError("the service is down")
        return mean(frame)

    models = {"a": (SCALAR, mean), "fragile": (SCALAR, fragile)}
    with pytest.raises(ModelFailed, match="input 7: fragile: RuntimeError: the service is down"):
        record_callables(frames(12), models, tmp_path / "a.trace")
    told: list[int] = []
    again = record_callables(frames(12), models, tmp_path / "a.trace", progress=told.append)
    assert (again.inputs, again.added) == (12, 5)
    assert called == [0, 10, 20, 30, 40, 50, 60, 70, 70, 80, 90, 100, 110]
    assert told == [8, 9, 10, 11, 12]
    record_callables(frames(12), dict.fromkeys(models, (SCALAR, mean)), tmp_path / "whole.trace")
    with Trace(tmp_path / "a.trace") as resumed, Trace(tmp_path / "whole.trace") as whole:
        assert list(resumed.payloads()) == list(whole.payloads())
        assert resumed.sequences.tolist() == whole.sequences.tolist()
        assert all(map(np.array_equal, resumed.outputs("fragile"), whole.outputs("fragile")))
    assert record_callables(frames(12), models, tmp_path / "a.trace").added == 0


def test_another_recording_is_not_gone_on_with(tmp_path: Path) -> None:
    record_callables(frames(3), {"a": (SCALAR, mean)}, tmp_path / "a.trace")
    with pytest.raises(InvalidInput, match="was recorded with digests"):
        record_callables(frames(3), {"a": ({**SCALAR, "version": "2"}, mean)}, tmp_path / "a.trace")


def test_one_input_is_held_at_a_time(tmp_path: Path) -> None:
    class Held:
        alive = 0
        most = 0

        def __init__(self) -> None:
            Held.alive += 1
            Held.most = max(Held.most, Held.alive)

        def __del__(self) -> None:
            Held.alive -= 1

    gc.collect()
    record_callables((Held() for _ in range(200)), {"a": (SCALAR, lambda _: [1.0])}, tmp_path / "a.trace")
    # The first is looked at for its kind, the second is timed.
    assert Held.most <= 4
    with Trace(tmp_path / "a.trace") as trace:
        assert (trace.info.input, len(trace)) == ("none", 200)


def test_texts_and_arrays_are_kept_as_arrays(tmp_path: Path) -> None:
    record_callables(["héllo", "a"], {"a": (SCALAR, lambda text: [float(len(text))])}, tmp_path / "texts")
    sounds = [np.arange(i + 2, dtype=np.int16) for i in range(3)]
    record_callables(sounds, {"a": (SCALAR, mean)}, tmp_path / "sounds", captured_s=[1, 2, 4])
    with Trace(tmp_path / "texts") as texts, Trace(tmp_path / "sounds") as heard:
        assert [bytes(value).decode() for value in texts.inputs()] == ["héllo", "a"]
        assert [float(value[0]) for value in texts.outputs("a")] == [5, 1]
        assert all(map(np.array_equal, heard.inputs(), sounds))
        assert heard.captured_s.tolist() == [1, 2, 4]


def test_what_a_model_takes_is_measured_and_its_memory_assumed(tmp_path: Path) -> None:
    record_callables(frames(3), {"a": (SCALAR, mean)}, tmp_path / "a.trace", keep="none")
    with Trace(tmp_path / "a.trace") as trace:
        assert trace.info.costs["a"].memory_bytes == ASSUMED_COST.memory_bytes
        assert 0 < trace.info.costs["a"].infer_s != ASSUMED_COST.infer_s
        assert trace.info.notes == {"costs assumed": "a"}
        assert list(trace.payloads()) == [b""] * 3


@pytest.mark.parametrize(
    ("inputs", "options", "complaint"),
    [
        ([], {}, "gave no input"),
        ([1, 2], {"captured_s": [1.0]}, "`captured_s` ends before `inputs`"),
        ([1, 2], {"captured_s": [1.0, 2.0, 3.0]}, "`captured_s` goes on after `inputs`"),
        ([1, 2], {"captured_s": [1.0, 1.0]}, "input 1 has time 1 s after 1 s: times must rise"),
        ([1, 2], {"step_s": 0}, "step_s must be above 0"),
        ([np.zeros(3), "text", object()], {}, "input 2 is no array"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros(3)], {}, "input 1 is no frame"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    tmp_path: Path, inputs: list[Any], options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        record_callables(inputs, {"a": (SCALAR, lambda _: [1.0])}, tmp_path / "a.trace", **options)


def test_an_output_that_does_not_fit_names_the_input_and_the_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"input 0: a: a scalar output must have shape \(1,\)"):
        record_callables([1], {"a": (SCALAR, lambda _: [1.0, 2.0])}, tmp_path / "a.trace")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nothing", [None, [float("nan")], [float("inf")]])
def test_an_input_without_a_usable_output_is_left_out_and_a_second_call_goes_on_behind_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, nothing: object
) -> None:
    seen: list[int] = []

    def answer(value: int) -> object:
        seen.append(value)
        return nothing if value in (1, 3) else [value]

    models = {"a": ({"output": {"kind": "scalar"}}, answer)}
    done = record_callables(range(4), models, tmp_path / "a.trace", keep="none")
    assert (done.inputs, done.added, done.left_out) == (2, 2, 2)
    assert sum("it is left out, as all others like it" in record.getMessage() for record in caplog.records) == 1
    again = record_callables(range(6), models, tmp_path / "a.trace", keep="none")
    assert (again.inputs, again.added, again.left_out) == (4, 2, 2) and seen == [0, 1, 2, 3, 4, 5]
    with Trace(tmp_path / "a.trace") as trace:
        assert trace.sequences.tolist() == [0, 2, 4, 5]
