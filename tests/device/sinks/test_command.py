"""The command: run for what it is meant for, with JSON; never waited for, never too often, never for too long."""

import json
import sys
import threading

import numpy as np
import pytest
from infilink.device.sinks.command import Command
from infilink.device.sinks.settings import CommandConfig

from .made import CAR, LABEL, PERSON, boxes, delivered, event, said

WRITES = "import sys, uuid; open(sys.argv[1] + '/' + uuid.uuid4().hex, 'w').write(sys.stdin.read())"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes commands that write down what they are given, each run before the next begins."""
    made, texts = [], []

    def make(**settings):
        given = {"kind": "command", "run": ("true",), "every_s": 0.0, "at_once": 64, **settings}
        sink = Command(CommandConfig.model_validate(given), clock=lambda: make.now_s)
        monkeypatch.setattr(sink, "_failure_of", lambda text: texts.append(json.loads(text)) or "")
        monkeypatch.setattr(threading.Thread, "start", threading.Thread.run)
        made.append(sink)
        return sink

    make.now_s = 0.0
    make.texts = texts
    return make


def test_the_command_is_given_json_on_its_standard_input(tmp_path):
    sink = CommandConfig(kind="command", run=(sys.executable, "-c", WRITES, str(tmp_path))).open()
    sink.take(delivered(3, said(boxes(PERSON))))
    sink.close()
    (path,) = tmp_path.iterdir()
    found = json.loads(path.read_text())
    assert found["sequence"] == 3 and found["changed"] == ["yolo"]


def test_a_change_is_what_a_model_says_otherwise(make):
    sink = make()
    for sequence, rows in enumerate([(), (PERSON,), (PERSON,), (PERSON, CAR), ()]):
        sink.take(delivered(sequence, said(boxes(*rows))))
    assert [text["sequence"] for text in make.texts] == [1, 3, 4]
    sink.take(delivered(9, said(boxes(PERSON)), stream="yard"))
    assert make.texts[-1]["stream"] == "yard"


def test_of_classes_that_are_asked_for_only_coming_and_going_counts(make):
    sink = make(classes=["person"])
    for sequence, rows in enumerate([(CAR,), (PERSON, CAR), (PERSON, PERSON), (PERSON,), (CAR,)]):
        sink.take(delivered(sequence, said(boxes(*rows))))
    assert [text["sequence"] for text in make.texts] == [1, 4]


def test_what_is_late_or_has_no_value_yet_is_no_change(make):
    sink = make()
    sink.take(delivered(0, said(boxes(PERSON)), late=True))
    sink.take(delivered(1, said(None, origin="held", reference=0)))
    assert make.texts == []


def test_models_are_chosen_by_name(make):
    sink = make(models=["sky*"])
    sink.take(delivered(0, said(boxes(PERSON))))
    sink.take(delivered(1, said(np.asarray([0.9, 0.1], np.float32), model="sky-2", output=LABEL)))
    assert [text["changed"] for text in make.texts] == [["sky-2"]]


def test_every_input_or_only_events_may_be_wanted(make):
    sink = make(on="input", classes=["car"])
    sink.take(delivered(0, said(boxes(PERSON))))
    sink.take(delivered(1, said(boxes(CAR))))
    sink.take_event(event(delivered(2)))
    assert [text["type"] for text in make.texts] == ["input"]
    sink = make(on="event", classes=["person"])
    sink.take(delivered(1, said(boxes(PERSON))))
    sink.take_event(event(delivered(2)))
    assert [text["type"] for text in make.texts] == ["input", "event"]


def test_it_is_not_run_more_often_than_may_be(make):
    sink = make(on="input", every_s=1.0)
    for sequence in range(25):
        make.now_s = sequence / 10
        sink.take(delivered(sequence, said(boxes(PERSON))))
    assert [text["sequence"] for text in make.texts] == [0, 10, 20] and sink.left_out == 22


def test_only_so_many_run_at_once_and_one_that_hangs_is_killed_and_told(caplog):
    hangs = "import time; time.sleep(600)"
    sink = CommandConfig(
        kind="command", run=(sys.executable, "-c", hangs), on="input", every_s=0.0, timeout_s=2.0
    ).open()
    for sequence in range(4):
        sink.take(delivered(sequence, said(boxes(PERSON))))
    sink.close()
    assert (sink.runs, sink.left_out, sink.failures) == (1, 3, 1)
    assert ["is left out" in caplog.messages[0], "was killed after 2 s (told once)" in caplog.messages[1]] == [True] * 2


def test_one_that_fails_is_told_once(caplog):
    sink = CommandConfig(kind="command", run=("false",), on="input", every_s=0.0, at_once=4).open()
    for sequence in range(3):
        sink.take(delivered(sequence, said(boxes(PERSON))))
    sink.close()
    assert sink.failures == 3 and len(caplog.messages) == 1 and "ended with code 1" in caplog.messages[0]


def test_one_that_reads_nothing_fails_nothing():
    sink = CommandConfig(kind="command", run=("true",), on="input", every_s=0.0).open()
    sink.take(delivered(0, *[said(boxes(*[PERSON] * 500), model=f"m{i}") for i in range(5)]))
    sink.close()
    assert sink.failures == 0
