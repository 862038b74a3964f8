"""A packet gate that is learnt from a clip and its trace: a square that comes and goes, as the codec's packets tell."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from infilink.cli import build_app
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput, NotCertified
from infilink.filters.packets.evaluate import KEYS, evaluate_packets
from infilink.filters.packets.held import HeldLosses, held_loss
from infilink.filters.packets.recording import read_packets
from infilink.filters.packets.spec import load_packets
from infilink.filters.packets.train import train_packets
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.losses import Losses
from infilink.models.cost import ModelCost
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from ..conftest import SPECS
from ..made import write_frames, write_packets

FPS = 10
FRAMES = 400


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A clip of 40 s, with key pictures each two seconds, and what `squares` says of it."""
    folder = tmp_path_factory.mktemp("packets")
    draw = np.random.default_rng(0)
    there, left = [], 0
    while len(there) < FRAMES:
        there += [bool(left)] * int(draw.integers(15, 60))
        left = 1 - left
    there = there[:FRAMES]
    info = TraceInfo(
        str(folder / "v.mp4"),
        FPS,
        {"squares": SPECS["squares"]},
        {"squares": "d0"},
        {"squares": ModelCost(memory_bytes=1 << 20, infer_s=0.01, load_s=0.1)},
    )
    backdrop = draw.integers(60, 120, (48, 64, 3)).astype(np.uint8)
    with av.open(str(folder / "v.mp4"), "w") as container, TraceWriter(folder / "v.trace", info) as writer:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "20", "bf": "0", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, is_there in enumerate(there):
            picture = backdrop.copy()
            if is_there:
                x = 5 + 2 * (number % 15)
                picture[10:30, x : x + 20] = 250
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            output = {"squares": np.asarray([is_there], np.float32)}
            writer.append(number, number / FPS, encode_jpeg(picture), output)
        container.mux(stream.encode(None))
    return folder


def test_packets_are_the_inputs_of_the_trace(place):
    with Trace(place / "v.trace") as trace:
        recording = read_packets(place / "v.mp4", trace)
    assert recording.inputs.tolist() == list(range(FRAMES)) and recording.starts.tolist() == list(range(0, FRAMES, 20))
    assert recording.group == 20 and recording.costs.key > recording.costs.reference
    other = place / "other.mp4"
    with av.open(str(other), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    with Trace(place / "v.trace") as trace, pytest.raises(InvalidInput, match="1 of the 400 inputs"):
        read_packets(other, trace)


def test_what_is_learnt_beats_the_clock_at_equal_cost(place):
    with Trace(place / "v.trace") as trace:
        rule, out = parse_rule("count() == 0"), place / "p.onnx"
        done = train_packets(trace, clip=place / "v.mp4", rule=rule, out=out, accuracy=0.95, uncertified=True)
        assert set(done.spec.candidates) == {"every K-th key", "sizes at keys", "sizes"}
        found = evaluate_packets(load_packets(done.path), trace, clip=place / "v.mp4", name="p")
    assert done.spec.kind == "sizes" and found.saved > 0.1 and found.accuracy > 0.9
    free = {each.name: each for each in found.baselines}
    assert {KEYS, "every K-th packet", "random packets"} <= set(free) and not found.ahead
    assert found.accuracy > free["random packets"].accuracy + 0.05
    assert found.events.found >= free["every K-th packet"].events.found
    assert "learnt from this trace" in found.warnings[0]


def test_what_nothing_proves_is_not_written(place, tmp_path):
    with Trace(place / "v.trace") as trace, pytest.raises(NotCertified, match=r"accuracy of 0\.99"):
        train_packets(
            trace, clip=place / "v.mp4", rule=parse_rule("count() == 0"), out=tmp_path / "p.onnx", accuracy=0.99
        )


def test_the_commands_say_what_is_saved(place, capsys):
    def run(*arguments):
        build_app(list(arguments))(list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    trace, gate = str(place / "v.trace"), str(place / "q.onnx")
    asked = ("--rule", "count() == 0", "--model", "squares", "--accuracy", "0.8", "--uncertified")
    assert "of the time of decoding" in run("train", "packets", trace, "--out", gate, *asked)
    assert 0 < json.loads(run("evaluate", "packets", gate, trace, "--json"))["saved"] < 1


def test_a_held_answer_is_wrong_where_the_rule_says_something_else_of_it(place):
    with Trace(place / "v.trace") as trace:
        rule = parse_rule("count() == 0")
        held = HeldLosses(Losses(trace, ("squares",), rule))
        outputs, spec = trace.outputs("squares"), {"squares": OutputSpec(kind="count")}
        first, second = np.asarray([0, 0, 300]), np.asarray([10, 250, 310])
        expected = [
            held_loss(rule, {"squares": outputs[a]}, {"squares": outputs[b]}, spec)
            for a, b in zip(first, second, strict=True)
        ]
        assert held.of(first, second).tolist() == expected
    assert held_loss(parse_rule("unchanged"), {"squares": outputs[0]}, {"squares": outputs[0]}, spec) == 0.0
    assert held_loss(rule, {}, {"squares": outputs[0]}, spec) is None


def test_a_file_that_is_no_packet_gate_is_said(tmp_path):
    path = write_packets(tmp_path / "p.onnx")
    assert load_packets(path).policy.keys_only
    with pytest.raises(InvalidInput, match=r"costs.*each above 0"):
        load_packets(write_packets(tmp_path / "q.onnx", costs={"key": 0.0}))
    with pytest.raises(InvalidInput, match="no packet gate"):
        load_packets(write_frames(tmp_path / "r.onnx"))
