"""A stream that is no camera's: filter, audit and results as of any other; its form has to be what was learnt from."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.results_read import Results
from infilink.device.stream_run import StreamRun
from infilink.errors import InvalidInput
from infilink.filters.learnt_from import LearntFrom
from infilink.filters.modalities.signal import Signal
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.payload import open_payload
from infilink.models.spec import parse_spec
from infilink.protos import edge_pb2
from infilink.protos.arrays import write_array

from ..filters.made import write_mean
from .coordinator import Coordinator

WALK = InputForm(modality="signal", rate_hz=32, window=8, stride=8, channels=("x", "y"))
CLASSES = ("dull", "bright")
LEVELS = (0.0, 2.0, 0.0, 0.0, 3.0, 0.0)
"""Of the windows: those above BRIGHT are bright."""


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    rows = [f"{i / 32:.5f},{level},{level}" for i, level in enumerate(np.repeat(LEVELS, 8))]
    path = tmp_path / "walk.csv"
    path.write_text("\n".join(["time_s,x,y", *rows]) + "\n")
    return path


def read(message: edge_pb2.Input) -> np.ndarray:
    opened = open_payload(message.encoding, message.payload, WALK)
    value = np.zeros(opened.shape, opened.dtype)
    opened.read(value)
    return value


def label_of(message: edge_pb2.Input) -> edge_pb2.CoordinatorMessage:
    scores = np.asarray([0.0, 1.0] if read(message).mean() > 1 else [1.0, 0.0], np.float32)
    output = edge_pb2.Output(model="h", digest="d", kind="label", origin=edge_pb2.ORIGIN_EXECUTED)
    write_array(output, scores)
    return edge_pb2.CoordinatorMessage(result=edge_pb2.Result(sequence=message.sequence, outputs=[output]))


@pytest.fixture
def coordinator(start_coordinator: Callable[..., Coordinator]) -> Coordinator:
    fed = {"modality": "signal", "channels": ["x", "y"], "rate_hz": 32, "steps": 8}
    spec = parse_spec({"name": "h", "input": fed, "output": {"kind": "label", "classes": list(CLASSES)}}, where="test")
    started = start_coordinator({"h": spec}, answer=label_of)
    started.welcome.modalities.append("signal")
    started.welcome.digests["h"] = "d"
    return started


@pytest.fixture
def make_run(coordinator: Coordinator, walk: Path, tmp_path: Path) -> Callable[..., StreamRun]:
    def make(*, form: InputForm = WALK, window: int = 8, **settings: object) -> StreamRun:
        learnt = LearntFrom(source="walk", inputs=9, first_s=0, last_s=2, step_s=0.25, form=form)
        modality = Signal(steps=8, mean=(0.0, 0.0), scale=(1.0, 1.0))
        gate = write_mean(tmp_path / "f.onnx", modality, learnt_from=learnt)
        values = {"name": "arm", "source": f"csv:{walk}", "pace": "max", "queue": "all", "gate": str(gate)}
        values |= {"coordinator": coordinator.address, "results": tmp_path / "r.sqlite"}
        values |= {"cut": {"window": window, "stride": window, "rate_hz": 32}}
        return StreamRun(DeviceConfig.model_validate(values | settings), name="wrist")

    return make


def test_a_filter_decides_on_windows_of_a_signal(
    make_run: Callable[..., StreamRun], coordinator: Coordinator, tmp_path: Path
) -> None:
    summary = make_run(audit=0.0).run()
    assert (summary.frames, summary.kept, summary.answered) == (len(LEVELS), 2, 2)
    connection = coordinator.connection()
    assert InputForm.model_validate_json(connection.hello.form) == WALK and connection.hello.stream == "wrist"
    first = connection.input()
    assert first.sequence == 1 and first.encoding == edge_pb2.ENCODING_ARRAY and first.score == pytest.approx(2.0)
    np.testing.assert_array_equal(read(first), np.full((8, 2), 2.0, np.float32))
    with Results(tmp_path / "r.sqlite") as results:
        assert results.kept == [level > 1 for level in LEVELS]
        assert [value.argmax() for value in results.served("h")] == [int(level > 1) for level in LEVELS]
        assert results.origins("h") == ["executed" if level > 1 else "skipped" for level in LEVELS]
        assert results.captured_s[1] == pytest.approx(15 / 32)


def test_what_it_does_not_send_is_audited(make_run: Callable[..., StreamRun]) -> None:
    summary = make_run(audit=1.0).run()
    assert (summary.kept, summary.answered, summary.audited) == (len(LEVELS), len(LEVELS), len(LEVELS) - 2)
    assert summary.audit_error == 0.0 and summary.certified


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"form": WALK.model_copy(update={"window": 16, "stride": 16})}, "window is 8 here, and was 16 in training"),
        ({"form": WALK.model_copy(update={"rate_hz": 50.0})}, "rate_hz is 32 here, and was 50 in training"),
        ({"gate": "difference:0.1"}, "compares pictures, and this source gives signal"),
        ({"mask": [[(0, 0), (1, 0), (1, 1)]]}, "`mask` blackens parts of pictures"),
        ({"encoding": "flac"}, "inputs of signal travel as auto, int16, int8, raw"),
        ({"send": "ask", "stem": "stem.onnx"}, "a stem makes features of pictures, not of signal"),
        ({"head": "head.onnx"}, "`head` is a part of a model that sees pictures"),
        ({"window": 999}, "a window of 999 .* is longer than all there is"),
    ],
)
def test_what_is_not_for_such_inputs_is_refused_before_anything_is_sent(
    make_run: Callable[..., StreamRun], coordinator: Coordinator, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        make_run(**settings).run()
    assert coordinator._connections.empty()


def test_numbers_that_travel_in_fewer_bits_are_less(make_run: Callable[..., StreamRun]) -> None:
    sent = {encoding: make_run(audit=1.0, encoding=encoding).run().sent_bytes for encoding in ("raw", "int16", "int8")}
    assert sent["int8"] < sent["int16"] < sent["raw"], json.dumps(sent)
