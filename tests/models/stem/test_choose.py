"""Which stem is chosen: the one that tells most of what the models say, within the limit; and why there is none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.spec import digest
from infilink.models.stem.choose import CELLS, WHOLE, choose_stem
from infilink.models.stem.cut import save_stem
from infilink.models.stem.judge import Judge, Stream
from infilink.models.stem.stem import Stem
from infilink.outputs import Array, OutputSpec

from . import made

COUNT = OutputSpec(kind="scalar")
INPUTS = 60


def stream(seed: int = 0) -> Stream:
    """Bright squares come and go; a model says how many there are."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 4, INPUTS)

    def frames() -> Iterator[Array]:
        for i, count in enumerate(counts):
            frame = np.full((96, 160, 3), 60, np.uint8)
            for k in range(count):
                frame[20 + (i % 7) : 50, 10 + 40 * k : 35 + 40 * k] = 220
            yield frame

    return Stream("squares", frames, {"counter": [np.asarray([n], np.float32) for n in counts]}, {"counter": COUNT})


def test_the_chosen_stem_is_written_with_where_it_comes_from(tmp_path: Path) -> None:
    path = made.plain(tmp_path / "model.onnx", metadata={"license": "Apache-2.0", "url": "https://example.org/model"})
    done = choose_stem({"model": path}, [stream()], latency_ms=1000.0, slowdown=2.0, device="door")
    save_stem(tmp_path / "stem.onnx", done.graph, done.spec)
    stem = Stem(tmp_path / "stem.onnx")
    assert (stem.spec.model, stem.spec.digest, done.measured_on) == ("model", digest(path), "door")
    assert (stem.spec.licence, stem.spec.source) == ("Apache-2.0", "https://example.org/model; made 1.2.3")
    seen = stem.see(next(iter(stream().frames())))
    assert seen.features.shape == (stem.spec.length,) and stem.spec.length <= WHOLE + CELLS
    assert seen.places.shape == stem.spec.places
    marks = [row.mark for row in done.tried if row.mark is not None]
    assert marks == sorted(marks, reverse=True) and marks[0] > 0.8


def test_what_is_too_slow_is_said_with_what_would_fit(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no stem takes 0.0001 ms or less: the fastest, of model at 160x96, takes"):
        choose_stem({"model": made.plain(tmp_path / "model.onnx")}, [stream()], latency_ms=1e-4)


def test_a_model_without_a_map_is_named_and_the_next_is_taken(tmp_path: Path) -> None:
    paths = {
        "transformer": made.fixed_positions(tmp_path / "transformer.onnx"),
        "plain": made.plain(tmp_path / "plain.onnx"),
    }
    done = choose_stem(paths, [stream()], latency_ms=1000.0)
    assert done.spec.model == "plain" and "fixed positions" in done.nothing["transformer"]
    with pytest.raises(InvalidInput, match=r"no model offers a stem \(transformer: has no map that may serve"):
        choose_stem({"transformer": paths["transformer"]}, [stream()], latency_ms=1000.0)


def test_the_judge_marks_what_tells_above_what_does_not() -> None:
    streams = [stream(0), stream(1)]
    random = np.random.default_rng(0)
    counts = [np.stack(list(each.outputs["counter"])) for each in streams]
    noise = [random.normal(size=(INPUTS, 5)) for _ in streams]
    judge = Judge(streams)
    assert judge.mark(counts) > 0.99
    assert abs(judge.mark(noise)) < 0.3
    both = [np.concatenate(each, axis=1) for each in zip(noise, counts, strict=True)]
    assert int(judge.telling(both).argmax()) == 5


def test_what_never_changes_says_nothing() -> None:
    still = Stream("still", list, {"counter": [np.asarray([3.0], np.float32)] * INPUTS}, {"counter": COUNT})
    assert Judge([still]).mark([np.random.default_rng(0).normal(size=(INPUTS, 4))]) == 0.0
