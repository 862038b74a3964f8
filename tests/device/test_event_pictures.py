"""Pictures of events: one for each, large, whole and sharp, also from just before it was first said, within bounds."""

import json

import cv2
import numpy as np
import pytest
from infilink.device.event_pictures import EventPictures, EventPicturesConfig
from infilink.errors import InvalidInput

from .sinks.made import LABEL, boxes, delivered, said

WIDTH, HEIGHT = 160, 120


def seen(blur=0.0):
    """A picture with sharp texture all over, or as through a lens out of focus."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
    pixels = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    return cv2.GaussianBlur(pixels, (0, 0), blur) if blur else pixels


def person(left=0.3, top=0.3, right=0.5, bottom=0.6, score=0.8):
    return (left, top, right, bottom, score, 1.0)


@pytest.fixture
def make(tmp_path):
    def make(**settings):
        return EventPictures(EventPicturesConfig(folder=tmp_path, **settings), on_event=make.events.append)

    make.events = []
    return make


def one_event(sink, rows, *, blur=(), **others):
    """An event of as many inputs, a tenth of a second apart, and an end after it."""
    for sequence, row in enumerate(rows):
        shown = seen(blur[sequence] if blur else 0.0)
        found = said(boxes(*([row] if row else [])))
        sink.take(delivered(sequence, found, picture=shown, **others))
    sink.close()


def test_the_largest_whole_and_sharp_one_is_taken(make, tmp_path):
    sink = make()
    rows = [person()] * 10
    rows[3] = person(right=0.7, bottom=0.9)  # Larger,
    rows[5] = person(right=0.7, bottom=0.9)  # as large, but blurred,
    rows[7] = person(left=0.0, right=0.6, bottom=1.0)  # still larger, but cut off.
    blur = [0.0] * 10
    blur[5] = 3.0
    one_event(sink, rows, blur=blur)
    (event,) = make.events
    assert (event.what, event.best.sequence, event.inputs) == ("person", 3, 10)
    assert (event.started_s, event.ended_s) == (0.0, 0.9)
    assert event.box == pytest.approx((0.3, 0.3, 0.7, 0.9, 0.8, 1.0))
    picture, text = sorted(tmp_path.iterdir())
    assert picture == event.path and cv2.imread(str(picture)).shape == (HEIGHT, WIDTH, 3)
    assert picture.name == "door-20270115T080000Z-person.jpg"
    assert json.loads(text.read_text())["best"]["sequence"] == 3


def test_what_is_seen_too_shortly_is_no_event_and_short_gaps_end_none(make):
    one_event(make(), [person()] * 4)
    assert make.events == []
    one_event(make(), [*[person()] * 3, *[None] * 9, *[person()] * 3])
    assert [(event.started_s, event.ended_s) for event in make.events] == [(0.0, 1.4)]


def test_a_long_gap_ends_an_event_while_the_stream_goes_on(make):
    sink = make()
    for sequence in range(40):
        there = sequence < 8 or sequence >= 25
        sink.take(delivered(sequence, said(boxes(*[person()] * there)), picture=seen()))
        if sequence == 20:
            assert [event.ended_s for event in make.events] == [0.7]
    sink.close()
    assert [event.started_s for event in make.events] == [0.0, 2.5]


def test_inputs_that_were_not_sent_and_those_just_before_come_into_question(make):
    sink = make(before_s=0.5)
    blurred, nothing = seen(4.0), said(boxes(), origin="constant", trust="certified")
    sink.take(delivered(0, nothing, picture=seen()))  # Too long ago.
    sink.take(delivered(6, nothing, picture=seen(0.8)))
    for sequence in range(10, 16):
        sink.take(delivered(sequence, said(boxes(person())), picture=blurred))
    sink.close()
    assert [event.best.sequence for event in make.events] == [6]
    sink = make()
    sink.take(delivered(0, said(boxes(person())), picture=blurred))
    for sequence in range(1, 8):
        held = said(boxes(person()), origin="held", reference=0, trust="certified")
        sink.take(delivered(sequence, held, picture=seen() if sequence == 4 else blurred))
    sink.close()
    assert (make.events[1].best.sequence, make.events[1].inputs) == (4, 1)


def test_an_event_that_does_not_end_gets_a_picture_now_and_then(make):
    one_event(make(longest_s=1.0), [person()] * 35)
    assert [round(event.ended_s - event.started_s, 3) for event in make.events] == [1.0, 1.0, 1.0]


def test_classes_and_models_can_be_chosen_and_labels_count_only_where_asked_for(make):
    def night():
        return said(np.asarray([0.1, 0.9], np.float32), model="sky", output=LABEL)

    for settings, expected in [
        ({}, ["person"]),
        ({"classes": ["night"]}, ["night"]),
        ({"classes": ["car"]}, []),
        ({"models": ["sky"]}, []),
    ]:
        make.events.clear()
        sink = make(**settings)
        for sequence in range(8):
            sink.take(delivered(sequence, said(boxes(person())), night(), picture=seen()))
        sink.close()
        assert [event.what for event in make.events] == expected
    assert make.events == []


def test_events_without_a_picture_are_counted(make):
    sink = make()
    for sequence in range(8):
        sink.take(delivered(sequence, said(boxes(person()))))
    sink.close()
    assert (make.events, sink.without_picture) == ([], 1)


def test_late_results_begin_no_event(make):
    one_event(make(), [person()] * 8, late=True)
    assert make.events == []


def test_a_recording_that_begins_anew_ends_what_lasts(make):
    sink = make()
    for at in (*range(8), *range(8)):
        sink.take(delivered(at, said(boxes(person())), picture=seen()))
    sink.close()
    assert [event.started_s for event in make.events] == [0.0, 0.0]


def test_the_oldest_pictures_go_when_there_is_no_room(make, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    sink = make(size_bytes=2**20)
    for round_ in range(6):
        for sequence in range(7):
            at_s = round_ * 10 + sequence / 10
            found = said(boxes(person()))
            sink.take(delivered(sequence, found, picture=noise, captured_s=at_s, unix_s=1.8e9 + at_s))
    sink.close()
    assert len(make.events) == 6 and make.events[-1].path.exists() and not make.events[0].path.exists()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20
    assert (tmp_path / "notes.txt").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="file: is no folder that can be written to"):
        EventPictures(EventPicturesConfig(folder=tmp_path / "file"))
