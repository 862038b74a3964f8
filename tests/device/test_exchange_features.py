"""Features instead of frames, over real gRPC: what travels, what is asked for, and what follows if a frame is gone."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.exchange import Exchange
from infilink.device.local_models import LocalModels
from infilink.device.messages import KeptInput
from infilink.device.result_rows import InputRow
from infilink.device.results import ResultsFile
from infilink.device.results_read import Results
from infilink.device.sources.base import Input
from infilink.device.summary import Travelled
from infilink.device.uplink.features import FeatureEncoder
from infilink.device.uplink.payload_encoder import JpegEncoder
from infilink.errors import InvalidInput
from infilink.models.spec import read_spec
from infilink.models.stem.stem import Stem
from infilink.protos import edge_pb2
from infilink.protos.features import FeatureRange

from ..filters.stems import write_stem
from .coordinator import UNAVAILABLE, result

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 255, (8, 48, 64, 3), np.uint8)


def kept(sequence, *, audited=False, deadline_ns=0):
    frame = Input(sequence, sequence / 10, IMAGES[sequence])
    row = InputRow(sequence, frame.captured_s, True, 0.9, 0.5, 0.001, 0.002)
    return KeptInput(frame, row, (), deadline_ns, audited, None)


def want(sequence):
    return edge_pb2.CoordinatorMessage(want=edge_pb2.Want(sequence=sequence))


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


@pytest.fixture
def span(stem):
    return FeatureRange.of(stem.see(IMAGES[0]).features, np.ones(stem.spec.length))


@pytest.fixture
def open_exchange(start_coordinator, tiny_models, stem, span, tmp_path):
    """Exchanges with a coordinator of their own, which takes features unless the test says otherwise."""
    made = []

    def make(send, *, takes=True, clock_ns=lambda: 1000, **settings):
        coordinator = start_coordinator({"bright": read_spec(tiny_models / "bright.onnx")})
        if takes:
            coordinator.welcome.features.CopyFrom(span.as_message())
        values = {"name": "d", "source": "0", "coordinator": coordinator.address, "queue": "all", "send": send}
        results = ResultsFile(tmp_path / "r.sqlite", anew=True)
        one = Exchange(
            DeviceConfig(**values, **settings),
            session="s1",
            encoder=JpegEncoder(90),
            features=FeatureEncoder(stem.digest, stem.spec.length, stem, from_gate=False),
            local=LocalModels(()),
            results=results,
            report=edge_pb2.Report,
            on_answer=lambda *_: None,
            clock_ns=clock_ns,
        )
        one.test_coordinator = coordinator
        made.append((one, results))
        one.open(threading.Event())
        return one, coordinator.connection()

    yield make
    for one, results in made:
        one.close()
        results.close()


def test_features_travel_and_frames_stay(open_exchange, stem, span):
    one, connection = open_exchange("features")
    assert connection.hello.stem == stem.digest and one.inputs_stay
    one.send(kept(1, audited=True))
    message = connection.input()
    assert message.payload == b"" and not message.frame_kept
    np.testing.assert_allclose(span.read(message.features), stem.see(IMAGES[1]).features, atol=0.05)
    connection.reply(want(1))
    assert connection.frame() == edge_pb2.Frame(sequence=1, encoding=edge_pb2.ENCODING_JPEG)
    connection.reply(result(1, bright=3.0))
    one.finish()
    assert one.travelled == Travelled(1, message.ByteSize(), 1, 1, 0)
    assert one.counts["answered"] == 1


def test_a_frame_that_is_asked_for_follows_and_counts(open_exchange, tmp_path):
    one, connection = open_exchange("ask")
    one.send(kept(2))
    message = connection.input()
    assert message.payload == b"" and message.HasField("features") and message.frame_kept and not one.inputs_stay
    connection.reply(want(2))
    frame = connection.frame()
    assert frame.payload == JpegEncoder(90).encode_alone(IMAGES[2])
    connection.reply(result(2, bright=3.0))
    one.finish()
    assert one.ring.size_bytes == 0, "nobody will ask for it again"
    assert one.travelled == Travelled(1, message.ByteSize(), 1, 0, len(frame.payload))
    one.close()
    one.replies.results.close()
    with Results(tmp_path / "r.sqlite") as results:
        assert results.sent_bytes == [message.ByteSize() + len(frame.payload)]


def test_a_frame_is_asked_for_although_no_more_inputs_may_be_sent(open_exchange):
    one, connection = open_exchange("ask", window=2)
    for sequence in (1, 2):
        one.send(kept(sequence))
    assert [connection.input().sequence for _ in range(2)] == [1, 2]
    connection.reply(want(1))
    assert connection.frame().sequence == 1
    for sequence in (1, 2):
        connection.reply(result(sequence, bright=3.0))
    one.finish()


def test_a_frame_whose_deadline_is_over_is_gone(open_exchange):
    now_ns = [999]
    one, connection = open_exchange("ask", clock_ns=lambda: now_ns[0])
    one.send(kept(2, deadline_ns=1000))
    connection.input()
    now_ns[0] = 1001
    connection.reply(want(2))
    assert connection.frame().payload == b""
    connection.reply(result(2, bright=3.0))
    one.finish()
    assert (one.travelled.wanted, one.travelled.gone, one.counts["answered"]) == (1, 1, 1)


def test_an_input_to_audit_sends_its_frame_at_once(open_exchange):
    one, connection = open_exchange("ask")
    one.send(kept(2, audited=True))
    message = connection.input()
    assert message.payload and message.audit and not message.HasField("features") and not message.frame_kept
    connection.reply(result(2, bright=3.0))
    one.finish()


def test_a_frame_without_features_stays_where_frames_do_and_travels_where_they_may(open_exchange):
    nothing = replace(kept(3), features=np.full(16, np.nan, np.float32))
    one, _ = open_exchange("features")
    one.features.from_gate = True
    one.send(nothing)
    assert one.counts["refused"] == 1
    one.finish()
    two, connection = open_exchange("ask")
    two.features.from_gate = True
    two.send(nothing)
    assert connection.input().payload
    connection.reply(result(3, bright=3.0))
    two.finish()


@pytest.mark.parametrize("send", ["features", "ask"])
def test_frames_travel_to_a_coordinator_that_takes_no_features(open_exchange, send, caplog):
    one, connection = open_exchange(send, takes=False)
    one.send(kept(2))
    message = connection.input()
    assert message.payload and not message.HasField("features") and not message.frame_kept and not one.inputs_stay
    connection.reply(result(2, bright=3.0))
    one.finish()
    assert "takes no features, so frames travel" in caplog.text


def test_a_stream_that_breaks_in_the_middle_of_an_ask_is_taken_up_again(open_exchange):
    one, first = open_exchange("ask")
    one.uplink.connecting.backoff_s = (0.0, 0.0)
    one.send(kept(2))
    message = first.input()
    first.reply(want(2))
    first.end(UNAVAILABLE, "broke")
    second = one.test_coordinator.connection()
    assert second.input() == message, "the same input, as features"
    second.reply(want(2))
    assert second.frame().payload == JpegEncoder(90).encode_alone(IMAGES[2])
    second.reply(want(9))
    assert second.frame() == edge_pb2.Frame(sequence=9, encoding=edge_pb2.ENCODING_JPEG), "of an input that is unknown"
    second.reply(result(2, bright=3.0))
    one.finish()
    assert one.counts["answered"] == 1


def test_a_coordinator_that_comes_back_with_another_stem_ends_it(open_exchange):
    one, first = open_exchange("features")
    other = FeatureRange.of(np.zeros(3), np.ones(3))
    one.test_coordinator.welcome.features.CopyFrom(other.as_message())
    one.send(kept(2))
    first.input()
    first.end(UNAVAILABLE, "broke")
    with pytest.raises(InvalidInput, match="have 3 numbers, those of this stem 16"):
        one.finish()
