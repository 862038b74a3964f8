"""What was learnt while serving outlives the process, for the links that it was learnt of and no others."""

import sqlite3

import numpy as np
import pytest
from infilink.cloud.learned_state import Learnt
from infilink.errors import InvalidInput
from infilink.links.answer import Answer
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")
ONE, TWO = np.asarray([1.0], np.float32), np.asarray([2.0], np.float32)
HELD = Answer(ONE, 0.9, "held", (), "certified", output=COUNT)


def disagree(learnt, device, times=100):
    for _ in range(times):
        learnt.trust(device).observe("people", COUNT, HELD, TWO, never=False, age=0, now_s=1000.0)


@pytest.fixture
def opened(tmp_path):
    files = []

    def open_learnt(links="first links", devices=10):
        files.append(Learnt(tmp_path / "l.sqlite", links, devices=devices))
        return files[-1]

    yield open_learnt
    for file in files:
        file.close()
        file.close()


def test_a_revoked_link_stays_revoked_over_a_restart_on_its_device_alone(opened):
    before = opened()
    disagree(before, "door")
    assert before.trust("door").revoked() == ("people held",)
    before.keep(before.changed())
    after = opened()
    assert after.trust("door").revoked() == ("people held",)
    assert after.trust("door").audited == 100
    assert after.trust("yard").revoked() == ()
    assert after.trust("door") is after.trust("door"), "all sessions of a device share it"


def test_only_what_changed_is_written(opened):
    learnt = opened()
    disagree(learnt, "door", times=1)
    learnt.trust("yard")
    assert list(learnt.changed()) == ["device door"]
    assert learnt.changed() == {}


def test_other_links_begin_anew(opened):
    before = opened()
    disagree(before, "door")
    before.keep(before.changed(), {"contexts": np.zeros((0, 3))})
    other = opened("other links")
    assert other.trust("door").revoked() == () and other.contexts() is None
    assert opened().contexts() is None, "what was learnt of links that are gone is gone"


def test_contexts_come_back_as_they_were(opened):
    arrays = {"contexts": np.asarray([["", "3", "quiet"]]), "0 people": np.ones((2, 3, 9), np.float32)}
    before = opened()
    assert before.contexts() is None
    before.keep({}, arrays)
    found = opened().contexts()
    assert found.keys() == arrays.keys() and all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_what_is_held_in_memory_is_bounded_and_nothing_of_it_is_lost(opened):
    learnt = opened(devices=2)
    for number in range(5):
        disagree(learnt, f"camera {number}")
    learnt.keep(learnt.changed())
    assert len(learnt._trust) == 2
    assert all(learnt.trust(f"camera {number}").audited == 100 for number in range(5))


def test_what_is_damaged_is_said_and_begun_anew(opened, tmp_path, caplog):
    learnt = opened()
    learnt.keep({"device door": b"{", "device yard": b'{"alpha": 0.1}', "contexts": b"no arrays"})
    assert learnt.trust("door").audited == learnt.trust("yard").audited == 0
    assert learnt.contexts() is None
    assert caplog.text.count("anew") == 3


def test_a_file_that_cannot_be_written_costs_what_was_learnt_since(opened, tmp_path, caplog):
    learnt = opened()
    disagree(learnt, "door")
    with sqlite3.connect(tmp_path / "l.sqlite") as other:
        other.execute("DROP TABLE learnt")
    other.close()
    learnt.keep(learnt.changed())
    assert "can't be kept" in caplog.text


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "l.sqlite").write_text("certainly not a database, but long enough to be looked at" * 10)
    with pytest.raises(InvalidInput, match="give another `ledger`"):
        Learnt(tmp_path / "l.sqlite", "links", devices=1)
