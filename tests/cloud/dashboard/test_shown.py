"""What is kept for the pages stays within its bounds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.dashboard.shown import Shown
from infilink.cloud.ledger.rows import Answered, InputKey
from infilink.models.inputs.payload import payload_of
from infilink.protos import edge_pb2


def answer(stream: str, sequence: int = 0) -> Answered:
    return Answered(InputKey(stream, "1", sequence), edge_pb2.CoordinatorMessage())


def jpeg(size_bytes: int) -> edge_pb2.Input:
    return edge_pb2.Input(encoding=edge_pb2.ENCODING_JPEG, payload=bytes(size_bytes))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 60)), max_size=40))
def test_it_never_takes_more_than_its_bounds(taken: list[tuple[str, int]]) -> None:
    shown = Shown(most_streams=4, most_bytes=100)
    for place, (stream, size_bytes) in enumerate(taken):
        shown.take(answer(stream, place), jpeg(size_bytes), None, place + 1)
        kept = [shown.picture(each) for each in "abcdef"]
        assert shown.size_bytes == sum(len(each.jpeg) for each in kept if each is not None) <= 100
        assert sum(shown.answer(each) is not None for each in "abcdef") <= 4
        assert shown.answer(stream).at_us == place + 1


def test_an_answer_without_a_picture_leaves_the_picture_before_it() -> None:
    shown = Shown()
    shown.take(answer("a"), jpeg(10), None, 1)
    shown.take(answer("a"), edge_pb2.Input(encoding=edge_pb2.ENCODING_MAP, payload=b"map"), None, 2)
    assert shown.answer("a").at_us == 2 and shown.picture("a").at_us == 1


def test_a_picture_that_is_too_large_is_not_kept() -> None:
    shown = Shown(most_bytes=10)
    shown.take(answer("a"), jpeg(11), None, 1)
    assert shown.picture("a") is None and shown.answer("a").at_us == 1


def test_a_picture_that_refers_to_others_is_kept_to_be_decoded_when_it_is_asked_for() -> None:
    shown = Shown()
    message = edge_pb2.Input(encoding=edge_pb2.ENCODING_H264, payload=b"x")
    shown.take(answer("a"), message, payload_of(np.zeros((4, 4, 3), np.uint8)), 1)
    assert shown.picture("a").still.shape == (4, 4, 3) and shown.size_bytes == 0
