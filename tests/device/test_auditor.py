"""The auditor: what it sends all the same, what it compares, and that it forgets."""

import numpy as np
from infilink.device.auditor import Auditor
from infilink.filters.gates.base import Substitute
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")


REUSED = {"m": Substitute("reused", None, 0.9, True)}
SKIPPED = {"m": Substitute("skipped", np.asarray([0.0], np.float32), 0.9, True)}


def auditor(share: float, *models: str) -> Auditor:
    return Auditor(share, 0.1, dict.fromkeys(models or ("m",), COUNT))


def answer(sequence: int, value: float, *, ran: bool = True):
    return sequence, {"m": np.asarray([value], np.float32)}, {"m"} if ran else set()


def test_all_none_or_a_share_of_the_unsent_inputs_are_audited():
    for share, least, most in ((0.0, 0, 0), (0.2, 120, 280), (1.0, 1000, 1000)):
        one = auditor(share)
        taken = sum(one.take(i, REUSED if i % 2 else {}, kept=i % 2 == 0, reference=0) > 0 for i in range(2000))
        assert least <= taken <= most


def test_an_audited_answer_is_compared_with_that_of_the_last_kept_input():
    one = auditor(1.0)
    assert not one.take(0, {}, kept=True, reference=None)
    one.answered(*answer(0, 3.0))
    for sequence, value in ((1, 3.0), (2, 4.0)):
        assert one.take(sequence, REUSED, kept=False, reference=0) == 1.0
        one.answered(*answer(sequence, value))
    report = one.report()
    assert report.audited == 2
    assert report.error == (0.0 + 1.0) / 2 * 2 / 3


def test_a_skipped_input_is_compared_with_what_it_was_taken_to_say():
    one = auditor(1.0)
    one.take(0, SKIPPED, kept=False, reference=None)
    one.answered(*answer(0, 0.0))
    assert one.report().audited == 1 and one.report().error == 0.0


def test_a_model_that_does_not_look_where_another_does_is_audited_too():
    one = auditor(1.0, "m", "n")
    assert one.take(0, SKIPPED, kept=True, reference=None) == 1.0
    one.answered(*answer(0, 4.0))
    # "n" looked at it anyway and lost nothing.
    assert one.report().audited == 1 and one.report().error == 0.5


def test_what_nobody_said_before_is_not_audited():
    assert not auditor(1.0).take(0, REUSED, kept=False, reference=None)


def test_only_what_the_model_itself_said_counts():
    one = auditor(1.0)
    one.answered(*answer(0, 3.0))
    one.take(1, REUSED, kept=False, reference=0)
    one.answered(*answer(1, 4.0, ran=False))
    one.take(2, REUSED, kept=False, reference=77)
    one.answered(*answer(2, 4.0))
    assert one.report().audited == 0


def test_it_does_not_grow_when_nothing_is_answered():
    one = auditor(1.0)
    for sequence in range(5000):
        one.take(sequence, REUSED, kept=False, reference=0)
    assert len(one._audited) <= 64
