from pathlib import Path

import cv2
import numpy as np
import pytest
from infilink.codec import pack
from infilink.device.record import record
from infilink.errors import InvalidInput
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest, find_models
from infilink.traces.trace import Trace

from ..models.test_external_data import write_big

FPS = 10


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> str:
    """Three seconds; the left half says the frame's number, so no two frames are alike."""
    path = tmp_path_factory.mktemp("video") / "steps.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (64, 48))
    for number in range(3 * FPS):
        image = np.full((48, 64, 3), 60, np.uint8)
        image[:, :32] = 7 * number
        writer.write(image)
    writer.release()
    return str(path)


@pytest.fixture(scope="module")
def models(tiny_models: Path) -> dict[str, Path]:
    return find_models(tiny_models)


def content(path: Path) -> list[object]:
    """Everything of a recording that another run must repeat: not the costs."""
    with Trace(path) as trace:
        values = {name: [pack(value) for value in trace.outputs(name)] for name in trace.models}
        kept = trace.info.source, trace.info.fps, trace.models, trace.info.digests, trace.info.every
        return [kept, trace.sequences.tolist(), trace.captured_s.tolist(), list(trace.payloads()), values]


@pytest.fixture(scope="module")
def two_seconds(tmp_path_factory, video: str, models: dict[str, Path]) -> Path:
    out = tmp_path_factory.mktemp("trace") / "new" / "two.trace"
    assert record(video, models, out, seconds=2).added == 2 * FPS
    return out


def test_inputs_and_outputs_are_aligned(two_seconds: Path, video: str, models: dict[str, Path]) -> None:
    with Trace(two_seconds) as trace:
        assert trace.sequences.tolist() == list(range(2 * FPS))
        assert trace.captured_s == pytest.approx(trace.sequences / FPS)
        assert (trace.info.source, trace.info.fps, trace.info.every) == (video, FPS, 1)
        assert trace.info.digests == {name: digest(path) for name, path in models.items()}
        assert all(cost.memory_bytes > 2**20 and cost.infer_s > 0 for cost in trace.info.costs.values())
        for name, path in models.items():
            model = OnnxModel(path)
            assert all(map(np.array_equal, map(model.infer, trace.frames()), trace.outputs(name)))
        said = [float(value[0]) for value in trace.outputs("bright")]
        assert said == pytest.approx([(60 + 7 * number) / 2 for number in range(2 * FPS)], abs=3)


def test_one_second_and_then_two_are_the_same_as_two_at_once(
    tmp_path: Path, two_seconds: Path, video: str, models: dict[str, Path]
) -> None:
    out, told = tmp_path / "resumed.trace", []
    first = record(video, models, out, seconds=1)
    assert (first.inputs, first.added) == (FPS, FPS)
    second = record(video, models, out, seconds=2, progress=lambda share, text: told.append((share, text)))
    assert (second.path, second.inputs, second.added) == (out, 2 * FPS, FPS)
    assert content(out) == content(two_seconds)
    assert not any(text.startswith("measuring") for _, text in told), "the costs are known already"
    assert told == sorted(told) and told[-1][0] == 1.0
    assert record(video, models, out, seconds=2).added == 0


def test_one_of_every_so_many_frames(tmp_path: Path, two_seconds: Path, video: str, models: dict[str, Path]) -> None:
    out = tmp_path / "third.trace"
    assert record(video, {"bright": models["bright"]}, out, seconds=2, every=3).inputs == 7
    with Trace(out) as trace, Trace(two_seconds) as whole:
        assert trace.sequences.tolist() == list(range(0, 20, 3))
        assert trace.info.every == 3
        assert list(trace.payloads()) == list(whole.payloads())[::3]
    with pytest.raises(InvalidInput, match="every 3, not 1"):
        record(video, {"bright": models["bright"]}, out, seconds=2)
    with pytest.raises(InvalidInput, match="every is 0: it must be at least 1"):
        record(video, models, out, every=0)


def test_a_recording_may_begin_within_the_source(
    tmp_path: Path, two_seconds: Path, video: str, models: dict[str, Path]
) -> None:
    out, told = tmp_path / "later.trace", []
    one = {"bright": models["bright"]}
    record(video, one, out, start_s=1, seconds=0.5, progress=lambda share, _text: told.append(share))
    assert told[1:] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0]), "of what is recorded, not of the source"
    with Trace(out) as trace, Trace(two_seconds) as whole:
        assert trace.sequences.tolist() == list(range(10, 15))
        assert list(trace.payloads()) == list(whole.payloads())[10:15]


def test_a_recording_goes_on_from_its_own_start_only(tmp_path: Path, video: str, models: dict[str, Path]) -> None:
    out, one = tmp_path / "later.trace", {"bright": models["bright"]}
    record(video, one, out, start_s=1, seconds=0.3)
    before = content(out)
    with pytest.raises(InvalidInput, match=r"recorded with start_s 1.0, not 0.0"):
        record(video, one, out, seconds=3)
    assert content(out) == before
    assert record(video, one, out, start_s=1.0, seconds=0.5).added == 2


def test_other_models_do_not_go_into_the_same_trace(tmp_path: Path, video: str, models: dict[str, Path]) -> None:
    out = tmp_path / "a.trace"
    record(video, {"bright": models["bright"]}, out, seconds=0.3)
    before = content(out)
    with pytest.raises(InvalidInput, match="recorded with digests"):
        record(video, {"light": models["light"]}, out, seconds=0.5)
    assert content(out) == before


def test_a_source_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path, models: dict[str, Path]) -> None:
    broken, out = tmp_path / "broken.mp4", tmp_path / "new" / "a.trace"
    broken.write_bytes(b"no video at all" * 100)
    for source in (broken, tmp_path / "none.mp4"):
        with pytest.raises(InvalidInput, match=source.name):
            record(str(source), models, out)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_model_that_cannot_be_loaded_leaves_no_trace_behind(tmp_path: Path, video: str) -> None:
    bad, out = tmp_path / "bad.onnx", tmp_path / "a.trace"
    bad.write_text("no model")
    bad.with_suffix(".toml").write_text('[input]\nsize = [16, 16]\n[output]\nkind = "scalar"\n')
    with pytest.raises(InvalidInput, match=r"bad.onnx: not an ONNX model"):
        record(video, {"bad": bad}, out)
    assert not out.exists()


def test_another_spec_or_other_weights_beside_the_model_are_another_recording(tmp_path: Path, video: str) -> None:
    path = write_big(tmp_path / "net.onnx", [1, 2, 3])
    out = tmp_path / "a.trace"
    record(video, {"net": path}, out, seconds=0.3)
    write_big(path, [4, 5, 6])
    with pytest.raises(InvalidInput, match="was recorded with digests"):
        record(video, {"net": path}, out, seconds=0.6)
    write_big(path, [1, 2, 3])
    beside = path.with_suffix(".toml")
    beside.write_text(beside.read_text() + "[decoder]\nname = 'sigmoid'\n")
    with pytest.raises(InvalidInput, match="was recorded with another spec of net than it has now"):
        record(video, {"net": path}, out, seconds=0.6)
    write_big(path, [1, 2, 3])
    assert record(video, {"net": path}, out, seconds=0.6).added == 3
