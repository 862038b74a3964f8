from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from infilink.codec import pack
from infilink.device.mask import read_masks
from infilink.device.record import LiveTimes, record
from infilink.errors import BadOutput, InvalidInput, Unavailable
from infilink.models.cost import ModelCost
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import digest, find_models, parse_spec, write_spec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter
from onnx import helper

from ..clips import Stream, write_clip
from ..conftest import INPUT, SPECS, mean, save_graph
from ..models.test_external_data import write_big

FPS = 10
SPEC = parse_spec({"name": "h", "input": {"size": [8, 8]}, "output": {"kind": "scalar"}}, where="h")
INFO = TraceInfo("made up", 10.0, {"h": SPEC}, {"h": "d"}, {"h": ModelCost(1 << 20, 0.01, 0.1)}, input="none")


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


def not_on_black(path: Path) -> Path:
    """A model that gives the frame's mean, and NaN where that is 0."""
    ratio = helper.make_node("Div", ["mean", "mean"], ["one"])
    nodes = [mean(), ratio, helper.make_node("Mul", ["mean", "one"], ["out"])]
    save_graph(path, nodes, [], [1])
    write_spec(path, parse_spec({"name": path.stem, "input": INPUT, **SPECS["bright"]}, where=path.stem))
    return path


def clip_with_black_frames(path: Path, black: Sequence[int]) -> str:
    """An AVI of 20 pictures, each stored as it is."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr24"
        for number in range(20):
            image = np.full((48, 64, 3), 0 if number in black else 100 + number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return str(path)


@pytest.mark.parametrize("black", [(0, 1, 2, 3, 4, 11), (7, 18, 19)], ids=["the first", "the last"])
def test_inputs_for_which_a_model_gives_nothing_usable_are_left_out(
    tmp_path: Path, models: dict[str, Path], black: Sequence[int], caplog: pytest.LogCaptureFixture
) -> None:
    source = clip_with_black_frames(tmp_path / "a.avi", black)
    out, chosen = tmp_path / "a.trace", {"bright": models["bright"], "shy": not_on_black(tmp_path / "shy.onnx")}
    done = record(source, chosen, out)
    assert (done.inputs, done.added, done.left_out) == (20 - len(black), 20 - len(black), len(black))
    with Trace(out) as trace:
        assert trace.sequences.tolist() == [number for number in range(20) if number not in black]
        assert all(np.isfinite(value).all() for value in trace.outputs("shy"))
    assert caplog.text.count("shy: ") == 1 and "this input is left out" in caplog.text
    again = record(source, chosen, out)
    assert (again.inputs, again.added, again.left_out) == (done.inputs, 0, len(black))


def test_a_model_that_never_gives_anything_usable_ends_the_recording(tmp_path: Path) -> None:
    source = clip_with_black_frames(tmp_path / "a.avi", range(20))
    with pytest.raises(BadOutput, match="shy"):
        record(source, {"shy": not_on_black(tmp_path / "shy.onnx")}, tmp_path / "a.trace")
    assert not (tmp_path / "a.trace").exists()


def test_a_live_source_s_times_count_from_the_recording_s_beginning(tmp_path: Path, models: dict[str, Path]) -> None:
    content = write_clip(tmp_path / "s.ts", frames=12, bf="0").read_bytes()
    out = tmp_path / "live.trace"
    with Stream(content) as stream:
        for turn in (1, 2):
            with pytest.raises(Unavailable, match="the stream ended"):
                record(stream.address, {"bright": models["bright"]}, out)
            with Trace(out) as trace:
                assert (trace.info.source, trace.info.times) == (stream.address, "read")
                assert trace.captured_s[0] == 0 and (np.diff(trace.captured_s) >= 0).all()
                assert trace.sequences.tolist() == list(range(12 * turn))


def test_times_rise_over_a_restart_of_the_machine(tmp_path: Path) -> None:
    def times(unix_s: float, monotonic_s: float, arrivals: list[float]) -> list[float]:
        with TraceWriter(tmp_path / "live.trace", INFO) as writer:
            clock = LiveTimes(writer, step_s=0.1, unix_s=lambda: unix_s, monotonic_s=lambda: monotonic_s)
            found = [clock.since_the_beginning(arrival) for arrival in arrivals]
            for time_s in found:
                writer.append(writer.last_sequence + 1, time_s, b"", {"h": np.zeros(1, np.float32)})
        return found

    assert times(1e9, 500_000.0, [500_000.0, 500_001.5]) == pytest.approx([0.0, 1.5])
    # A minute later by the calendar the machine has just been started.
    assert times(1e9 + 60, 20.0, [20.0, 20.5]) == pytest.approx([60.0, 60.5])
    # A machine that does not know what day it is.
    assert times(0.0, 5.0, [5.0, 5.5]) == pytest.approx([60.6, 61.1])
    assert times(1e9 + 100, 30.0, [30.0]) == pytest.approx([100.0])


def test_a_recording_of_a_live_source_that_an_older_version_began_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "live.trace"
    with TraceWriter(out, INFO) as writer:
        writer.append(0, 500_000.0, b"", {"h": np.zeros(1, np.float32)})
    for unix_s, expected in ((1e9, 500_000.1), (1e9 + 50, 500_050.1)):
        with TraceWriter(out, INFO) as writer:
            clock = LiveTimes(writer, step_s=0.1, unix_s=iter([unix_s]).__next__, monotonic_s=lambda: 7.0)
            assert clock.since_the_beginning(7.0) == pytest.approx(expected)


def test_a_password_is_not_kept_and_another_one_is_no_other_source(tmp_path: Path) -> None:
    out = tmp_path / "a.trace"
    for secret in ("hush", "mum"):
        with TraceWriter(out, replace(INFO, source=f"rtsp://user:{secret}@camera/1")) as writer:
            writer.append(writer.last_sequence + 1, 0.0, b"", {"h": np.zeros(1, np.float32)})
    with Trace(out) as trace:
        assert len(trace) == 2 and trace.info.source == "rtsp://camera/1"
    assert b"hush" not in out.read_bytes() and b"user" not in out.read_bytes()


def test_what_the_agent_masks_is_black_in_a_recording_too(tmp_path: Path, video: str, models: dict[str, Path]) -> None:
    settings = tmp_path / "device.toml"
    settings.write_text(
        'name = "hall"\n[streams.door]\nmask = [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]\n[streams.yard]\n'
    )
    masks = read_masks(settings, ["door"])
    record(video, models, tmp_path / "door.trace", seconds=1, mask=masks["door"])
    record(video, models, tmp_path / "yard.trace", seconds=1)
    with Trace(tmp_path / "door.trace") as door, Trace(tmp_path / "yard.trace") as yard:
        for masked, whole in zip(door.frames(), yard.frames(), strict=True):
            quarter = masked.shape[1] // 4
            assert masked[:, :quarter].max() < 8
            assert masked[:, -quarter:].mean() == pytest.approx(whole[:, -quarter:].mean(), abs=1)
    with pytest.raises(InvalidInput, match="another mask"):
        record(video, models, tmp_path / "door.trace", seconds=2)
    with pytest.raises(InvalidInput, match="has no `mask` for yard"):
        read_masks(settings, ["yard"])
