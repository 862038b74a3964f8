"""The live audit over the real wire: a filter that loses what it promised to keep is found out, and opened."""

from pathlib import Path

import pytest
from infilink.device.results_read import Results
from infilink.filters.spec import FilterSpec
from infilink.filters.training.graphs import save_filter, scalar_graph
from infilink.models.spec import digest

from ..certificates import certificate
from .conftest import wait_until


def write_filter(models: Path, path: Path, *, rule: str) -> Path:
    """A filter that says it loses nothing, and sends a frame every 10 s whatever there is to see."""
    spec = FilterSpec(
        kind="age",
        rule=rule,
        models={"bright": digest(models / "bright.onnx")},
        reference="last kept",
        threshold=1e9,
        accuracy=0.95,
        step_s=0.01,
        longest_s=10.0,
        certificate=certificate(upper_bound=0.003, rate=0.99),
    )
    save_filter(path, scalar_graph("age"), spec)
    return path


@pytest.fixture
def blind(models: Path, tmp_path: Path) -> Path:
    """One whose answers go stale at once."""
    return write_filter(models, tmp_path / "blind.onnx", rule="unchanged")


def test_a_filter_that_breaks_its_promise_is_opened(daemon, start_agent, blind, tmp_path):
    # The window: of what was sent for the audit, all but the last is judged before the next frame is decided on.
    agent = start_agent(daemon.address, gate=str(blind), audit=0.5, window=1, loop=True)
    wait_until(lambda: "loses more than the 0.050 it promised" in agent.said(), "the alarm")
    wait_until(lambda: "loses more than it promised: everything is sent" in daemon.said(), "the coordinator says so")
    agent.terminate()
    summary = agent.finish()
    assert summary["alarms"] == 1 and summary["audit_blocks"] >= 2
    assert agent.said().count("loses more than the 0.050 it promised") == 1
    with Results(tmp_path / "results0.sqlite") as results:
        opened = results.kept.index(True, 1 + max(i for i, kept in enumerate(results.kept) if not kept))
        assert 400 <= opened <= 2000, "some blocks of 200"
        assert set(results.origins("bright")[:opened]) == {"executed", "reused"}
        assert set(results.origins("bright")[opened:]) == {"executed"}


def test_without_an_audit_nobody_would_know(daemon, start_agent, blind):
    summary = start_agent(daemon.address, gate=str(blind), audit=0.0).finish()
    assert summary["audited"] == summary["alarms"] == 0 and summary["audit_error"] is None
    assert summary["kept"] == 1


def test_a_filter_loses_nothing_where_its_rule_needs_nothing(daemon, start_agent, models, tmp_path):
    # No frame is that bright: the answers are wrong by a lot, and nobody needed them.
    gate = write_filter(models, tmp_path / "right.onnx", rule="value <= 250")
    summary = start_agent(daemon.address, gate=str(gate), audit=0.5).finish()
    assert summary["audited"] >= 50 and summary["audit_error"] == 0.0 and summary["alarms"] == 0
