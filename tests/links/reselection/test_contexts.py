import io

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.reselection.context import ActivityMeter, Context, Groups, context_of
from infilink.links.reselection.contexts import MOST_CONTEXTS, Contexts
from infilink.links.reselection.posterior import Seen
from infilink.links.table import BUCKETS, NEVER, Measured, Table

NIGHT, DAY = Context("", 2, "quiet"), Context("", 14, "busy")
TABLES = {
    "t": Table(
        Measured(0.3, 0.3),
        tuple(Measured(0.7, 0.7) for _ in range(NEVER)),
        {("a",): tuple(Measured(0.8, 0.8) for _ in range(BUCKETS))},
    )
}


def seen(agreement: float) -> list[Seen]:
    return [Seen("t", "linked", ("a",), 1, agreement)] * 50


def linked(contexts: Contexts, shares: dict[Context, float]) -> float:
    return contexts.tables(shares)["t"].linked["a",][1].validation


def test_contexts_differ_and_one_that_is_new_is_like_all_of_them() -> None:
    contexts = Contexts(TABLES)
    contexts.observe(NIGHT, seen(1.0))
    contexts.observe(DAY, seen(0.2))
    night, day = linked(contexts, {NIGHT: 1.0}), linked(contexts, {DAY: 1.0})
    new = linked(contexts, {Context("", 9, "busy"): 1.0})
    assert night > 0.85 and day < 0.4 and day < new < night
    assert linked(contexts, {NIGHT: 0.5, DAY: 0.5}) == pytest.approx((night + day) / 2)


def test_the_inputs_that_came_say_what_is_planned_for() -> None:
    contexts = Contexts(TABLES)
    assert contexts.tables() == TABLES and contexts.shares() == {}
    for context in (NIGHT, NIGHT, NIGHT, DAY):
        contexts.came(context)
    assert contexts.shares() == {NIGHT: 0.75, DAY: 0.25}
    contexts.forget()
    assert contexts.shares() == {}


def test_it_does_not_grow_with_the_contexts() -> None:
    contexts = Contexts(TABLES)
    for number in range(MOST_CONTEXTS + 50):
        contexts.observe(Context(str(number), 0, "quiet"), seen(1.0))
    assert len(contexts._by_context) == MOST_CONTEXTS


def test_what_was_seen_outlives_the_process() -> None:
    contexts, again = Contexts(TABLES), Contexts(TABLES)
    contexts.observe(NIGHT, seen(1.0))
    contexts.observe(DAY, seen(0.2))
    file = io.BytesIO()
    np.savez(file, **contexts.as_arrays())
    file.seek(0)
    again.restore(np.load(file, allow_pickle=False))
    for shares in ({NIGHT: 1.0}, {DAY: 1.0}, {Context("", 9, "busy"): 1.0}):
        assert linked(again, shares) == pytest.approx(linked(contexts, shares), abs=1e-6)


def test_what_was_seen_of_other_links_is_refused() -> None:
    with pytest.raises(ValueError, match="the table's ways"):
        Contexts(TABLES).restore(Contexts({"t": TABLES["t"].without_links()}).as_arrays())


def test_devices_are_grouped_by_their_names() -> None:
    groups = Groups({"doors": ["door-*", "gate"], "yard": ["*"]})
    assert [groups.of(name) for name in ("door-2", "gate", "tower")] == ["doors", "doors", "yard"]
    assert Groups({}).of("anything") == ""
    with pytest.raises(InvalidInput, match="'doors' needs a name and one device at least"):
        Groups({"doors": []})


def test_much_change_between_exact_outputs_is_a_busy_scene() -> None:
    meter = ActivityMeter()
    assert meter.activity == "quiet"
    meter.add(0.2)
    assert meter.activity == "busy"
    for _ in range(60):
        meter.add(1.0)
    assert meter.activity == "quiet"


def test_the_hour_is_that_of_utc() -> None:
    assert context_of("g", "busy", 3600.0 * 5 + 59.0) == Context("g", 5, "busy")
