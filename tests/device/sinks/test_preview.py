"""The live preview: on this machine alone, escaped, and moving; nothing is drawn while nobody looks."""

import http.client
import json
import logging

import numpy as np
import pytest
from infilink.codec import decode_jpeg
from infilink.device.sinks.settings import PreviewConfig

from .made import PERSON, boxes, delivered, picture, said

TIMEOUT_S = 300.0


@pytest.fixture
def preview():
    sink = PreviewConfig(kind="preview", listen="127.0.0.1:0").open()
    yield sink
    sink.close()


def get(preview, path, **headers):
    connection = http.client.HTTPConnection(preview.address, timeout=TIMEOUT_S)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def next_picture(answer):
    """The next part of a moving picture."""
    while not (line := answer.fp.readline()).startswith(b"Content-Length"):
        assert line
    size = int(line.split(b":")[1])
    answer.fp.readline()
    return decode_jpeg(answer.fp.read(size))


def test_the_page_shows_each_stream_by_its_escaped_name(preview):
    preview.take(delivered(0, said(boxes(PERSON)), picture=picture(), stream="<script>/1"))
    preview.take(delivered(0, picture=picture(), stream=""))
    answer = get(preview, "/")
    page = answer.read().decode()
    assert answer.status == 200 and "<script>" not in page and "&lt;script&gt;/1" in page
    assert 'src="/stream/%3Cscript%3E%2F1.mjpeg"' in page and 'src="/stream/-.mjpeg"' in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert get(preview, "/stream/%3Cscript%3E%2F1.jpg").status == 200
    assert get(preview, "/stream/-.jpg").status == 200


def test_the_moving_picture_goes_on_with_each_input(preview):
    preview.take(delivered(0, picture=picture(100)))
    answer = get(preview, "/stream/door.mjpeg")
    assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace")
    assert abs(int(next_picture(answer)[-1, -1, 0]) - 100) < 5
    preview.take(delivered(1, picture=picture(200)))
    assert abs(int(next_picture(answer)[-1, -1, 0]) - 200) < 5
    preview.close()
    assert b"--infilink" not in answer.fp.read()


def test_results_can_be_read_as_json(preview):
    preview.take(delivered(7, said(boxes(PERSON))))
    found = json.loads(get(preview, "/results.json").read())
    assert found["door"]["results"][0]["boxes"][0]["class"] == "person"
    assert get(preview, "/stream/door.jpg").status == 404  # There is no picture of it.


def test_a_late_result_does_not_take_the_place_of_what_is_live(preview):
    preview.take(delivered(7, picture=picture()))
    preview.take(delivered(3, late=True))
    assert json.loads(get(preview, "/results.json").read())["door"]["sequence"] == 7


@pytest.mark.parametrize("path", ["/nothing", "/stream/", "/stream/door", "/stream/window.jpg", "/../etc/passwd"])
def test_what_is_not_there_is_not_found(preview, path):
    preview.take(delivered(0, picture=picture()))
    assert get(preview, path).status == 404


def test_a_page_of_another_name_that_leads_here_sees_nothing(preview):
    preview.take(delivered(0, picture=picture()))
    assert get(preview, "/stream/door.jpg", Host="evil.example").status == 403
    assert get(preview, "/", Host="localhost:1").status == 200


def test_only_so_many_may_look_at_once(preview):
    preview.take(delivered(0, picture=picture()))
    looking = [get(preview, "/stream/door.mjpeg") for _ in range(8)]
    assert {answer.status for answer in looking} == {200}
    assert get(preview, "/stream/door.mjpeg").status == 503


def test_it_warns_where_others_can_look(caplog):
    caplog.set_level(logging.INFO)
    PreviewConfig(kind="preview", listen="0.0.0.0:0").open().close()
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "to everybody who reaches this machine" in record.message


def test_nothing_is_drawn_while_nobody_looks(preview, monkeypatch):
    monkeypatch.setattr("infilink.device.sinks.preview.draw_results", lambda *_: pytest.fail("drawn"))
    shown = np.zeros((48, 64, 3), np.uint8)
    preview.take(delivered(0, picture=shown))
    assert get(preview, "/results.json").status == 200
