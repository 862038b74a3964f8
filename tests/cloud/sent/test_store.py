"""What was sent is kept: the newest of it, within its bounds, over restarts and whatever became of the file."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.cloud.ledger.database import Database
from infilink.cloud.runtime.video_decoders import VideoDecoders
from infilink.cloud.sent.decoding import SentPictures
from infilink.cloud.sent.forgetting import forget_unanswered
from infilink.cloud.sent.settings import PicturesConfig, pictures_path
from infilink.cloud.sent.store import Sent
from infilink.cloud.sessions.chains import Chains
from infilink.codec import decode_jpeg, encode_jpeg
from infilink.errors import InvalidInput
from infilink.files import remove_database
from infilink.protos import edge_pb2

from ...protos.test_video import PACKETS
from ..ledger.conftest import answered

ROW_BYTES = 250
Open = Callable[..., Sent]


def jpeg(size_bytes: int = 100, **fields: object) -> edge_pb2.Input:
    return edge_pb2.Input(encoding=edge_pb2.ENCODING_JPEG, payload=bytes(size_bytes), **fields)


def kept(sent: Sent, what: str = "sequence") -> list:
    """What is there of each input, in the order in which they came."""
    sent.flush()
    with sent.read() as database:
        return [row[0] for row in database.execute(f"SELECT {what} FROM sent ORDER BY number")]


@pytest.fixture
def open_sent(tmp_path: Path) -> Iterator[Open]:
    """Opens the test's file, each time it is called."""
    opened = []

    def make(place: Path = tmp_path / "ledger.sqlite.pictures", **more: object) -> Sent:
        options = {name: more.pop(name) for name in ("keep_days", "clock_us") if name in more}
        opened.append(Sent(place, PicturesConfig(**more), every_s=0.0, **options))
        return opened[-1]

    yield make
    for sent in opened:
        sent.close()


def test_what_was_sent_is_there_after_a_restart(open_sent: Open) -> None:
    picture = encode_jpeg(np.full((32, 48, 3), 80, np.uint8))
    sent = open_sent()
    message = edge_pb2.Input(
        encoding=edge_pb2.ENCODING_JPEG, payload=picture, audit=True, score=0.5, captured_unix_ns=4_000_000
    )
    sent.take(answered(7, device="yard"), message, None, 9000)
    sent.close()
    again = open_sent()
    pictures = SentPictures(again)
    with pictures.between("yard", 0, 10_000) as found:
        (only,) = found
    assert (only.sequence, only.at_us, only.captured_us, only.audited) == (7, 9000, 4000, True)
    assert only.jpeg == picture == pictures.jpeg("yard", only.number)
    assert pictures.jpeg("door", only.number) == b""
    again.take(answered(8, device="yard"), jpeg(), None, 9001)
    assert kept(again) == [7, 8]


@settings(max_examples=12)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3000)), max_size=30))
def test_no_more_is_kept_than_may_be_and_the_newest_stays(
    tmp_path_factory: pytest.TempPathFactory, taken: list[tuple[str, int]]
) -> None:
    settings = PicturesConfig(keep_bytes=9000, keep_stream_bytes=5000)
    sent = Sent(tmp_path_factory.mktemp("sent") / "pictures", settings, every_s=0.0)
    for at, (stream, size_bytes) in enumerate(taken):
        sent.take(answered(at, device=stream), jpeg(size_bytes), None, at)
    sent.flush()
    with sent.read() as database:
        rows = database.execute("SELECT stream, sequence, size_bytes, length(payload) FROM sent").fetchall()
    sent.close()
    assert sum(row[2] for row in rows) <= 9000
    for stream in "abc":
        of_it = [row for row in rows if row[0] == stream]
        assert sum(row[2] for row in of_it) <= 5000
        # Of a stream no older one is there while a newer one is not.
        all_of_it = [at for at, (name, _) in enumerate(taken) if name == stream]
        assert sorted(row[1] for row in of_it) == all_of_it[len(all_of_it) - len(of_it) :]
    assert all(row[2] == ROW_BYTES + (row[3] or 0) for row in rows)


def test_what_somebody_else_deletes_makes_room(open_sent: Open) -> None:
    sent = open_sent(keep_bytes=10**6, keep_stream_bytes=4 * (ROW_BYTES + 100))
    for at in range(4):
        sent.take(answered(at), jpeg(), None, at)
    assert kept(sent) == [0, 1, 2, 3]
    with closing(sqlite3.connect(sent.path)) as other, other:
        other.execute("DELETE FROM sent WHERE sequence IN (1, 2)")
    for at in (3, 4, 5):  # One is there already.
        sent.take(answered(at), jpeg(), None, at)
    assert kept(sent) == [0, 3, 4, 5]
    sent.take(answered(6), jpeg(), None, 6)
    assert kept(sent) == [3, 4, 5, 6]


def test_a_file_that_is_removed_is_begun_anew(open_sent: Open) -> None:
    sent = open_sent()
    sent.take(answered(0), jpeg(), None, 0)
    sent.flush()
    remove_database(sent.path)
    sent.take(answered(1), jpeg(), None, 1)
    assert kept(sent) == [1]


def test_of_streams_that_are_not_meant_no_picture_is_kept(open_sent: Open) -> None:
    sent = open_sent(streams=["door*", "yard/gate"])
    for at, stream in enumerate(("door-1/in", "yard/gate", "yard", "hall")):
        sent.take(answered(at, device=stream), jpeg(), None, at)
    assert kept(sent, "payload IS NOT NULL") == [1, 1, 0, 0]


