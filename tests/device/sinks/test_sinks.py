"""What holds for every sink: it takes inputs of all kinds, events and late results, in any order, and can be closed."""

import re

import numpy as np
import pytest
from infilink.device.sinks.base import SinkRunner
from infilink.device.sinks.callback import Callback
from infilink.device.sinks.settings import CommandConfig, JsonLinesConfig, PreviewConfig, VideoConfig
from infilink.errors import InvalidInput
from infilink.outputs import OutputSpec

from .made import CAR, LABEL, PERSON, boxes, delivered, event, picture, said

SINKS = {
    "callback": lambda folder: Callback(lambda item: None, pictures=True),
    "jsonl": lambda folder: JsonLinesConfig(kind="jsonl", path=folder / "r.jsonl").open(),
    "video": lambda folder: VideoConfig(kind="video", folder=folder / "v").open(),
    "preview": lambda folder: PreviewConfig(kind="preview", listen="127.0.0.1:0").open(),
    "command": lambda folder: CommandConfig(kind="command", run=("true",), every_s=0.0).open(),
}
OTHERS = {
    "multilabel": (OutputSpec(kind="multilabel", classes=("a", "b")), [0.1, 0.9]),
    "count": (OutputSpec(kind="count"), [3.0]),
    "scalar": (OutputSpec(kind="scalar"), [0.25]),
    "vector": (OutputSpec(kind="vector", length=3), [0.0, 1.0, 2.0]),
    "tokens": (OutputSpec(kind="tokens", length=9), [1, 8]),
    "mask": (OutputSpec(kind="mask"), [[0.0, 1.0], [1.0, 1.0]]),
}


def items():
    everything = [said(np.asarray(value), model=kind, output=output) for kind, (output, value) in OTHERS.items()]
    first = delivered(0, said(boxes(PERSON, CAR)), picture=picture())
    return [
        first,
        delivered(1, said(boxes(), trust="unsure", confidence=0.4), picture=picture(size=(61, 47))),
        delivered(2, said(boxes(PERSON), origin="held", reference=0, trust="certified"), picture=picture()),
        delivered(3, said(None, origin="held", reference=1, trust="certified"), stream=""),
        delivered(4, *everything, said(np.asarray([0.2, 0.8], np.float32), model="sky", output=LABEL)),
        delivered(5, refused="late", level="slower", picture=picture()),
        delivered(1, said(boxes(CAR), trust="revoked"), late=True, unix_s=None),
        delivered(0, said(boxes(CAR), trust="a new word"), picture=picture(), stream="ümläut/<b>"),
        event(first),
    ]


@pytest.fixture(params=SINKS)
def runner(request, tmp_path):
    made = SinkRunner(request.param, SINKS[request.param](tmp_path))
    yield made
    made.close()


def test_a_sink_takes_whatever_comes(runner):
    given = items()
    for item in given:
        runner.put(item)
    runner.close()
    assert (runner.taken, runner.failed, runner.left_out) == (len(given), 0, 0)


def test_a_sink_that_was_given_nothing_can_be_closed_twice(runner):
    runner.close()
    runner.close()
    runner.put(delivered(0))
    assert (runner.taken, runner.failed) == (0, 0)


def test_a_sink_writes_into_no_picture(runner):
    shown = picture()
    shown.flags.writeable = False
    runner.put(delivered(0, said(boxes(PERSON)), picture=shown))
    runner.close()
    assert runner.failed == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: JsonLinesConfig(kind="jsonl", path=folder / "file" / "r.jsonl"), "file.*can't be written"),
        (lambda folder: VideoConfig(kind="video", folder=folder / "file"), "is no folder that can be written to"),
        (lambda folder: PreviewConfig(kind="preview", listen="192.0.2.1:80"), "preview: can't listen on 192.0.2.1:80"),
        (lambda folder: CommandConfig(kind="command", run=("no-such-program",)), "no program 'no-such-program'"),
    ],
)
def test_what_can_not_be_opened_says_why(make, message, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=message):
        make(tmp_path).open()


def test_every_kind_of_output_has_a_form_in_json(tmp_path):
    for kind, (output, value) in OTHERS.items():
        found = said(np.asarray(value), output=output).as_json()
        assert found["kind"] == kind and len(set(found) - {"model", "kind"}) > 6
        assert not re.search("nan|inf", str(found))
