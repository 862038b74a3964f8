"""A trace of independent inputs, and heads that have learnt from it."""

from pathlib import Path

import pytest
from infilink.filters.local.train import HeadsTraining, train_heads
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace

from ..stems import write_stem
from .mixed import write_mixed


@pytest.fixture(scope="session")
def stem_path(tmp_path_factory) -> Path:
    return write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx")


@pytest.fixture(scope="session")
def mixed_path(tmp_path_factory) -> Path:
    return write_mixed(tmp_path_factory.mktemp("traces") / "mixed.trace")


@pytest.fixture(scope="session")
def learnt(tmp_path_factory, stem_path, mixed_path) -> HeadsTraining:
    with Trace(mixed_path) as trace:
        out = tmp_path_factory.mktemp("heads") / "heads.onnx"
        return train_heads(trace, stem=Stem(stem_path), accuracy=0.9, out=out)
