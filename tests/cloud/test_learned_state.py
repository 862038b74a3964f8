"""What was learned while serving outlives the process, for the version of the links that it was learned about."""

import sqlite3

import numpy as np
import pytest
from infilink.cloud.learned_state import LearnedState
from infilink.errors import InvalidInput
from infilink.links.answer import Answer
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")
ONE, TWO = np.asarray([1.0], np.float32), np.asarray([2.0], np.float32)
HELD = Answer(ONE, 0.9, "held", (), "certified", output=COUNT)
APART_S = 200.0
"""Further apart than answers are taken to be right or wrong together."""


def disagree(state, device, times=100):
    for index in range(times):
        at_s = APART_S * index
        state.trust(device).observe("people", COUNT, HELD, TWO, never=False, age=0, captured_s=at_s, now_s=1000.0)


@pytest.fixture
def opened(tmp_path):
    files = []

    def open_state(links="first links", devices=10):
        files.append(LearnedState(tmp_path / "l.sqlite", links, devices=devices))
        return files[-1]

    yield open_state
    for file in files:
        file.close()
        file.close()


def test_a_revoked_link_stays_revoked_over_a_restart_on_its_device_alone(opened):
    before = opened()
    disagree(before, "door")
    assert before.trust("door").revoked() == ("people held",)
    before.save(before.changed())
    after = opened()
    assert after.trust("door").revoked() == ("people held",)
    assert after.trust("door").audited == 100
    assert after.trust("yard").revoked() == ()
    assert after.trust("door") is after.trust("door"), "all sessions of a device share it"


def test_only_what_changed_is_written(opened):
    state = opened()
    disagree(state, "door", times=1)
    state.trust("yard")
    assert list(state.changed()) == ["device door"]
    assert state.changed() == {}


def test_other_links_begin_anew(opened):
    before = opened()
    disagree(before, "door")
    before.save(before.changed())
    other = opened("other links")
    assert other.trust("door").revoked() == ()
    assert opened().trust("door").revoked() == (), "the state of earlier links is deleted"


def test_what_is_held_in_memory_is_bounded_and_nothing_of_it_is_lost(opened):
    state = opened(devices=2)
    for number in range(5):
        disagree(state, f"camera {number}")
    state.save(state.changed())
    assert len(state._trust) == 2
    assert all(state.trust(f"camera {number}").audited == 100 for number in range(5))


def test_what_is_damaged_is_said_and_begun_anew(opened, tmp_path, caplog):
    state = opened()
    state.save({"device door": b"{", "device yard": b'{"alpha": 0.1}'})
    assert state.trust("door").audited == state.trust("yard").audited == 0
    assert caplog.text.count("starts empty") == 2


def test_a_file_that_cannot_be_written_costs_what_was_learned_since(opened, tmp_path, caplog):
    state = opened()
    disagree(state, "door")
    with sqlite3.connect(tmp_path / "l.sqlite") as other:
        other.execute("DROP TABLE learnt")
    other.close()
    state.save(state.changed())
    assert "can't be saved" in caplog.text


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "l.sqlite").write_text("certainly not a database, but long enough to be looked at" * 10)
    with pytest.raises(InvalidInput, match="give another `ledger`"):
        LearnedState(tmp_path / "l.sqlite", "links", devices=1)