def test_what_is_no_picture_is_kept_as_what_it_was(open_sent: Open) -> None:
    sent = open_sent()
    sent.take(answered(0), edge_pb2.Input(encoding=edge_pb2.ENCODING_FLAC, payload=b"sound"), None, 0)
    sent.take(answered(1), edge_pb2.Input(features=edge_pb2.Features()), None, 1)
    sent.take(answered(2), edge_pb2.Input(), None, 2)
    assert kept(sent, "encoding") == ["flac", "features", "nothing"]
    assert kept(sent, "payload") == [None] * 3


def test_an_input_that_is_answered_again_is_kept_once(open_sent: Open) -> None:
    sent = open_sent()
    for at in range(2):
        sent.take(answered(0), jpeg(), None, at)
    assert kept(sent, "at_us") == [0]


def test_what_is_too_old_goes(open_sent: Open) -> None:
    day_us = 86_400 * 10**6
    sent = open_sent(keep_days=1.0, clock_us=lambda: 3 * day_us)
    for at, time_us in enumerate((day_us, 2 * day_us, 3 * day_us)):
        sent.take(answered(at), jpeg(), None, time_us)
    assert kept(sent) == [1, 2]


def test_of_what_is_too_old_nothing_is_left_on_the_disk(open_sent: Open, tmp_path: Path) -> None:
    day_us = 86_400 * 10**6
    sent = open_sent(keep_days=1.0, clock_us=lambda: 3 * day_us)
    secret = edge_pb2.Input(encoding=edge_pb2.ENCODING_JPEG, payload=b"a face" * 10_000)
    sent.take(answered(0), secret, None, day_us)
    sent.take(answered(1), jpeg(), None, 3 * day_us)
    assert kept(sent) == [1]
    sent.close()
    assert all(b"a face" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_damaged_file_is_set_aside(open_sent: Open, tmp_path: Path) -> None:
    place = tmp_path / "pictures"
    place.write_bytes(b"no database" * 1000)
    sent = open_sent(place)
    sent.take(answered(0), jpeg(), None, 0)
    assert kept(sent) == [0]
    assert (tmp_path / "pictures.damaged").read_bytes().startswith(b"no database")


def test_where_nothing_can_be_kept_that_is_an_error_at_once(open_sent: Open, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InvalidInput, match=r"\[pictures\]"):
        open_sent(tmp_path / "pictures")


def send_chain(sent: Sent, chains: Chains, places: range, first: int, at_us: int = 0) -> None:
    """Sends the pictures of a chain, each with the packets since the one before."""
    for place in places:
        chunk = edge_pb2.Chunk(
            chain=1, first=first, place=place, packets=PACKETS[first : place + 1], width=64, height=48
        )
        message = edge_pb2.Input(encoding=edge_pb2.ENCODING_H264, payload=chunk.SerializeToString())
        sent.take(answered(place), message, chains.take(message), at_us + place)
        first = place + 1


def test_pictures_that_refer_to_others_are_decoded(open_sent: Open) -> None:
    sent, decoders = open_sent(), VideoDecoders(1)
    chains = Chains(decoders, takes=True, max_bytes=2**20, max_pixels=64 * 48)
    try:
        send_chain(sent, chains, range(len(PACKETS)), 0)
        sent.flush()
        pictures = SentPictures(sent)
        with pictures.between("camera", 0, 100) as found:
            frames = [decode_jpeg(each.jpeg) for each in found]
        expected = [np.empty((48, 64, 3), np.uint8) for _ in PACKETS]
        chain = decoders.open(64, 48)
        decoders.add(chain, PACKETS)
        for place, out in enumerate(expected):
            decoders.read(chain, place, out)
        assert len(frames) == len(PACKETS)
        for frame, out in zip(frames, expected, strict=True):
            assert np.abs(frame.astype(int) - out).mean() < 3.0
        # One by itself is brought there by those before it.
        assert decode_jpeg(pictures.jpeg("camera", len(PACKETS))).shape == (48, 64, 3)
        pictures.close()
    finally:
        decoders.stop()


def test_a_chain_whose_beginning_is_gone_is_kept_anew(open_sent: Open) -> None:
    decoders = VideoDecoders(1)
    chains = Chains(decoders, takes=True, max_bytes=2**20, max_pixels=64 * 48)
    sent = open_sent(keep_stream_bytes=2 * ROW_BYTES + sum(map(len, PACKETS)) + 100)
    try:
        send_chain(sent, chains, range(2), 0)
        # Others take its room.
        sent.take(answered(50), jpeg(ROW_BYTES + sum(map(len, PACKETS[:2]))), None, 50)
        assert kept(sent) == [50]
        send_chain(sent, chains, range(2, 3), 2, at_us=51)
        sent.flush()
        pictures = SentPictures(sent)
        with sent.read() as database:
            (number,) = database.execute("SELECT number FROM sent WHERE sequence = 2").fetchone()
        assert decode_jpeg(pictures.jpeg("camera", number)).shape == (48, 64, 3)
        pictures.close()
    finally:
        decoders.stop()


def test_a_picture_goes_with_its_answer(open_sent: Open, tmp_path: Path) -> None:
    place = tmp_path / "ledger.sqlite"
    sent = open_sent(pictures_path(place))
    sent.take(answered(0), jpeg(), None, 0)
    sent.flush()
    database = Database(place)
    assert forget_unanswered(pictures_path(place), database) == 1 and kept(sent) == []
    assert forget_unanswered(tmp_path / "none", database) == 0
    database.close()
