"""What people draw and correct on the tuner's page, and what comes of it."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from infilink.device.mask import read_masks
from infilink.filters.rules.zones import read_zones

from ...filters.conftest import write_trace
from .conftest import Site
from .test_tuner import EVENTS, answered, begun


def test_corrections_of_another_recording_of_that_name_count_for_nothing(visit: Callable, folder: Path) -> None:
    marking = {"recording": "door.trace", "model": "squares", "what": "value < 1", "first": 5, "last": 8}

    async def story(site: Site) -> None:
        assert (await site.client.post("/tuner/mark", json=marking)).json()["marks"]
        assert (await begun(site, "door.trace"))["marks"]
        (folder / "door.trace").unlink()
        write_trace(folder / "door.trace", inputs=400, seed=7)
        page = await site.client.get("/tuner/recording/door.trace")
        assert "door.marks.json is of another recording that had this name" in page.text
        assert (await begun(site, "door.trace"))["marks"] == []
        assert (await answered(site, EVENTS))["corrected"] == 0
        (mark,) = (await site.client.post("/tuner/mark", json=marking | {"first": 9, "last": 9})).json()["marks"]
        assert mark["first"] == 9
        assert "is of another recording" not in (await site.client.get("/tuner/recording/door.trace")).text

    visit(story, recordings=folder)


def test_an_answer_that_is_wrong_counts_as_not_said_until_it_is_taken_back(visit: Callable, folder: Path) -> None:
    async def story(site: Site) -> None:
        found = await answered(site, EVENTS)
        event = found["events"][0]
        marking = {"recording": "door.trace", "model": "squares", "what": event["what"]}
        marking |= {"first": event["first"], "last": event["last"]}
        marks = (await site.client.post("/tuner/mark", json=marking)).json()["marks"]
        assert marks == [{key: marking[key] for key in ("model", "what", "first", "last")} | {"there": False}]
        again = await answered(site, EVENTS)
        assert again["corrected"] == 1 and again["events"] == found["events"][1:]
        back = await site.client.post("/tuner/mark", json=marking | {"wrong": False})
        assert back.json()["marks"] == [] and not (folder / "door.marks.json").exists()
        # The same files have the same answer, which is still there.
        assert (await site.client.post("/tuner/ask", json=EVENTS)).status_code == 200

    visit(story, recordings=folder)


def test_what_a_model_missed_counts_as_said_until_it_is_taken_back(visit: Callable, blind: Path) -> None:
    asking = EVENTS | {"recording": "blind.trace"}

    async def story(site: Site) -> None:
        found = await answered(site, asking)
        assert found["sayable"] == [{"model": "squares", "kind": "count", "what": ["something"]}]
        quiet = set(range(341, 398))
        for point in found["points"]:
            assert len(quiet & {*point["skipped"], *point["in_vain"]}) > 10
        marking = {"recording": "blind.trace", "model": "squares", "what": "something", "there": True}
        marking |= {"first": 370, "last": 370, "around_s": 0.5}
        (mark,) = (await site.client.post("/tuner/mark", json=marking)).json()["marks"]
        assert (mark["there"], mark["first"], mark["last"]) == (True, 365, 375)
        again = await answered(site, asking)
        assert (again["added"], again["corrected"]) == (1, 0)
        new = [(each["first"], each["last"]) for each in again["events"] if each not in found["events"]]
        assert new == [(365, 375)] and len(again["events"]) == len(found["events"]) + 1
        back = await site.client.post("/tuner/mark", json=mark | {"recording": "blind.trace", "wrong": False})
        assert back.json()["marks"] == [] and not (blind / "blind.marks.json").exists()
        assert (await site.client.post("/tuner/ask", json=asking)).status_code == 200

    visit(story, recordings=blind)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"last": 400}, "no such answer"),
        ({"first": 9}, "no such answer"),
        ({"model": "nobody"}, "no such answer"),
        ({"model": "scene", "what": "label in (left)"}, "does not tell what is right"),
        ({"what": "value >= 1"}, "does not tell what is right"),
        ({"what": "x" * 2001}, "what"),
        ({"model": "scene", "what": "left in door"}, "is not drawn on this recording"),
        ({"there": True}, "can't say 'value < 1': say something"),
        ({"there": True, "model": "scene", "what": "right or so"}, "say one of its classes"),
        ({"there": True, "what": "something", "around_s": -1}, "around_s"),
        ({"recording": "../door.trace"}, "no '../door.trace'"),
    ],
)
def test_what_can_not_be_wrong_is_said(visit: Callable, folder: Path, change: dict[str, Any], why: str) -> None:
    async def story(site: Site) -> None:
        marking = {"recording": "door.trace", "model": "squares", "what": "value < 1", "first": 5, "last": 8}
        refused = await site.client.post("/tuner/mark", json=marking | change)
        assert refused.status_code == 400 and why in refused.json()["error"]
        assert [path.name for path in folder.iterdir()] == ["door.trace"]

    visit(story, recordings=folder)


def test_zones_and_masks_are_saved_as_training_and_devices_read_them(visit: Callable, folder: Path) -> None:
    door = [[0.1, 0.2], [0.3, 0.2], [0.3, 0.9]]
    drawn = {"recording": "door.trace", "zones": {'the "door", left': door}, "mask": [[[0, 0], [1, 0], [1, 0.25]]]}

    async def story(site: Site) -> None:
        saved = await site.client.post("/tuner/draw", json=drawn)
        assert saved.json()["mask_line"] == "mask = [[[0.0000, 0.0000], [1.0000, 0.0000], [1.0000, 0.2500]]]"
        zones = read_zones(folder / "door.zones.toml")
        assert {name: zone.points for name, zone in zones.items()} == {'the "door", left': tuple(map(tuple, door))}
        masks = read_masks(folder / "door.mask.toml", ["door"])
        assert masks == {"door": (((0.0, 0.0), (1.0, 0.0), (1.0, 0.25)),)}
        page = await site.client.get("/tuner/recording/door.trace")
        start = json.loads(html.unescape(re.search(r'data-start="([^"]*)"', page.text)[1]))
        assert start["drawn"] == {key: drawn[key] for key in ("zones", "mask")}
        crossed = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
        for wrong, why in (({"a": door[:2]}, "corners"), ({"a": crossed}, "cross"), ({"a": [[2, 2]] * 3}, "outside")):
            refused = await site.client.post("/tuner/draw", json=drawn | {"zones": wrong})
            assert refused.status_code == 400 and why in refused.json()["error"]
        assert read_zones(folder / "door.zones.toml").keys() == zones.keys()
        await site.client.post("/tuner/draw", json={"recording": "door.trace"})
        assert [path.name for path in folder.iterdir()] == ["door.trace"]

    visit(story, recordings=folder)
