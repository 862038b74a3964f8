"""The budget is asked before a load, and held against what is measured."""

import pytest
from infilink.cloud.runtime.memory import MemoryBudget
from infilink.cloud.runtime.meter import Reading
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
    memory.sample(Reading({"a": 70}))
    with pytest.raises(OutOfMemory):
        memory.reserve("b")


def test_samples_above_the_budget_are_counted():
    memory = MemoryBudget(100, {})
    for size_bytes in (90, 101, 50):
        memory.sample(Reading({"a": size_bytes, "b": 0}))
    stats = memory.stats()
    assert (stats.memory_bytes, stats.peak_bytes, stats.samples, stats.violations) == (50, 101, 3, 1)


def test_without_a_budget_everything_fits():
    memory = MemoryBudget(None, {"a": 10**12})
    memory.reserve("a")
    memory.sample(Reading({"a": 10**12}))
    assert memory.stats().violations == 0


def test_a_first_load_goes_behind_what_is_stated_and_then_what_was_measured_counts():
    memory = MemoryBudget(100, {}, first_bytes=60)
    memory.reserve("a")
    with pytest.raises(OutOfMemory):
        memory.reserve("b")
    memory.sample(Reading({"a": 20}))
    memory.reserve("b")
    assert memory.reserved_bytes == 80


def test_what_belongs_to_no_model_counts_too():
    memory = MemoryBudget(100, {"a": 30, "b": 30}, place="cuda:0")
    memory.reserve("a")
    memory.sample(Reading(whole_bytes=75))
    assert (memory.shared_bytes, memory.reserved_bytes) == (45, 75)
    with pytest.raises(OutOfMemory, match=r"'b' on cuda:0"):
        memory.reserve("b")
    memory.release("a")
    memory.sample(Reading(whole_bytes=50))
    memory.reserve("b")
    assert memory.reserved_bytes == 80 and memory.stats().violations == 0


def test_inputs_on_their_way_are_told_of_but_have_a_limit_of_their_own():
    memory = MemoryBudget(100, {})
    memory.sample(Reading({"a": 90}, buffers_bytes=50))
    assert memory.stats().buffers_bytes == 50 and memory.stats().violations == 0
