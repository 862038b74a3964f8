"""Inputs and results are put together: in order, with the answer that is meant, and marked where it came late."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.device.result_rows import InputRow, ResultRow
from infilink.device.sinks.base import SinkRunner
from infilink.device.sinks.callback import Callback
from infilink.device.sinks.delivery import Delivery
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")


class Told:
    """A delivery, and what came out of it."""

    def __init__(self, **options):
        self.items, self.now_s = [], 0.0
        self.runner = SinkRunner("told", Callback(self.items.append, pictures=True))
        self.delivery = Delivery([self.runner], device="cam", stream="door", clock=lambda: self.now_s, **options)
        self.delivery.begin({"m": COUNT})

    def see(self, sequence, size=(4, 4)):
        value = np.full((*size, 3), sequence % 256, np.uint8)
        self.delivery.see(sequence, sequence / 10, 1.8e9 + sequence, value)

    def keep(self, sequence):
        self.delivery.add_input(InputRow(sequence, sequence / 10, True, None, 0.5, 0.0, 0.0))

    def skip(self, sequence, reference, **changes):
        row = ResultRow("m", sequence, sequence / 10, "held", 0.9, True, reference=reference)
        self.delivery.add_input(InputRow(sequence, sequence / 10, False, None, 0.5, 0.0, 0.0, **changes), [row])

    def answer(self, sequence, **options):
        row = ResultRow("m", sequence, sequence / 10, "executed", 1.0, True, value=np.asarray([sequence], np.float32))
        self.delivery.add_results(sequence, 0.0, [row], **options)

    def close(self):
        self.delivery.close()
        self.runner.close()
        return self.items


@pytest.fixture
def told():
    made = Told()
    yield made
    made.close()


def values(items):
    return [
        (item.sequence, [None if said.value is None else int(said.value[0]) for said in item.results], item.late)
        for item in items
    ]


def test_what_refers_to_an_input_waits_for_its_answer(told):
    for sequence in range(4):
        told.see(sequence)
    told.keep(0)
    told.skip(1, 0)
    told.keep(2)
    told.skip(3, 2)
    told.answer(2)
    told.answer(0)
    found = told.close()
    assert values(found) == [(0, [0], False), (1, [0], False), (2, [2], False), (3, [2], False)]
    assert [item.picture.pixels()[0, 0, 0] for item in found] == [0, 1, 2, 3]
    assert [(item.kept, item.unix_s) for item in found[:2]] == [(True, 1.8e9), (False, 1.8e9 + 1)]


def test_an_answer_that_does_not_come_in_time_comes_late_and_says_so(told):
    told.see(0)
    told.keep(0)
    told.now_s = 10.0
    told.see(1)
    told.skip(1, 0)
    told.answer(0)
    told.see(2)
    told.skip(2, 0, level="slower")
    found = told.close()
    # What refers to an input without an answer names it, and has no value.
    assert values(found) == [(0, [], False), (1, [None], False), (0, [0], True), (2, [0], False)]
    assert found[1].results[0].reference == 0 and found[2].picture is None and found[2].unix_s == 1.8e9
    assert [item.level for item in found] == ["", "", "", "slower"]


def test_answers_of_an_earlier_run_come_late(told):
    told.answer(77)
    found = told.close()
    assert values(found) == [(77, [77], True)] and found[0].unix_s is None and found[0].captured_s == 7.7


def test_a_refusal_is_told(told):
    told.see(0)
    told.keep(0)
    told.delivery.add_refused(0, "too late")
    assert [(item.refused, item.results) for item in told.close()] == [("too late", ())]


def test_what_refers_to_an_input_that_was_dropped_has_the_output_before_it(told):
    for sequence in range(4):
        told.see(sequence)
    told.keep(0)
    told.answer(0)
    told.keep(1)
    told.delivery.add_refused(1, "dropped")
    told.skip(2, 1)
    told.keep(3)
    told.answer(3)
    found = told.close()
    assert values(found) == [(0, [0], False), (1, [], False), (2, [0], False), (3, [3], False)]
    assert found[2].results[0].reference == 0


def test_then_is_called_at_once(told):
    called = []
    told.answer(1, then=lambda: called.append(1))
    told.delivery.add_refused(2, "x", then=lambda: called.append(2))
    assert called == [1, 2]


def test_pictures_that_wait_become_jpegs_and_then_wait_no_longer():
    told = Told(most_bytes=100_000)
    for sequence in range(200):
        told.see(sequence, size=(64, 64))
        told.keep(sequence)
    found = told.close()
    assert [item.sequence for item in found] == list(range(200)) and not any(item.results for item in found)
    assert found[0].picture.is_squeezed and abs(int(found[0].picture.pixels().mean()) - 0) < 3


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_inputs_come_in_order_each_once_with_the_newest_answer_it_refers_to(keeps, random):
    keeps[0] = True
    told, reference, open_ = Told(), 0, []
    for sequence, keep in enumerate(keeps):
        told.see(sequence)
        if keep:
            told.keep(sequence)
            open_.append(sequence)
            reference = sequence
        else:
            told.skip(sequence, reference)
        while open_ and random.random() < 0.5:
            told.answer(open_.pop(random.randrange(len(open_))))
    for sequence in open_:
        told.answer(sequence)
    newest = [max(kept for kept in range(at + 1) if keeps[kept]) for at in range(len(keeps))]
    assert values(told.close()) == [(at, [newest[at]], False) for at in range(len(keeps))]
