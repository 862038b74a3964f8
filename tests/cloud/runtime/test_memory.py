"""The budget is asked before a load, and held against what is measured."""

import pytest
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.errors import OutOfMemory


def test_a_reservation_that_does_not_fit_is_refused_with_the_numbers():
    memory = MemoryBudget(100, {"a": 60, "b": 50})
    memory.reserve("a")
    with pytest.raises(OutOfMemory) as raised:
        memory.reserve("b")
    assert (raised.value.needed_bytes, raised.value.free_bytes) == (50, 40)
    memory.release("a")
    memory.reserve("b")
    assert memory.reserved_bytes == 50


def test_a_model_that_grew_needs_what_it_took_from_then_on():
    memory = MemoryBudget(100, {"a": 30, "b": 40})
    memory.reserve("a")
    memory.sample({"a": 70})
    with pytest.raises(OutOfMemory):
        memory.reserve("b")


def test_samples_above_the_budget_are_counted():
    memory = MemoryBudget(100, {})
    for size_bytes in (90, 101, 50):
        memory.sample({"a": size_bytes, "b": 0})
    stats = memory.stats()
    assert (stats.memory_bytes, stats.peak_bytes, stats.samples, stats.violations) == (50, 101, 3, 1)


def test_without_a_budget_everything_fits():
    memory = MemoryBudget(None, {"a": 10**12})
    memory.reserve("a")
    memory.sample({"a": 10**12})
    assert memory.stats().violations == 0
