"""What the page of a stream is told of its time, from a ledger and what was sent."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.cloud.dashboard.timeline import Timeline
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.sent.settings import PicturesConfig
from infilink.cloud.sent.store import Sent
from infilink.cloud.sent.stretch import Stretch
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.protos import edge_pb2

from ..ledger.conftest import ONE_PERSON, answered, key, output

NIGHT, DAY = np.asarray([0.2, 0.8], np.float32), np.asarray([0.9, 0.1], np.float32)
NOBODY, BOTH = ONE_PERSON[:0], np.concatenate([ONE_PERSON, ONE_PERSON + np.float32([0, 0, 0, 0, 0, 1])])
JPEG = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
SECOND = 10**6


class Past:
    """A stream's past: what was sent when, and what was noted."""

    def __init__(self, place: Path | str, folder: Path) -> None:
        self.database = Database(place)
        self.sent = Sent(folder / "pictures", PicturesConfig(), every_s=0.0)
        self.timeline = Timeline(self.database, self.sent)
        self.now_us = 0

    def write(self, *happened: tuple[int, Callable[[Ledger], Any]]) -> None:
        """Writes what happened at each time (microseconds)."""

        async def whole() -> None:
            ledger = Ledger(self.database, clock_ns=lambda: self.now_us * 1000)
            for self.now_us, act in happened:
                if (waiting := act(ledger)) is not None:
                    await waiting
            await ledger.close()

        asyncio.run(whole())
        self.sent.flush()

    def answer(self, sequence: int, value: np.ndarray, *, model: str = "detector", **fields: Any) -> Callable:
        """An answer of one model to an input with a picture, captured half a second before."""
        audit = fields.pop("audit", False)
        session = fields.pop("session", "s")

        def act(ledger: Ledger) -> Any:
            row = answered(sequence, output(model, value, **fields), session=session)
            captured_ns = (self.now_us - SECOND // 2) * 1000
            message = edge_pb2.Input(
                encoding=edge_pb2.ENCODING_JPEG, payload=JPEG, audit=audit, captured_unix_ns=captured_ns
            )
            self.sent.take(row, message, None, self.now_us)
            return ledger.record(row)

        return act

    def read(self, since_s: int = 0, until_s: int = 120) -> dict[str, Any]:
        return self.timeline.read(Stretch("camera", since_s * SECOND, until_s * SECOND))


@pytest.fixture
def past(ledger_place: Path | str, tmp_path: Path) -> Iterator[Past]:
    past = Past(ledger_place, tmp_path)
    yield past
    past.sent.close()
    past.database.close()


def test_a_stream_that_nobody_knows_has_no_past(past: Past) -> None:
    found = past.read()
    assert found["known"] == [None, None] and found["bins"] == found["events"] == found["pictures"] == []
    assert not past.timeline.knows("camera") and past.timeline.look("camera", "s", 0) is None


def test_what_was_sent_and_what_was_not_and_what_was_audited(past: Past) -> None:
    def audit(ledger: Ledger) -> None:
        told = {"origin": "linked", "confidence": 0.8, "trusted": True}
        for agreement in (1.0, 0.5):
            ledger.audited(key(7), "detector", agreement=agreement, **told)

    past.write(
        (2 * SECOND, past.answer(0, ONE_PERSON)),
        (2 * SECOND, past.answer(4, ONE_PERSON)),
        (60 * SECOND, past.answer(7, ONE_PERSON, audit=True)),
        (60 * SECOND, audit),
        # The next run counts from its beginning.
        (61 * SECOND, past.answer(0, ONE_PERSON, session="t")),
    )
    found = past.read()
    assert found["bin_us"] == SECOND
    assert found["bins"] == [[2, 2, 3, 0, None, 2], [60, 1, 2, 2, 0.75, 1], [61, 1, 0, 0, None, 1]]
    assert found["known"] == [2 * SECOND, 61 * SECOND] and past.timeline.knows("camera")
    assert [each["sequence"] for each in found["pictures"]] == [0, 7]


def test_requests_have_no_inputs_between_them(past: Past) -> None:
    past.write(
        (1 * SECOND, past.answer(0, ONE_PERSON, session="open-inference-1")),
        (1 * SECOND, past.answer(9, ONE_PERSON, session="open-inference-1")),
    )
    assert past.read()["bins"] == [[1, 2, 0, 0, None, 2]]


def test_an_event_lasts_until_an_answer_no_longer_says_so(past: Past) -> None:
    past.write(
        (10 * SECOND, past.answer(0, NOBODY)),
        (20 * SECOND, past.answer(1, ONE_PERSON, origin=edge_pb2.ORIGIN_LINKED, trust="certified")),
        (30 * SECOND, past.answer(2, BOTH)),
        (40 * SECOND, past.answer(3, NOBODY)),
        (50 * SECOND, past.answer(4, ONE_PERSON)),
    )
    events = past.read()["events"]
    told = [(each["what"], each["start_us"] // SECOND, (each["end_us"] or 0) // SECOND) for each in events]
    assert told == [("person", 20, 40), ("car", 30, 40), ("person", 50, 0)]
    first = events[0]
    assert (first["origin"], first["trust"], first["delay_s"], first["began_before"]) == (
        "linked",
        "certified",
        0.5,
        False,
    )
    assert first["picture"] == 2 and first["agreement"] is None
    later = past.read(since_s=25)["events"]
    assert [(each["what"], each["began_before"]) for each in later] == [
        ("car", False),
        ("person", True),
        ("person", False),
    ]


def test_what_is_gone_for_a_moment_is_one_event(past: Past) -> None:
    past.write(
        *(
            (at * SECOND // 2, past.answer(at, value))
            for at, value in enumerate((ONE_PERSON, NOBODY, ONE_PERSON, NOBODY))
        )
    )
    (event,) = past.read()["events"]
    assert (event["start_us"], event["end_us"]) == (0, 3 * SECOND // 2)


def test_each_label_is_an_event_of_its_own(past: Past) -> None:
    past.write(
        (10 * SECOND, past.answer(0, DAY, model="scene")),
        (20 * SECOND, past.answer(1, DAY, model="scene")),
        (30 * SECOND, past.answer(2, NIGHT, model="scene")),
    )
    assert [each["what"] for each in past.read()["events"]] == ["day", "night"]


def test_the_governor_and_the_camera_are_told_as_they_changed(past: Past) -> None:
    def note(kind: str, text: str) -> Callable[[Ledger], None]:
        return lambda ledger: ledger.journal(kind, text, device="camera")

    past.write(
        (1 * SECOND, note("level", "its governor leaves out: stricter (the processors are busy)")),
        (20 * SECOND, note("level", "its governor leaves out: slower (the device is hot)")),
        (40 * SECOND, note("level", "its governor leaves out nothing any more")),
        (50 * SECOND, note("camera", "its camera is not stable: moved: it sees another view")),
    )
    found = past.read(since_s=10)
    assert found["level"] == [
        {"since_us": 10 * SECOND, "until_us": 20 * SECOND, "text": "stricter (the processors are busy)"},
        {"since_us": 20 * SECOND, "until_us": 40 * SECOND, "text": "slower (the device is hot)"},
    ]
    assert found["camera"] == [{"since_us": 50 * SECOND, "until_us": None, "text": "moved: it sees another view"}]
    assert [each["kind"] for each in found["notes"]] == ["level", "level", "camera"]


def test_one_input_is_told_as_it_was(past: Past) -> None:
    past.write(*((at * SECOND, past.answer(at, BOTH)) for at in range(3)))
    found = past.timeline.look("camera", "s", 1)
    assert [box[4] for box in found["boxes"]] == ["person 0.90", "car 0.90"]
    assert found["said"][0]["text"] == "1 person, 1 car" and found["picture"] == 2
    assert found["sent"]["delay_s"] == 0.5 and found["sent"]["encoding"] == "jpeg"
    assert (found["before"]["sequence"], found["after"]["sequence"]) == (0, 2)


@pytest.mark.parametrize(("since_us", "until_us"), [(5, 5), (9, 5), (0, 8 * 86_400 * SECOND)])
def test_a_stretch_has_a_length(since_us: int, until_us: int) -> None:
    with pytest.raises(InvalidInput, match="`since_us`, `until_us`"):
        Stretch("camera", since_us, until_us)
