"""A trace of maps: what a filter at the cut learns from is what the head makes of each recorded frame."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.split.parts import Head
from infilink.models.split.split import split
from infilink.traces.feature_maps import write_features
from infilink.traces.trace import Trace

from ..models.split.models import frames, write_chain, write_trace

INPUTS = 70


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return write_chain(tmp_path_factory.mktemp("chain") / "chain.onnx")


@pytest.fixture(scope="module")
def recorded(chain, tmp_path_factory):
    return write_trace(tmp_path_factory.mktemp("trace") / "in.trace", chain, INPUTS)


def test_maps_stand_where_the_pictures_stood(chain, recorded, tmp_path):
    with Trace(recorded) as trace:
        done = write_features(chain, "map", trace, tmp_path / "maps.trace")
        expected = list(trace.frames())
    assert (done.inputs, done.added, done.shape) == (INPUTS, INPUTS, (4, 16, 16))
    head = Head(split(chain, "map", tmp_path / "parts", frames=expected[:1]).head)
    with Trace(recorded) as trace, Trace(tmp_path / "maps.trace") as maps:
        assert maps.info.input == "array" and maps.info.notes["cut"].startswith("chain ")
        for key in ("source", "fps", "models", "digests", "costs", "every"):
            assert getattr(maps.info, key) == getattr(trace.info, key)
        np.testing.assert_array_equal(maps.sequences, trace.sequences)
        np.testing.assert_array_equal(maps.captured_s, trace.captured_s)
        assert [float(value[0]) for value in maps.outputs("chain")] == list(range(INPUTS))
        for value, frame in zip(maps.inputs(), expected, strict=True):
            assert value.dtype == np.float16
            np.testing.assert_allclose(value, head.see(frame).features, rtol=1e-3)


def test_it_goes_on_where_it_stopped_and_takes_a_head(chain, recorded, tmp_path):
    out = tmp_path / "maps.trace"
    head = split(chain, "map", tmp_path / "parts", frames=frames(1)).head
    with Trace(recorded) as trace:
        write_features(chain, "map", trace.part(0, 30), out)
        done = write_features(head, None, trace, out)
    assert (done.inputs, done.added) == (INPUTS, INPUTS - 30)


def test_mistakes_are_told(chain, recorded, tmp_path):
    out = tmp_path / "maps.trace"
    head = split(chain, "map", tmp_path / "parts", frames=frames(1)).head
    other = write_chain(tmp_path / "other" / "chain.onnx", gain=2.0)
    with Trace(recorded) as trace:
        write_features(chain, "map", trace.part(0, 2), out)
        for model, cut, said in (
            (chain, None, "say where to cut"),
            (chain, "left", "would cross it too"),
            (head, "sum", "is cut at 'map' already"),
            (other, "map", "no outputs of this very chain"),
            (chain, "sum", "give another --out"),
        ):
            with pytest.raises(InvalidInput, match=said):
                write_features(model, cut, trace, out)
    with Trace(out) as maps, pytest.raises(InvalidInput, match="not pictures"):
        write_features(chain, "map", maps, tmp_path / "again.trace")
