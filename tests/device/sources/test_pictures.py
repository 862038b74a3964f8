"""Folders of pictures: their order, the times that cameras write into them, damage, and pictures that come later."""

import struct

import cv2
import numpy as np
import pytest
from infilink.device.sources.complaints import Complaints
from infilink.device.sources.cut import Cut
from infilink.device.sources.exif import taken_unix_s
from infilink.device.sources.folder import Files
from infilink.device.sources.open import open_source
from infilink.errors import InvalidInput


def picture(path, level, size=(8, 6)):
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), level, np.uint8))
    return path


def exif(date, *, part="", zone="", order="<"):
    """A JPEG's EXIF segment with the time when it was taken."""
    texts = [(0x9003, date), (0x9291, part), (0x9011, zone)]
    texts = [(tag, text.encode() + b"\0") for tag, text in texts if text]
    inner_at = 8 + 2 + 12 + 4
    rest_at = inner_at + 2 + 12 * len(texts) + 4
    inner, rest = struct.pack(f"{order}H", len(texts)), b""
    for tag, text in texts:
        inline = text.ljust(4, b"\0") if len(text) <= 4 else struct.pack(f"{order}I", rest_at + len(rest))
        inner += struct.pack(f"{order}HHI", tag, 2, len(text)) + inline
        rest += text if len(text) > 4 else b""
    mark = b"II" if order == "<" else b"MM"
    outer = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}HHHII", 1, 0x8769, 4, 1, inner_at) + bytes(4)
    body = b"Exif\0\0" + outer + inner + bytes(4) + rest
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def photo(path, level, date, **options):
    picture(path, level)
    jpeg = path.read_bytes()
    path.write_bytes(jpeg[:2] + exif(date, **options) + jpeg[2:])
    return path


def read(text, **cut):
    with open_source(f"images:{text}", cut=Cut(**cut)) as source:
        return source, list(source)


def levels(found):
    return [round(float(each.value.mean())) for each in found]


def test_pictures_come_in_the_order_of_their_names_and_have_an_order_only(tmp_path):
    for number in (10, 9, 1):
        picture(tmp_path / f"shot{number}.png", number)
    source, found = read(tmp_path)
    assert levels(found) == [1, 9, 10] and source.times == "order" and source.input_count == 3
    assert [each.captured_s for each in found] == [0, 1, 2]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_photo_says_when_it_was_taken(order):
    jpeg = b"\xff\xd8" + exif("2026:01:31 08:00:00", part="25", zone="+02:00", order=order)
    assert taken_unix_s(jpeg) == 1769839200.25
    assert taken_unix_s(b"\xff\xd8" + exif("2026:01:31 08:00:00", order=order)) == 1769846400
    for cut in range(len(jpeg)):
        taken_unix_s(jpeg[:cut])
        taken_unix_s(jpeg[:cut] + b"\xff" + jpeg[cut + 1 :])
    assert taken_unix_s(b"\x89PNG") is None and taken_unix_s(b"\xff\xd8" + exif("yesterday")) is None


def test_the_times_of_photos_are_theirs(tmp_path, caplog):
    for number, date in enumerate(["2026:01:31 08:00:00", "2026:01:31 08:00:05", "2026:01:31 08:00:02"]):
        photo(tmp_path / f"{number}.jpg", number, date)
    picture(tmp_path / "3.jpg", 3)
    source, found = read(tmp_path)
    assert source.times == "read" and [each.captured_s for each in found] == [0, 5, 5, 5]
    assert "was taken before the one before it" in caplog.text and "does not say when it was taken" in caplog.text
    assert read(tmp_path, time_column="-")[0].times == "order"
    picture(tmp_path / "0.jpg", 0)
    with pytest.raises(InvalidInput, match=r"0\.jpg: does not say when it was taken"):
        read(tmp_path, time_column="exif")
    with pytest.raises(InvalidInput, match="exif, mtime or -"):
        read(tmp_path, time_column="t")


def test_a_picture_that_can_not_be_read_is_left_out(tmp_path, caplog):
    for number in range(4):
        picture(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_bytes(b"nothing")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:30])
    _, found = read(tmp_path)
    assert levels(found) == [0, 3] and [each.sequence for each in found] == [0, 1] and "left out" in caplog.text
    for path in tmp_path.iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="holds no picture that can be read"):
        read(tmp_path)


def test_a_picture_of_too_many_pixels_is_left_out_before_memory_is_taken(tmp_path, caplog):
    picture(tmp_path / "0.png", 0)
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((6000, 6000), np.uint8))
    assert len(read(tmp_path)[1]) == 1 and "1.png" in caplog.text


def test_pictures_of_many_kinds_are_bgr(tmp_path):
    grey, clear = np.full((6, 8), 90, np.uint8), np.full((6, 8, 4), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "0.png"), grey)
    cv2.imwrite(str(tmp_path / "1.png"), clear)
    cv2.imwrite(str(tmp_path / "2.png"), (grey.astype(np.uint16) << 8))
    cv2.imwrite(str(tmp_path / "3.webp"), np.full((6, 8, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "4.bmp"), np.full((6, 8, 3), (10, 90, 170), np.uint8))
    _, found = read(tmp_path)
    assert all(each.value.shape == (6, 8, 3) for each in found) and levels(found) == pytest.approx([90] * 5, abs=2)
    assert found[4].value[0, 0].tolist() == [10, 90, 170]


def test_what_comes_later_is_given_when_it_does_not_change_any_more(tmp_path):
    """Each wait is a chance to write something."""
    late = tmp_path / "b.png"
    steps = iter(
        [
            lambda: None,
            lambda: late.write_bytes(b"1"),
            lambda: late.write_bytes(b"12"),
            lambda: (tmp_path / ".hidden.png").write_bytes(b"1"),
            late.unlink,
            lambda: late.write_bytes(b"123"),
            lambda: None,
        ]
    )
    (tmp_path / "a.png").write_bytes(b"1")
    looks = []

    def wait(_: float) -> None:
        looks.append(len(given))
        next(steps)()

    files = Files("images", str(tmp_path), watch=True, wait=wait, clock=lambda: 7.0)
    given = []
    for path, came_s in files:
        given.append((path.name, path.read_bytes(), came_s))
        if len(given) == 3:
            break
    assert given == [("a.png", b"1", 7.0), ("b.png", b"12", 7.0), ("b.png", b"123", 7.0)]
    assert looks == [0, 1, 1, 1, 2, 2, 2]


def test_what_changes_after_it_was_read_is_said_once_and_not_read_again(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    changes = iter([lambda: None, lambda: path.write_bytes(b"12"), lambda: (tmp_path / "b.png").write_bytes(b"1")])
    files = Files("images", str(tmp_path), watch=True, wait=lambda _: next(changes, lambda: None)())
    said: list[str] = []
    files.complaints = Complaints(said.append)
    assert [next(iter(files))[0].name for _ in range(2)] == ["a.png", "b.png"]
    assert len(said) == 1 and "a.png: has changed after it was read: what is new in it is left out" in said[0]


def test_only_folders_are_watched(tmp_path):
    with pytest.raises(InvalidInput, match="`watch` is for folders"):
        open_source(str(picture(tmp_path / "a.png", 1)), cut=Cut(watch=True))
