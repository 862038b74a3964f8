"""What was learned while serving outlives the process, for the version of the links that it was learned about."""

import asyncio
import threading

import numpy as np
import pytest
from infilink.cloud.learned_state import LearnedState
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.tables import LEARNT
from infilink.errors import Overloaded
from infilink.links.answer import Answer
from infilink.links.expectation.expectation import WAYS
from infilink.outputs import OutputSpec

COUNT = OutputSpec(kind="count")
ONE, TWO = np.asarray([1.0], np.float32), np.asarray([2.0], np.float32)
HELD = Answer(ONE, 0.9, "held", (), "certified", output=COUNT)
APART_S = 200.0
"""Further apart than answers are taken to be right or wrong together."""


TARGETS = ("people", "cars")


def disagree(state, device, times=100):
    for index in range(times):
        at_s = APART_S * index
        state.of(device).trust.observe("people", COUNT, HELD, TWO, never=False, age=0, captured_s=at_s, now_s=1000.0)


@pytest.fixture
def opened(ledger_place):
    databases = []

    def open_state(links="first links", devices=10, targets=TARGETS):
        databases.append(Database(ledger_place))
        return LearnedState(databases[-1], links, targets, devices=devices)

    yield open_state
    for database in databases:
        database.close()


def test_a_revoked_link_stays_revoked_over_a_restart_on_its_device_alone(opened):
    before = opened()
    disagree(before, "door")
    assert before.of("door").trust.revoked() == ("people held",)
    before.save(before.changed())
    after = opened()
    assert after.of("door").trust.revoked() == ("people held",)
    assert after.of("door").trust.audited == 100
    assert after.of("yard").trust.revoked() == ()
    assert after.of("door") is after.of("door"), "all sessions of a device share it"


def test_it_is_recalled_beside_the_event_loop_and_then_at_hand(opened, monkeypatch):
    before = opened()
    disagree(before, "door")
    before.save(before.changed())
    after, readers, read = opened(), [], Database.read

    def noted(database):
        readers.append(threading.current_thread())
        return read(database)

    monkeypatch.setattr(Database, "read", noted)

    async def recall():
        await asyncio.gather(after.recall("door"), after.recall("door"))
        return threading.current_thread()

    loop = asyncio.run(recall())
    assert readers and loop not in readers
    del readers[:]
    first = after.of("door")
    assert first.trust.revoked() == ("people held",) and not readers
    asyncio.run(after.recall("door"))
    assert after.of("door") is first and not readers, "what is learned meanwhile stays"


def test_only_what_changed_is_written(opened):
    state = opened()
    disagree(state, "door", times=1)
    state.of("yard")
    assert list(state.changed()) == ["device door"]
    assert state.changed() == {}


def test_other_links_begin_anew(opened):
    before = opened()
    disagree(before, "door")
    before.save(before.changed())
    other = opened("other links")
    assert other.of("door").trust.revoked() == ()
    assert opened().of("door").trust.revoked() == (), "the state of earlier links is deleted"


def test_what_a_device_showed_of_its_answers_goes_on_for_the_same_models(opened):
    before = opened()
    for _ in range(20):
        before.of("door").expectation.observe("people", WAYS[0], 2.0, 0.0)
    before.of("door").expectation.saw(0.5)
    rows = before.changed()
    assert list(rows) == ["expectation door"]
    before.save(rows)
    shifts = before.of("door").expectation.shifts()
    assert shifts[0, 0] < 0.0
    np.testing.assert_array_equal(opened().of("door").expectation.shifts(), shifts)
    assert not opened().of("yard").expectation.shifts().any()
    other = opened(targets=("people",))
    assert not other.of("door").expectation.shifts().any()


def test_what_is_held_in_memory_is_bounded_and_nothing_of_it_is_lost(opened):
    state = opened(devices=2)
    for number in range(5):
        disagree(state, f"camera {number}")
    state.save(state.changed())
    assert len(state._devices) == 2
    assert all(state.of(f"camera {number}").trust.audited == 100 for number in range(5))


def test_what_is_damaged_is_said_and_begun_anew(opened, caplog):
    state = opened()
    state.save({"device door": b"{", "device yard": b'{"alpha": 0.1}', "expectation yard": b"1"})
    assert state.of("door").trust.audited == state.of("yard").trust.audited == 0
    assert caplog.text.count("starts empty") == 3


def test_a_ledger_that_cannot_be_written_costs_what_was_learned_since(opened, caplog):
    state = opened()
    disagree(state, "door")
    with state.database.write() as connection:
        LEARNT.drop(connection)
    state.save(state.changed())
    assert "can't be saved" in caplog.text
    with pytest.raises(Overloaded, match="try again later"):
        state.of("yard")


def test_devices_that_are_recalled_and_refused_take_no_others_place(opened):
    before = opened(devices=2)
    disagree(before, "door")
    before.save(before.changed())
    after = opened(devices=2)
    asyncio.run(after.recall("door"))
    door = after.of("door")

    async def refused():
        for number in range(200):
            await after.recall(f"stranger-{number}")

    asyncio.run(refused())
    assert len(after._devices) == 1 and len(after._ahead) <= 64
    disagree(after, "door", 1)
    assert list(after.changed()) == ["device door"] and after.of("door") is door


def test_what_is_in_use_is_saved_however_many_come_after_it(opened):
    state = opened(devices=3)
    door = state.of("door")
    for number in range(20):
        state.of(f"visitor-{number}")
    state.changed(in_use={"door"})
    assert state.of("door") is door and len(state._devices) == 3
    disagree(state, "door", 1)
    assert list(state.changed(in_use={"door"})) == ["device door"]
