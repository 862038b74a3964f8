"""The phone page's files and filters: who may have which, and why not."""

import gzip
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from infilink.cloud.dashboard import phone_filters
from infilink.cloud.dashboard.phone_filters import PhoneFilters
from infilink.cloud.dashboard.wire_fields import FILE, script
from infilink.cloud.security.tokens import add_token
from infilink.errors import UnknownModel
from infilink.filters.modalities.image import Image
from infilink.filters.modalities.video import Video
from infilink.models.stem.stem import Stem

from ... import web_packages
from ...filters.conftest import train, write_trace
from ...filters.made import REPEATS, scalar, write_filter, write_mean, write_repeats, write_tasks
from ...filters.stems import SIZE, write_stem
from .conftest import Site


def licensed(path: Path, key: str, value: str) -> Path:
    """The same file, which says something more of itself."""
    made = onnx.load(path)
    entry = made.metadata_props.add()
    entry.key, entry.value = key, value
    onnx.save(made, path)
    return path


def why_not(folder: Path) -> dict[str, str]:
    return {name: each.why_not for name, each in PhoneFilters(folder).found().items()}


@pytest.fixture(scope="module")
def short_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trace(tmp_path_factory.mktemp("short") / "drawn.trace", inputs=100)


def test_the_wires_fields_are_those_of_the_proto() -> None:
    assert FILE.read_text(encoding="utf-8") == script(), "python -m infilink.cloud.dashboard.wire_fields"


def test_filters_that_a_phone_can_not_run_are_listed_with_the_reason(tmp_path: Path) -> None:
    write_repeats(tmp_path / "repeats.onnx")
    write_tasks(tmp_path / "tasks.onnx")
    write_mean(tmp_path / "single.onnx", Image())
    write_mean(tmp_path / "clips.onnx", Video())
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    found = why_not(tmp_path)
    assert found["repeats"] == found["single"] == found["tasks"] == ""
    assert "of the kind video" in found["clips"]
    assert found["broken"] and str(tmp_path) not in found["broken"]


def test_a_filter_whose_licence_does_not_say_so_is_not_handed_on(tmp_path: Path) -> None:
    for name, licence in (("free", "MIT"), ("ours", "Proprietary")):
        licensed(write_repeats(tmp_path / f"{name}.onnx"), "license", licence)
    said = licensed(write_repeats(tmp_path / "said.onnx"), "license", "Proprietary")
    licensed(said, "infilink.hand_on", "yes")
    found = why_not(tmp_path)
    assert found["free"] == found["said"] == ""
    assert "'Proprietary'" in found["ours"] and "infilink.hand_on" in found["ours"]
    with pytest.raises(UnknownModel, match="not given to phones"):
        PhoneFilters(tmp_path).file("ours")


def test_a_filter_with_a_stem_is_handed_on_only_as_the_stems_licence_allows(tmp_path: Path, short_trace: Path) -> None:
    filters = tmp_path / "filters"
    filters.mkdir()
    for name, licence in (("free", "Apache 2.0"), ("untold", ""), ("theirs", "AGPL-3.0")):
        stem = Stem(write_stem(tmp_path / f"{name}.onnx", licence=licence))
        train(short_trace, filters / f"{name}.onnx", "value < 1", models=("squares",), candidates=("stem",), stem=stem)
    found = PhoneFilters(filters).found()
    told = found["free"].decides_by["stem"]
    assert found["free"].decides_by["learnt_step_s"] == pytest.approx(0.1)
    assert (told["model"], told["licence"], told["size"]) == ("drawn", "Apache 2.0", SIZE)
    assert found["untold"].why_not.startswith("it holds layers of 'drawn', whose licence is not stated")
    assert "whose licence is 'AGPL-3.0'" in found["theirs"].why_not
    for name in ("untold", "theirs"):
        with pytest.raises(UnknownModel, match="not given to phones"):
            PhoneFilters(filters).file(name)


def test_a_filter_that_changes_is_read_again(tmp_path: Path) -> None:
    filters = PhoneFilters(tmp_path)
    write_repeats(tmp_path / "f.onnx", threshold=0.25)
    assert filters.found()["f"].decides_by["threshold"] == 0.25
    write_filter(tmp_path / "f.onnx", scalar("age"), REPEATS, threshold=0.125, kind="another one")
    assert filters.found()["f"].decides_by["threshold"] == 0.125
    (tmp_path / "f.onnx").unlink()
    assert filters.found() == {}


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_filters, "_LARGEST_BYTES", 10)
    write_repeats(tmp_path / "f.onnx")
    assert "at most 10 are sent" in why_not(tmp_path)["f"]


def test_the_page_alone_may_compile_and_has_its_filters(visit: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "filters"
    folder.mkdir()
    path = write_repeats(folder / "repeats.onnx")

    async def story(site: Site) -> None:
        page = await site.client.get("/phone")
        assert page.status_code == 200 and "'wasm-unsafe-eval'" in page.headers["content-security-policy"]
        assert "wasm" not in (await site.client.get("/site")).headers["content-security-policy"]
        listed = (await site.client.get("/phone/filters")).json()
        assert listed["folder"] and listed["filters"]["repeats"]["threshold"] == REPEATS.threshold
        got = await site.client.get("/phone/filter/repeats")
        assert got.content == path.read_bytes() and got.headers["cache-control"] == "no-store"
        digest = listed["filters"]["repeats"]["digest"]
        got = await site.client.get(f"/phone/filter/repeats?digest={digest}")
        assert got.content == path.read_bytes() and "immutable" in got.headers["cache-control"]
        write_repeats(path, threshold=0.5)
        changed = await site.client.get(f"/phone/filter/repeats?digest={digest}")
        assert changed.status_code == 404 and "load the page again" in changed.json()["error"]
        for name in ("nobody", "..%2Fledger"):
            assert (await site.client.get(f"/phone/filter/{name}")).status_code == 404

    visit(story, phone_filters=folder)


def test_the_runtime_travels_compressed(visit: Callable) -> None:
    async def story(site: Site) -> None:
        async with site.client.stream("GET", "/static/ort/ort-wasm-simd-threaded.wasm") as answer:
            assert answer.headers["content-type"] == "application/wasm"
            assert answer.headers["content-encoding"] == "gzip"
            raw = b"".join([each async for each in answer.aiter_raw()])
        assert gzip.decompress(raw) == web_packages.ORT.stored("ort-wasm-simd-threaded.wasm")
        told = (await site.client.get("/phone/filters")).json()
        assert told == {"filters": {}, "folder": False}

    visit(story)


def test_the_page_is_for_tokens_of_devices(visit: Callable, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    door = add_token(tokens, "door", scopes=("device",), devices=("door",), days=None)
    reader = add_token(tokens, "ann", scopes=("reader",), devices=(), days=None)

    async def story(site: Site) -> None:
        site.client.headers["origin"] = str(site.client.base_url).rstrip("/")
        asked = await site.client.get("/phone", follow_redirects=True)
        assert "--scope device" in asked.text
        refused = await site.client.post("/login", data={"token": reader, "to": "/phone"}, follow_redirects=True)
        assert "needs the scope device" in refused.text
        let_in = await site.client.post("/login", data={"token": door, "to": "/phone"}, follow_redirects=True)
        assert let_in.url.path == "/phone" and let_in.status_code == 200
        assert (await site.client.get("/site")).headers["location"].startswith("/login")

    visit(story, tokens=tokens)
