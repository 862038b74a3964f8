"""What travels instead of a frame: the features of the stem that both sides have."""

import logging

import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.uplink.features import FeatureEncoder, open_features
from infilink.errors import InvalidInput
from infilink.filters.gates.free import EveryGate
from infilink.filters.local.gate import LocalGate
from infilink.models.stem.stem import Stem
from infilink.protos import edge_pb2
from infilink.protos.features import FeatureRange

from ...filters.local.made import write_heads
from ...filters.stems import write_stem

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


@pytest.fixture
def span(stem):
    return FeatureRange.of(stem.see(IMAGE).features, np.ones(stem.spec.length))


@pytest.fixture
def welcome(span):
    return edge_pb2.Welcome(version="0.1.0", features=span.as_message())


def config(**settings):
    return DeviceConfig(**{"name": "d", "source": "0", "coordinator": "h:1", **settings})


def test_the_stem_looks_where_the_gate_has_none(stem, span, welcome):
    encoder = FeatureEncoder(stem.digest, stem.spec.length, stem, from_gate=False)
    assert encoder.encode(IMAGE, None) is None, "before the coordinator has said how, frames travel"
    encoder.agree(welcome)
    for known in (None, np.zeros(stem.spec.length, np.float32)):
        found = span.read(encoder.encode(IMAGE, known))
        np.testing.assert_allclose(found, stem.see(IMAGE).features, atol=0.05)


def test_what_the_gate_has_seen_is_not_looked_at_again(stem, span, welcome):
    known = stem.see(IMAGE).features + 1
    for own in (stem, None):
        encoder = FeatureEncoder(stem.digest, stem.spec.length, own, from_gate=True)
        encoder.agree(welcome)
        np.testing.assert_allclose(span.read(encoder.encode(IMAGE, known)), known, atol=0.05)
    assert encoder.encode(IMAGE, None) is None, "a frame that the gate failed on travels itself"
    assert encoder.encode(IMAGE, np.full_like(known, np.nan)) is None, "as does one whose features are no numbers"


def test_frames_travel_to_a_coordinator_that_takes_no_features_and_that_is_said_once(stem, welcome, caplog):
    encoder = FeatureEncoder(stem.digest, stem.spec.length, stem, from_gate=False)
    encoder.agree(welcome)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            encoder.agree(edge_pb2.Welcome(version="0.0.9"))
    assert encoder.encode(IMAGE, None) is None
    (record,) = caplog.records
    assert "(infilink 0.0.9) takes no features, so frames travel" in record.getMessage()


def test_another_number_of_features_is_refused(stem, welcome):
    encoder = FeatureEncoder(stem.digest, stem.spec.length + 1, None, from_gate=True)
    with pytest.raises(InvalidInput, match="have 16 numbers, those of this stem 17: give both the same stem"):
        encoder.agree(welcome)


def test_what_is_to_be_sent_decides_whether_a_stem_is_needed(stem):
    gate = EveryGate(1)
    assert open_features(config(stem=stem.path), gate) is None
    for send in ("features", "ask"):
        found = open_features(config(send=send, stem=stem.path), gate)
        assert (found.digest, found.length, found.from_gate) == (stem.digest, stem.spec.length, False)
        with pytest.raises(InvalidInput, match=f'`send = "{send}"` needs `stem`, .* all has none inside'):
            open_features(config(send=send), gate)


def test_a_gate_with_a_stem_inside_needs_no_other(stem, tmp_path):
    gate = LocalGate(write_heads(tmp_path / "heads.onnx"))
    found = open_features(config(send="ask"), gate)
    assert (found.digest, found.length, found.stem, found.from_gate) == (stem.digest, 16, None, True)
    assert open_features(config(send="ask", stem=stem.path), gate).from_gate, "the same stem is not asked twice"
    other = write_stem(tmp_path / "other.onnx", seed=1)
    found = open_features(config(send="ask", stem=other), gate)
    assert found.digest == Stem(other).digest and not found.from_gate, "the one that is named is what is sent"
