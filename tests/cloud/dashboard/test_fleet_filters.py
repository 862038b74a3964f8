"""The pages by which filters are rolled out: which one, where, what became of it, and back."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from infilink.cloud.security.tokens import add_token

from ..fleet.test_filters import a_filter, said
from .conftest import Site
from .test_fleet import devices


async def filter_of(site: Site, device: str) -> dict:
    return (await devices(site))[device]["streams"][0]["filter"]


def test_a_filter_of_the_recordings_goes_to_one_then_to_the_others_and_back(visit: Callable, tmp_path: Path) -> None:
    content = a_filter(tmp_path, "made.onnx") if (tmp_path / "models").is_dir() else b""
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "door-2.onnx").write_bytes(content)
    found = hashlib.sha256(content).hexdigest()

    async def story(site: Site) -> None:
        for device in ("door", "yard"):
            await site.send(said(), device=device)
        listed = await site.client.get("/fleet/filter?stream=door")
        assert 'href="/fleet/filter?file=door-2.onnx&amp;stream=door"' in listed.text
        asked = (await site.client.get("/fleet/filter?file=door-2.onnx&stream=door")).text
        assert "One stream first" in asked and 'type="radio" name="stream" value="door" checked' in asked
        assert found in asked and "curl -fsS http://" in asked and "sha256sum -c" in asked
        form = {"file": "door-2.onnx", "stream": ["door", "yard"]}
        refused = await site.client.post("/fleet/filter", data=form)
        assert refused.status_code == 400 and "no stream runs this filter yet" in refused.text
        done = await site.client.post("/fleet/filter", data={**form, "stream": "door"})
        assert done.status_code == 303
        wanted = await filter_of(site, "door")
        assert (wanted["state"], wanted["digest"], wanted["by"]) == ("not connected", found, "whoever asks")
        assert wanted["wanted"] == f"door-2.onnx ({found[:16]})" and wanted["before"]["gate"] == "door.onnx"

        wish = site.coordinator.filters.store.wishes["door"]
        await site.send(said(wish.number, found), device="door")
        door = await filter_of(site, "door")
        assert (door["state"], door["others"]) == ("at work", 1) and door["figures"]["kept"] == 4
        asked = (await site.client.get(f"/fleet/filter?digest={found}")).text
        assert 'type="checkbox" name="stream" value="yard" checked' in asked and "all others where" in asked
        await site.client.post("/fleet/filter", data={"digest": found, "stream": "yard"})
        assert (await filter_of(site, "yard"))["digest"] == found

        assert door["back"] == "the gate of its own device.toml"
        asked = await site.client.get("/fleet/back/door")
        assert "Back on door?" in asked.text and "the gate of its own device.toml is to decide" in asked.text
        assert (await site.client.post("/fleet/back/door")).status_code == 303
        assert (await filter_of(site, "door"))["digest"] == ""

    visit(story, recordings=folder)


def test_what_is_not_there_is_said(visit: Callable) -> None:
    async def story(site: Site) -> None:
        none = await site.client.get("/fleet/filter?stream=door")
        assert "infilink fleet filter door --file FILTER.onnx" in none.text
        assert (await site.client.get("/fleet/filter?file=door.onnx")).status_code == 400
        assert "not here any more" not in none.text
        gone = await site.client.get(f"/fleet/filter?digest={'0' * 64}")
        assert gone.status_code == 400 and "here any more" in gone.text
        assert "nothing to go back to" in (await site.client.get("/fleet/back/door/north")).text
        assert (await site.client.post("/fleet/filter", data={})).status_code == 400
        assert (await site.client.post("/fleet/filter", content=b"x" * 2**19)).status_code == 400

    visit(story)


def test_only_an_operator_rolls_out_and_from_no_other_site(visit: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    reader = add_token(tokens, "ann", scopes=("reader",), devices=(), days=None)
    operator = add_token(tokens, "ops", scopes=("operator",), devices=(), days=None)

    async def story(site: Site) -> None:
        site.client.headers["authorization"] = f"Bearer {reader}"
        for path in ("/fleet/filter", "/fleet/back/door"):
            assert "/login" in (await site.client.get(path)).headers["location"]
            assert "/login" in (await site.client.post(path)).headers["location"]
        site.client.headers["authorization"] = f"Bearer {operator}"
        site.client.headers["origin"] = "http://elsewhere.example"
        assert "/login" in (await site.client.post("/fleet/back/door")).headers["location"]

    visit(story, tokens=tokens)
