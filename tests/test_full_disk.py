"""A disk that is full: one line that names the file, and nothing left behind but what can go on."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.files import replacing
from infilink.models.cost import ModelCost
from infilink.models.spec import parse_spec
from infilink.settings import write_settings
from infilink.traces.callables import record_callables
from infilink.traces.import_log import LoggedModels, import_outputs
from infilink.traces.log_table import Logged
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

FULL = "can't be written: the disk is full"
SPEC = parse_spec({"name": "h", "input": {"size": [8, 8]}, "output": {"kind": "scalar"}}, where="h")
INFO = TraceInfo("made up", 1.0, {"h": SPEC}, {"h": "d"}, {"h": ModelCost(1 << 20, 0.01, 0.1)}, input="array")


@contextmanager
def room_for_each_file(size_bytes: int) -> Iterator[None]:
    """No file grows beyond a size, as on a disk that has no more room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write(path: Path, *, rows: int, row_bytes: int = 5000) -> None:
    with TraceWriter(path, INFO) as writer:
        for sequence in range(writer.last_sequence + 1, writer.last_sequence + 1 + rows):
            writer.append(sequence, float(sequence), bytes(row_bytes), {"h": np.zeros(1, np.float32)})


def test_a_trace_keeps_what_it_has_and_goes_on(tmp_path):
    path = tmp_path / "a.trace"
    with room_for_each_file(500_000), pytest.raises(InvalidInput, match=rf"a\.trace: {FULL}; make room"):
        write(path, rows=200)
    assert [each.name for each in tmp_path.iterdir()] == ["a.trace"], "one plain file"
    with Trace(path) as trace:
        kept = len(trace)
        assert kept == 64 and len(trace.outputs("h")) == kept
    write(path, rows=10)
    with Trace(path) as trace:
        assert trace.sequences.tolist() == list(range(kept + 10))


def test_a_trace_that_finds_no_room_for_its_last_inputs_says_so(tmp_path):
    path = tmp_path / "a.trace"
    with room_for_each_file(300_000), pytest.raises(InvalidInput, match=FULL):
        write(path, rows=60)
    with Trace(path) as trace:
        assert len(trace) == 32
    assert [each.name for each in tmp_path.iterdir()] == ["a.trace"]


@pytest.mark.parametrize("size_bytes", [5_000, 100_000], ids=["for nothing", "for no input"])
def test_a_trace_that_holds_nothing_is_not_left_behind(tmp_path, size_bytes):
    with room_for_each_file(size_bytes), pytest.raises(InvalidInput, match=FULL):
        write(tmp_path / "a.trace", rows=40)
    assert not list(tmp_path.iterdir())


def test_an_import_leaves_nothing(tmp_path):
    inputs, out = [np.zeros((64, 64), np.float32)] * 20, tmp_path / "new" / "a.trace"
    with room_for_each_file(100_000), pytest.raises(InvalidInput, match=rf"new/a\.trace: {FULL}"):
        record_callables(inputs, {"h": (SPEC, lambda array: array.mean().reshape(1))}, out, keep="array")
    assert not list(out.parent.iterdir())
    logged = Logged("log.csv", list(range(20)), {"h": [np.zeros(1, np.float32)] * 20}, inputs)
    with room_for_each_file(100_000), pytest.raises(InvalidInput, match=rf"a\.trace: {FULL}"):
        import_outputs(logged, LoggedModels.of({"h": SPEC}), out)
    assert not list(out.parent.iterdir())


def test_a_configuration_leaves_nothing(tmp_path):
    with room_for_each_file(100), pytest.raises(InvalidInput, match=rf"cloud\.toml: {FULL}"):
        write_settings(tmp_path / "cloud.toml", "# much\n" * 1000)
    assert not list(tmp_path.iterdir())


def test_what_stood_there_before_stays(tmp_path):
    path = tmp_path / "filter.onnx"
    path.write_bytes(b"old")

    def write_much() -> None:
        with replacing(path) as part:
            part.with_name(f"{part.name}-wal").write_bytes(b"log")
            part.write_bytes(bytes(1000))

    with room_for_each_file(100), pytest.raises(InvalidInput, match=FULL):
        write_much()
    assert path.read_bytes() == b"old" and [each.name for each in tmp_path.iterdir()] == ["filter.onnx"]
