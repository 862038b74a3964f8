"""Files of a stretch of a stream's time: other programs read them, and what they can't have is said."""

import asyncio
import io
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from infilink.cloud.sent.clip import write_clip
from infilink.cloud.sent.stretch import Material
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.traces.trace import Trace

from ..messages import an_input
from .conftest import Site

SECOND_NS = 10**9
BEGIN_NS = 1_700_000_000 * SECOND_NS


def a_picture(sequence: int, level: int, at_s: float) -> object:
    """An input with a picture of 64 x 48, captured so long after the first."""
    picture = encode_jpeg(np.full((48, 64, 3), level, np.uint8), 95)
    return an_input(sequence, payload=picture, captured_unix_ns=BEGIN_NS + round(at_s * SECOND_NS))


async def export(site: Site, kind: str, *, stream: str = "yard", **more: str) -> httpx.Response:
    site.dashboard.sent.sent.flush()
    shown = site.dashboard.board.shown.answer(stream)
    until_us = (BEGIN_NS // 1000 if shown is None else shown.at_us) + 10**6
    query = {"as": kind, "since_us": str(until_us - 3600 * 10**6), "until_us": str(until_us), **more}
    return await site.client.get(f"/export/{stream}", params=query)


def test_a_trace_has_what_the_models_said_of_the_pictures(visit: Callable, tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.send(a_picture(3, 200, 0.0), a_picture(9, 90, 1.5), device="yard")
        answer = await export(site, "trace")
        assert answer.status_code == 200 and 'filename="yard-' in answer.headers["content-disposition"]
        (tmp_path / "yard.trace").write_bytes(answer.content)
        with Trace(tmp_path / "yard.trace") as trace:
            assert list(trace.models) == ["bright", "corner"] and trace.info.source == "yard"
            assert trace.captured_s.tolist() == [0.0, 1.5]
            assert [round(float(value[0])) for value in trace.outputs("bright")] == [200, 90]
            assert [frame.shape for frame in trace.frames()] == [(48, 64, 3)] * 2

    visit(story)


def test_coco_has_the_boxes_and_their_pictures(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(a_picture(0, 200, 0.0), a_picture(5, 200, 1.0), device="yard")
        await site.send(a_picture(0, 200, 0.0), device="yard", stream="other")
        with zipfile.ZipFile(io.BytesIO((await export(site, "coco")).content)) as file:
            told = json.loads(file.read("annotations.json"))
            names = [image["file_name"] for image in told["images"]]
            assert names == ["yard/1/0.jpg", "yard/1/5.jpg"]
            assert [decode_jpeg(file.read(name)).shape for name in names] == [(48, 64, 3)] * 2
        assert told["annotations"][0]["bbox"] == [0, 0, 32, 24]
        assert [each["name"] for each in told["categories"]] == ["spot"]

    visit(story)


def test_mot_numbers_nobody(visit: Callable) -> None:
    async def story(site: Site) -> None:
        await site.send(a_picture(0, 255, 0.0), a_picture(5, 255, 1.0), device="yard")
        lines = (await export(site, "mot")).text.splitlines()
        assert lines[0].startswith("1,-1,0.00,0.00,32.00,24.00,") and lines[1].startswith("6,-1,")
        await site.send(a_picture(0, 255, 0.0), device="yard", session="2")
        refused = await export(site, "mot")
        assert refused.status_code == 400 and "one run of a device" in refused.json()["error"]

    visit(story)


def test_a_clip_says_how_long_nothing_was_sent(visit: Callable) -> None:
    async def story(site: Site) -> None:
        for sequence, at_s in enumerate((0.0, 0.5, 60.0)):
            await site.send(a_picture(sequence, 60 * sequence, at_s), device="yard")
        with av.open(io.BytesIO((await export(site, "clip")).content)) as clip:
            assert clip.streams.video[0].codec_context.name == "h264"
            assert "no picture stands for longer than 2 s" in clip.metadata["comment"]
            frames = [(frame.time, frame.to_ndarray(format="bgr24")) for frame in clip.decode(video=0)]
        assert [time for time, _ in frames] == [0.0, 0.5, 2.5]
        levels = [int(frame[20, frame.shape[1] // 2].mean()) for _, frame in frames]
        assert np.abs(np.asarray(levels) - (0, 60, 120)).max() < 6

    visit(story)


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("avi", {}, "`as` is one of trace, coco, mot, clip"),
        ("clip", {"until_us": "0"}, "`since_us`, `until_us`"),
        ("clip", {"stream": "door"}, "no pictures of door are kept of this time"),
        ("trace", {"model": "nobody"}, "nobody did not run"),
        ("trace", {"model": "*"}, "one model's name"),
        ("coco", {"model": "bright"}, "there are no boxes"),
        ("mot", {"model": "bright"}, "there are no boxes"),
    ],
)
def test_what_can_not_be_had_is_said(visit: Callable, kind: str, more: dict, said: str) -> None:
    async def story(site: Site) -> None:
        await site.send(a_picture(0, 200, 0.0), device="yard")
        answer = await export(site, kind, **more)
        assert answer.status_code == 400 and said in answer.json()["error"]

    visit(story)


def test_nothing_of_a_file_stays_on_the_disk(visit: Callable, tmp_path: Path) -> None:
    async def story(site: Site) -> None:
        await site.send(a_picture(0, 200, 0.0), device="yard")
        assert (await export(site, "coco")).status_code == 200
        assert not [each for each in tmp_path.iterdir() if "export" in each.name]

    visit(story)


def test_one_file_is_made_at_a_time(visit: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(material: Material, path: Path) -> None:
        begun.set()
        assert go_on.wait(60)
        write_clip(material, path)

    monkeypatch.setattr("infilink.cloud.dashboard.exports.write_clip", slowly)

    async def story(site: Site) -> None:
        await site.send(a_picture(0, 200, 0.0), device="yard")
        first = asyncio.create_task(export(site, "clip"))
        await asyncio.to_thread(begun.wait, 60)
        second = await export(site, "mot")
        assert second.status_code == 503 and "another file is being made" in second.json()["error"]
        go_on.set()
        assert (await first).status_code == 200
        assert (await export(site, "coco")).status_code == 200

    visit(story)


def test_who_has_no_token_gets_no_file(visit: Callable) -> None:
    async def story(site: Site) -> None:
        assert (await site.client.get("/export/yard", params={"as": "clip"})).status_code == 401

    visit(story, token="open sesame")
