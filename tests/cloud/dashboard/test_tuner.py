"""The filter tuner over a real server, real recordings and real training."""

import hashlib
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.cloud.security.tokens import add_token
from infilink.codec import decode_jpeg
from infilink.models.cost import ModelCost
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from ...filters.conftest import spec_of
from ...filters.made import write_frames
from .conftest import Site

EVENTS = {"do": "tune", "recording": "door.trace", "model": "squares", "rule": "value < 1", "aim": "events"}


async def answered(site: Site, question: dict[str, Any]) -> dict[str, Any]:
    """What comes of a question."""
    asked = await site.client.post("/tuner/ask", json=question)
    assert asked.status_code in (200, 202), asked.text
    if asked.status_code == 202:
        job = await ended(site)
        assert job["state"] == "done", job
    return (await site.client.get(f"/tuner/answer/{asked.json()['key']}")).json()


async def begun(site: Site, recording: str) -> dict[str, Any]:
    """What the page of a recording begins with."""
    page = await site.client.get(f"/tuner/recording/{recording}")
    found: dict[str, Any] = json.loads(html.unescape(re.search(r'data-start="([^"]*)"', page.text)[1]))
    return found


async def ended(site: Site) -> dict[str, Any]:
    """How the work under way ended."""
    await site.dashboard.tuner.jobs.ended()
    return (await site.client.get("/tuner/job")).json()["job"]


def test_without_a_folder_the_page_says_how_to_make_one(visit: Callable) -> None:
    async def story(site: Site) -> None:
        page = await site.client.get("/tuner")
        assert page.status_code == 200
        assert 'recordings = "recordings"' in html.unescape(page.text)
        assert "infilink record --models models --source rtsp://CAMERA/stream --out recordings/door.trace" in page.text
        refused = await site.client.post("/tuner/ask", json=EVENTS)
        assert refused.status_code == 400 and "`recordings` in cloud.toml" in refused.json()["error"]

    visit(story)


def test_recordings_and_filters_are_listed_and_bad_ones_are_named_with_their_reason(
    visit: Callable, folder: Path
) -> None:
    (folder / "broken.trace").write_bytes(b"no trace")
    (folder / "<b>.trace").write_bytes(b"no trace")
    write_frames(folder / "frames.onnx")

    async def story(site: Site) -> None:
        text = (await site.client.get("/tuner")).text
        assert 'href="/tuner/recording/door.trace"' in text and "squares" in text
        assert "frames.onnx" in text and "error 0.020" in text
        assert re.search(r"<b>broken.trace</b>: is (not|no)", text)
        assert "<b><b>" not in text and "&lt;b&gt;.trace" in text

    visit(story, recordings=folder)


def test_every_level_says_what_it_sends_and_misses_and_what_is_proven(visit: Callable, folder: Path) -> None:
    async def story(site: Site) -> None:
        found = await answered(site, EVENTS)
        assert (found["competed"], found["rule"]) == (["blend", "kept-blocks", "age"], "value < 1")
        assert found["learnt"] + found["calibrated"] < found["first"] < 400
        assert found["judged"] == 400 - found["first"]
        assert [level["asked"] for level in found["levels"]] == [round(0.5 + 0.01 * i, 2) for i in range(50)]
        for level in found["levels"]:
            point = found["points"][level["point"]]
            missed = sum(late is None for late in point["late_s"])
            assert len(point["late_s"]) == len(found["events"]) == point["events"] == point["found"] + missed
            assert level["certified"] == (level["promised"] >= level["asked"]) == (level["more"] == 0)
            assert {"random", "every K-th", "difference to last kept"} <= {each["name"] for each in point["baselines"]}
            for each in point["baselines"][:2]:
                assert each["sent"] == pytest.approx(point["sent"], abs=0.5 / found["judged"])
        # To find more takes no fewer inputs of a gate, and no fewer proofs.
        assert [level["more"] for level in found["levels"]] == sorted(level["more"] for level in found["levels"])
        again = await site.client.post("/tuner/ask", json=EVENTS)
        assert again.status_code == 200 and again.json()["job"] is None

    visit(story, recordings=folder)


def test_a_filters_file_is_judged_by_its_own_rule(visit: Callable, folder: Path) -> None:
    write_frames(folder / "frames.onnx")

    async def story(site: Site) -> None:
        found = await answered(site, {"do": "tune", "recording": "door.trace", "filter": "frames.onnx"})
        assert (found["competed"], found["rule"], found["learnt"]) == (["frames"], "value < 1", 0)
        # Its score is exactly what is asked for.
        best = found["points"][found["levels"][45]["point"]]
        assert best["accuracy"] > 0.95 and best["sent"] < 1.0

    visit(story, recordings=folder)


