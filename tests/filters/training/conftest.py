"""Filters that were really trained, once."""

import pytest

from ..conftest import train


@pytest.fixture(scope="session")
def skip_filter(short_trace_path, tmp_path_factory):
    """A SKIP filter for `value < 1`, trained once."""
    out = tmp_path_factory.mktemp("skip") / "skip.onnx"
    return train(short_trace_path, out, "value < 1", models=("squares",), candidates=("network",))


@pytest.fixture(scope="session")
def reuse_progress():
    """What the training of `reuse_filter` told of its progress."""
    return []


@pytest.fixture(scope="session")
def reuse_filter(trace_path, tmp_path_factory, reuse_progress):
    """A filter for `unchanged` on both models, trained once."""

    def told(done, doing):
        reuse_progress.append((done, doing))

    return train(trace_path, tmp_path_factory.mktemp("reuse") / "reuse.onnx", "unchanged", progress=told)
