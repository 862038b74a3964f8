"""Features instead of frames, by real daemons: nothing else travels, or the frames that the coordinator asks for."""

import queue
import sqlite3
from contextlib import closing

import cv2
import grpc
import numpy as np
import pytest
from infilink import __version__
from infilink.device.results_read import Results
from infilink.models.cost import ModelCost
from infilink.models.stem.stem import Stem
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos.features import FeatureRange

from ..filters.stems import write_stem
from ..stem_links import write_stem_links
from .conftest import METADATA, TIMEOUT_S, brightness, grey, wait_until

FRAMES = 120
# With a level that no JPEG rounds away, and links that are no better than a byte a feature.
CLOSE = 12


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


@pytest.fixture(scope="module")
def links(tmp_path_factory, models, stem):
    scales = {"bright": 1.0, "double": 2.0, "third": 1 / 3}
    folder = tmp_path_factory.mktemp("links") / "links"
    return write_stem_links(folder, models, stem.path, scales, cost=ModelCost(100 * 2**20, 0.01, 0.1))


@pytest.fixture
def linked(start_daemon, links):
    """A coordinator whose links read the stem."""
    return start_daemon(token="open sesame", links=str(links), answers="links", budget="100%", ask_loss=0.5)


def read(path, model):
    with Results(path) as results:
        values = [float(value[0]) for value in results.served(model)]
        return results.origins(model), values, results.sent_bytes


def test_features_alone_travel_and_no_model_runs(linked, start_agent, stem, tmp_path):
    summary = start_agent(linked.address, send="features", stem=str(stem.path)).finish()
    assert summary["answered"] == summary["travelled"]["features"] == FRAMES and summary["travelled"]["wanted"] == 0
    assert not any(linked.executions().values())
    for model, scale in (("bright", 1.0), ("double", 2.0)):
        origins, values, sent = read(tmp_path / "results0.sqlite", model)
        assert set(origins) == {"linked"}
        expected = [scale * brightness(index) for index in range(FRAMES)]
        np.testing.assert_allclose(values, expected, atol=CLOSE * scale)
        assert 0 < max(sent) < 100
    (device,) = linked.status().devices
    assert device.report.features == FRAMES and device.report.wanted == 0


def test_the_frames_that_are_asked_for_follow(linked, start_agent, stem, tmp_path):
    summary = start_agent(linked.address, send="ask", stem=str(stem.path)).finish()
    assert summary["answered"] == FRAMES and summary["travelled"]["gone"] == 0
    origins, values, sent = read(tmp_path / "results0.sqlite", "bright")
    asked = [index for index, origin in enumerate(origins) if origin == "executed"]
    # The links are not sure of the first, and then for some seconds nearly.
    assert asked[0] == 0 and 2 <= len(asked) <= FRAMES / 4
    assert len(asked) == summary["travelled"]["wanted"] == linked.executions()["bright"]
    assert all((sent[index] > 300) == (index in asked) for index in range(FRAMES))
    np.testing.assert_allclose(values, [brightness(index) for index in range(FRAMES)], atol=CLOSE)
    (device,) = linked.status().devices
    assert device.report.wanted == len(asked)


def test_another_stem_is_refused_and_a_coordinator_without_links_gets_frames(
    linked, daemon, start_agent, stem, tmp_path
):
    other = Stem(write_stem(tmp_path / "other.onnx", seed=1))
    told = start_agent(linked.address, send="ask", stem=str(other.path)).refusal()
    assert all(text in told for text in (other.digest, stem.digest, "give the device the `stem.onnx`")), told
    agent = start_agent(daemon.address, send="features", stem=str(stem.path))
    summary = agent.finish()
    assert summary["answered"] == FRAMES and summary["travelled"]["features"] == 0
    assert "takes no features, so frames travel" in agent.said()
    assert set(read(tmp_path / "results1.sqlite", "bright")[0]) == {"executed"}


class Raw:
    """One connection of a device that says what the test tells it to."""

    def __init__(self, channel, stem):
        self._sent = queue.Queue()
        self.call = edge_pb2_grpc.EdgeStub(channel).Connect(
            iter(self._sent.get, None), metadata=METADATA, timeout=TIMEOUT_S
        )
        hello = edge_pb2.Hello(device="raw", session="1", version=__version__, stem=stem.digest)
        self.say(hello=hello)
        self.span = FeatureRange.from_message(next(self.call).welcome.features, stem.spec.length)
        self.stem = stem

    def say(self, **message):
        self._sent.put(edge_pb2.DeviceMessage(**message))

    def send(self, sequence, level):
        written = self.span.write(self.stem.see(grey(level)).features)
        self.say(input=edge_pb2.Input(sequence=sequence, features=written, frame_kept=True))

    def hear(self):
        return next(self.call)

    def close(self):
        self.call.cancel()
        self._sent.put(None)


def test_a_stream_that_breaks_in_the_middle_of_an_ask_is_asked_again_and_answered_once(linked, stem, tmp_path):
    with grpc.insecure_channel(linked.address) as channel:
        first = Raw(channel, stem)
        first.send(7, 100)
        assert first.hear().want.sequence == 7
        first.close()
        wait_until(lambda: not linked.status().devices[0].connected, "the coordinator sees it gone")
        second = Raw(channel, stem)
        second.send(7, 100)
        assert second.hear().want.sequence == 7
        jpeg = cv2.imencode(".jpg", grey(100))[1].tobytes()
        second.say(frame=edge_pb2.Frame(sequence=7, encoding=edge_pb2.ENCODING_JPEG, payload=jpeg))
        answer = second.hear()
        assert {each.origin for each in answer.result.outputs} == {edge_pb2.ORIGIN_EXECUTED}
        second.send(7, 200)
        assert second.hear() == answer, "a repeat is not asked for again"
        second.close()
    assert set(linked.executions().values()) == {1}
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT sequence FROM answers WHERE device = 'raw'").fetchall() == [(7,)]
