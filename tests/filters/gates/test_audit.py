"""The live audit: its bound holds at any time, it sees a filter break, and it lets a good one alone."""

import numpy as np
import pytest
from infilink.filters.gates.audit import Audit


def stream(seed, *, loss, share=0.1, unsent=0.9, inputs=6000, audit=None, target=0.05):
    """Inputs of which most are unsent and some of those audited, each a loss of 1 with a chance of `loss`."""
    rng = np.random.default_rng(seed)
    audit = audit or Audit(target)
    for _ in range(inputs):
        dropped = rng.random() < unsent
        audit.saw(unsent=dropped)
        if dropped and (audit.broken or rng.random() < share):
            audit.add(float(rng.random() < loss))
    return audit


def test_before_the_first_audit_nothing_is_known():
    report = Audit(0.1).report()
    assert report.error is None and report.upper_bound == 0.0 and not report.broken
    audit = Audit(0.1)
    audit.saw(unsent=True)
    assert audit.report().upper_bound == 1.0


def test_the_bound_holds_at_every_moment_in_all_but_few_streams():
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        audit = Audit(0.9)
        for index in range(300):
            audit.saw(unsent=True)
            audit.add(float(rng.random() < 0.1))
            if index % 30 == 0 and audit.report().upper_bound < 0.1:
                wrong += 1
                break
    assert wrong <= 5


def test_a_filter_that_keeps_its_promise_is_let_alone():
    assert sum(stream(seed, loss=0.03).report().alarms for seed in range(30)) <= 1


def test_a_filter_that_breaks_its_promise_is_caught_within_some_hundred_audits():
    for seed in range(20):
        audit = stream(seed, loss=0.02)
        assert not audit.broken
        before, rng = audit.report().audited, np.random.default_rng(seed)
        while not audit.broken:
            audit.saw(unsent=True)
            audit.add(float(rng.random() < 0.3))
        assert audit.report().audited - before < 150


def test_a_filter_that_is_good_again_is_trusted_again():
    audit = stream(1, loss=0.5)
    assert audit.report().alarms >= 1 and audit.broken
    audit = stream(2, loss=0.0, audit=audit)
    assert not audit.broken
    report = audit.report()
    assert report.error == pytest.approx(0.0) and report.upper_bound < 0.05


def test_what_is_kept_counts_as_right():
    audit = stream(3, loss=0.2, unsent=0.1, share=1.0)
    assert audit.report().error == pytest.approx(0.02, abs=0.01)
    assert not audit.broken
