"""What a filter's file knows of its training trace tells another camera, another rate, and the trace itself."""

import numpy as np
import pytest
from infilink.codec import encode_jpeg, pack
from infilink.filters.learnt_from import LearntFrom
from infilink.traces.trace import Trace, TraceInfo, TraceWriter


def write(path, frames, *, source="camera", step_s=0.1, start_s=0.0, arrays=False):
    """A trace of frames (or arrays) without models."""
    info = TraceInfo(source, 1 / step_s, {}, {}, {}, input="array" if arrays else "image")
    with TraceWriter(path, info) as writer:
        for i, frame in enumerate(frames):
            writer.append(i, start_s + i * step_s, pack(frame) if arrays else encode_jpeg(frame), {})
    return Trace(path)


def scene(seed, *, inputs=30, noise=0, size=(48, 64), light=1.0):
    """Frames of one scene with some noise: other noise is another time."""
    backdrop = np.random.default_rng(seed).integers(0, 220, (*size, 1)) * np.ones((1, 1, 3))
    random = np.random.default_rng(1000 + noise)
    return [
        (light * backdrop + random.normal(0, 2, backdrop.shape)).clip(0, 255).astype(np.uint8) for _ in range(inputs)
    ]


@pytest.fixture
def learnt(tmp_path):
    with write(tmp_path / "learnt", scene(0)) as trace:
        yield LearntFrom.of(trace)


def test_what_it_knows_goes_into_json(learnt):
    assert LearntFrom.model_validate_json(learnt.model_dump_json()) == learnt
    assert (learnt.source, learnt.inputs, learnt.size) == ("camera", 30, (64, 48))
    assert (learnt.first_s, learnt.last_s, learnt.step_s) == pytest.approx((0.0, 2.9, 0.1))
    assert len(learnt.model_dump_json()) < 4000


def test_another_time_of_the_same_camera_is_no_difference(learnt, tmp_path):
    with write(tmp_path / "t", scene(0, noise=1, light=0.7), start_s=100.0) as trace:
        assert learnt.differences(trace) == []


def test_the_trace_itself_is_told_under_any_name(learnt, tmp_path):
    with write(tmp_path / "t", scene(0), source="copy") as trace:
        assert "learnt from this trace" in learnt.differences(trace)[0]


def test_a_part_of_the_trace_is_told(learnt, tmp_path):
    with write(tmp_path / "t", scene(0)) as trace:
        assert any("learnt from this trace" in text for text in learnt.differences(trace.part(25, 30)))


def test_the_same_time_of_the_same_source_is_told(learnt, tmp_path):
    with write(tmp_path / "t", scene(0, noise=1), start_s=1.5) as trace:
        assert "the same time of the same source" in learnt.differences(trace)[0]


@pytest.mark.parametrize(
    ("frames", "said"),
    [(scene(7), "another camera, or it was moved"), (scene(0, noise=1, size=(24, 32)), "its pictures are 32x24")],
    ids=["scene", "size"],
)
def test_another_camera_is_told(learnt, tmp_path, frames, said):
    with write(tmp_path / "t", frames, start_s=100.0) as trace:
        assert [said in text for text in learnt.differences(trace)] == [True]


def test_two_files_of_one_camera_are_one_camera_and_two_addresses_are_two(tmp_path):
    with write(tmp_path / "a", scene(0), source="day1.mp4") as trace:
        file = LearntFrom.of(trace)
    with write(tmp_path / "b", scene(0), source="rtsp://hall/live") as trace:
        address = LearntFrom.of(trace)
    with write(tmp_path / "c", scene(0, noise=1), source="day2.mp4") as trace:
        assert file.differences(trace) == []
    with write(tmp_path / "d", scene(0, noise=1), source="rtsp://yard/live", start_s=50.0) as trace:
        assert "learnt from rtsp://hall/live, this is rtsp://yard/live" in address.differences(trace)[0]


def test_another_rate_is_told(learnt, tmp_path):
    with write(tmp_path / "t", scene(0, noise=1), start_s=100.0, step_s=0.2) as trace:
        assert learnt.differences(trace) == ["another rate: it was learnt at 10 inputs/s, this is 5 inputs/s"]
    with write(tmp_path / "u", scene(0, noise=1), start_s=100.0, step_s=0.14) as trace:
        assert learnt.differences(trace) == []


def test_inputs_that_are_no_pictures_are_known_by_what_they_hold(tmp_path):
    texts = [np.frombuffer(f"text {i % 7}".encode(), np.uint8) for i in range(40)]
    with write(tmp_path / "a", texts, arrays=True, step_s=1.0) as trace:
        learnt = LearntFrom.of(trace)
        assert learnt.size is None and learnt.picture == ""
        assert "learnt from this trace" in learnt.differences(trace)[0]
    # The same texts at other times are other inputs, although a log numbers them from 0 again.
    with write(tmp_path / "b", texts[3:] + texts[:3], arrays=True, step_s=1.0) as trace:
        assert learnt.differences(trace) == []