def test_an_event_has_its_picture(visit: Callable, folder: Path) -> None:
    async def story(site: Site) -> None:
        found = await site.client.get("/tuner/picture/door.trace/7", params={"width": "320"})
        assert decode_jpeg(found.content).shape == (120, 160, 3)
        for path in ("door.trace/400", "nobody.trace/0", "..%2Fdoor.trace/0"):
            assert (await site.client.get(f"/tuner/picture/{path}")).status_code in (400, 404)

    visit(story, recordings=folder)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rule": "count(person) == 0"}, "person"),
        ({"rule": "value >> 1"}, "rule"),
        ({"rule": " "}, "say what is redundant"),
        ({"model": "nobody"}, "nobody"),
        ({"rule": "value < 5"}, "trivial"),
        ({"recording": "other.trace"}, "other.trace"),
        ({"recording": "../door.trace"}, "no '../door.trace'"),
        ({"filter": "other.onnx"}, "other.onnx"),
        ({"aim": "beauty"}, "aim"),
        ({"do": "dance"}, "'tune', 'make', 'compare'"),
        ({"do": "make", "asked": 0.9, "name": "../out.onnx"}, "name"),
        ({"do": "make", "asked": 0.9, "name": "door.trace"}, "name"),
        ({"do": "make", "asked": 1.0, "name": "new.onnx"}, "asked"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_makes_no_sense_is_said(visit: Callable, folder: Path, change: dict[str, Any], why: str) -> None:
    async def story(site: Site) -> None:
        asked = await site.client.post("/tuner/ask", json=EVENTS | change)
        told = asked.json().get("error") or (await ended(site))["why"]
        assert why in told and str(folder) not in told

    visit(story, recordings=folder)


def test_of_a_vector_no_rule_is_suggested_that_does_not_fit_and_it_has_no_events(visit: Callable, folder: Path) -> None:
    output = OutputSpec(kind="vector", length=2)
    info = TraceInfo("drawn", 10.0, {"mood": spec_of("mood", output)}, {"mood": "d"}, {"mood": ModelCost(0, 0.1, 0.1)})
    with TraceWriter(folder / "mood.trace", info) as writer, Trace(folder / "door.trace") as frames:
        for i, jpeg in enumerate(frames.payloads()):
            writer.append(i, i / 10, jpeg, {"mood": np.asarray([i % 40 < 20, i % 40 >= 20], np.float32)})

    async def story(site: Site) -> None:
        assert (await begun(site, "mood.trace"))["suggestions"] == {"mood": ["unchanged"]}
        asking = {"do": "tune", "recording": "mood.trace", "rule": "unchanged"}
        await site.client.post("/tuner/ask", json=asking | {"aim": "events"})
        assert "nothing comes and goes that could be an event" in (await ended(site))["why"]
        assert (await answered(site, asking))["sayable"] == [{"model": "mood", "kind": "vector", "what": []}]

    visit(story, recordings=folder)


def test_one_thing_is_done_at_a_time_and_can_be_cancelled(visit: Callable, folder: Path) -> None:
    async def story(site: Site) -> None:
        first = (await site.client.post("/tuner/ask", json=EVENTS | {"networks": True})).json()["job"]
        refused = await site.client.post("/tuner/ask", json=EVENTS)
        assert refused.status_code == 503 and "one thing at a time" in refused.json()["error"]
        process = site.dashboard.tuner.jobs
        cancelled = await site.client.post("/tuner/cancel", json={"number": first["number"]})
        assert cancelled.status_code == 200
        assert (await ended(site))["state"] == "cancelled"
        assert process.current.state == "cancelled"
        again = await site.client.post("/tuner/cancel", json={"number": first["number"]})
        assert again.status_code == 400
        assert (await answered(site, EVENTS))["events"]

    visit(story, recordings=folder)


def test_a_page_that_was_away_is_told_what_was_asked_and_what_came_of_it(visit: Callable, folder: Path) -> None:
    async def story(site: Site) -> None:
        first = (await site.client.post("/tuner/ask", json=EVENTS)).json()["job"]
        assert {key: first["question"][key] for key in EVENTS} == EVENTS
        assert (await begun(site, "door.trace"))["job"]["number"] == first["number"]
        await ended(site)
        again = (await begun(site, "door.trace"))["job"]
        assert (again["number"], again["state"]) == (first["number"], "done")
        # Another one's work does not make it unknown.
        second = (await site.client.post("/tuner/ask", json=EVENTS | {"rule": "value >= 1"})).json()["job"]
        told = (await site.client.get("/tuner/job", params={"number": first["number"]})).json()["job"]
        assert (told["state"], told["key"]) == ("done", first["key"]) and second["number"] > first["number"]
        await ended(site)
        for number in ("7", "x", "²", "9" * 40):
            assert (await site.client.get("/tuner/job", params={"number": number})).json()["job"] is None
        # What was corrected since makes the answer an old one.
        marking = {"recording": "door.trace", "model": "squares", "what": "something", "there": True}
        await site.client.post("/tuner/mark", json=marking | {"first": 0, "last": 0})
        assert (await begun(site, "door.trace"))["job"] is None

    visit(story, recordings=folder)


def test_who_may_only_look_has_nothing_computed(visit: Callable, folder: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = add_token(tokens, "viewer", scopes=("reader",), devices=(), days=None)

    async def story(site: Site) -> None:
        assert (await site.client.get("/tuner")).status_code == 303
        headers = {"authorization": f"Bearer {token}"}
        page = await site.client.get("/tuner/recording/door.trace", headers=headers)
        start = json.loads(html.unescape(re.search(r'data-start="([^"]*)"', page.text)[1]))
        assert start["may"] is False and start["suggestions"]["squares"][0] == "value < 1"
        refused = await site.client.post("/tuner/ask", json=EVENTS, headers=headers)
        assert refused.status_code == 403 and "operator" in refused.json()["error"]

    visit(story, recordings=folder, tokens=tokens)


def test_another_sites_page_has_nothing_computed(visit: Callable, folder: Path) -> None:
    async def story(site: Site) -> None:
        elsewhere = {"origin": "https://elsewhere.example"}
        assert (await site.client.post("/tuner/ask", json=EVENTS, headers=elsewhere)).status_code == 403
        form = await site.client.post("/tuner/ask", content=json.dumps(EVENTS), headers={"content-type": "text/plain"})
        assert form.status_code == 400 and "application/json" in form.json()["error"]

    visit(story, recordings=folder)


def test_a_filter_that_is_made_does_what_the_slider_showed_and_stands_beside_the_one_at_work(
    visit: Callable, folder: Path, tmp_path: Path
) -> None:
    write_frames(folder / "old.onnx")
    asking = {**EVENTS, "aim": "accuracy"}
    make = asking | {"do": "make", "asked": 0.8, "name": "new.onnx", "beside": "old.onnx"}
    tokens = tmp_path / "tokens.toml"
    operator = add_token(tokens, "ann", scopes=("operator",), devices=(), days=None)
    device = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)

    async def story(site: Site) -> None:
        site.client.headers["authorization"] = f"Bearer {operator}"
        shown = await answered(site, asking)
        # Nothing is proven of so short a recording: as on the command line nothing is written then.
        refused = await site.client.post("/tuner/ask", json=make | {"asked": 0.9})
        assert refused.status_code == 202
        job = await ended(site)
        assert job["state"] == "failed" and "nothing is certified" in job["why"]
        assert job["why"].endswith("ask for less, or tick “also without a proof”") and "--uncertified" not in job["why"]
        assert not (folder / "new.onnx").exists()
        found = await answered(site, make | {"uncertified": True})
        new, old = found["sides"]
        level = shown["levels"][30]
        point = shown["points"][level["point"]]
        assert (new["name"], old["name"]) == ("new.onnx", "old.onnx")
        assert {key: new[key] for key in ("sent", "found", "accuracy", "size_bytes", "late_s")} == {
            key: pytest.approx(point[key]) if key != "late_s" else point[key]
            for key in ("sent", "found", "accuracy", "size_bytes", "late_s")
        }
        assert new["asked"] == ["accuracy", 0.8] and new["promises"] and "contract" in new["contract"]
        assert old["accuracy"] == 1.0
        again = await site.client.post("/tuner/ask", json=make | {"asked": 0.7})
        assert again.status_code == 400 and "is there already" in again.json()["error"]
        # A device may fetch it, and sees by its digest that it is whole.
        taken = await site.client.get("/tuner/filter/new.onnx", headers={"authorization": f"Bearer {device}"})
        assert taken.content == (folder / "new.onnx").read_bytes()
        assert hashlib.sha256(taken.content).hexdigest() == found["made"]["digest"]
        fitting = (await site.client.get("/tuner/filters/door.trace")).json()["filters"]
        assert found["made"]["digest"] in {each["digest"] for each in fitting}
        assert (await site.client.get("/tuner/filter/door.trace")).status_code == 400
        nobody = await site.client.get("/tuner/filter/new.onnx", headers={"authorization": "Bearer guess"})
        assert nobody.status_code == 401

    visit(story, recordings=folder, tokens=tokens)


def test_its_process_ends_with_who_asked(folder: Path) -> None:
    question = {"folder": str(folder), "question": EVENTS | {"networks": True}}
    # What it reads from ends right behind the question, as where the coordinator is killed.
    done = subprocess.run(
        [sys.executable, "-m", "infilink.cloud.dashboard.tuner_work"],
        input=json.dumps(question) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and "answer" not in done.stdout
