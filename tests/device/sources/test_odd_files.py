"""Files as sites have them: marks, units, first words, numbers that are none, half of a picture, huge pieces."""

import codecs
import fcntl
import io
import os
import sys
import wave

import av
import numpy as np
import pytest
from infilink.device.sources.complaints import Complaints
from infilink.device.sources.cut import Cut
from infilink.device.sources.feeds import ThreadFeed
from infilink.device.sources.open import open_source
from infilink.errors import InvalidInput
from infilink.traces.source_name import without_secrets

ROWS = "".join(f"{number / 32},{number},{-number}\n" for number in range(64))
TABLE = f"time,x,y\n{ROWS}"


def read(text, **cut):
    with open_source(text, cut=Cut(**cut)) as source:
        return source, list(source)


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        codecs.BOM_UTF8 + TABLE.encode(),
        TABLE.encode("utf-16"),
        TABLE.encode("utf-16-le"),
        TABLE.encode("utf-16-be"),
        TABLE.encode("utf-32"),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        f"time,x,y\ns,g,g\n{ROWS}".encode(),
    ],
    ids=["utf-8", "marked", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "dos", "mac", "units"],
)
def test_a_table_is_read_however_it_was_written(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    source, found = read(str(path), window_s=1)
    assert source.form.channels == ("x", "y") and source.form.rate_hz == 32
    assert [each.value[0].tolist() for each in found] == [[0, 0], [32, -32]]
    assert [each.captured_s for each in found] == pytest.approx([31 / 32, 63 / 32])


@pytest.mark.parametrize(
    "row",
    [
        "0.01,1\r2,3",
        "0.01,1\x002,3",
        f"0.01,{'9' * 200_000},3",
        "0.01,1e300,3",
        "0.01,-inf,3",
        "1e300,1,3",
        '0.01,"1,3',
    ],
    ids=["end of line", "zero", "cell", "number", "infinite", "time", "quote"],
)
def test_a_row_that_is_no_row_is_left_out_and_no_input_holds_infinity(tmp_path, row):
    path = tmp_path / "a.csv"
    path.write_bytes(f"time,x,y\n{row}\n{ROWS}".encode())
    _, found = read(str(path), window=32)
    assert [each.value[0].tolist() for each in found] == [[0, 0], [32, -32]]


def test_names_that_are_no_utf_8_are_said_instead_of_taken_for_a_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(f"time,höhe,y\n{ROWS}".encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"a\.csv: its first row is no UTF-8 \(.*\): save it as UTF-8"):
        read(str(path))


@pytest.mark.parametrize("first", ["null", '{"event": "boot"}', "{}", "[]", "[[[1]]]"])
def test_the_first_line_that_has_fields_says_what_they_are(tmp_path, first):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{first}\n{{"x": 1, "y": 2}}\n')
    source, (only,) = read(str(path))
    assert source.form.channels == ("x", "y") and only.value.tolist() == [[1, 2]]


def test_an_empty_text_is_no_input_and_a_number_too_large_is_none(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ""}\n{"text": "a"}\n{"text": " "}\n')
    assert [each.value.tobytes() for each in read(str(path))[1]] == [b"a"]
    path.write_text('{"t": 0, "x": 1}\n{"t": 1, "x": 1e39}\n{"t": 1e308, "x": 2}\n{"t": 3, "x": 4}\n')
    assert [each.captured_s for each in read(str(path))[1]] == [0, 3]


def test_what_waits_is_bounded_in_bytes():
    feed = ThreadFeed("port", Complaints(lambda _: None), loses=True)
    for number in range(20):
        feed.put([bytes(2**22)], float(number))
    feed.end()
    waited = list(feed.blocks())
    assert 0 < sum(len(each.lines[0]) for each in waited) <= 2**24 and waited[-1].arrived_s == 19


def test_a_table_that_is_piped_in_from_a_file_is_a_recording_with_its_own_times(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF8 + TABLE.encode())
    with path.open("rb") as file:
        monkeypatch.setattr("infilink.device.sources.feeds.os.dup", lambda _: _dup(file.fileno()))
        source, found = read("csv:-")
    assert not source.live and [each.captured_s for each in found[:3]] == [0, 1 / 32, 2 / 32]


@pytest.mark.parametrize("header", ["time,x,y\n", ""], ids=["header", "none"])
@pytest.mark.parametrize("above", ["Device: walker\nSerial 12\n\n", "Walker; 3\n", "Walker\n12,5\n"])
def test_what_a_logger_writes_above_its_table_is_passed_over_and_said(tmp_path, caplog, header, above):
    path = tmp_path / "a.csv"
    path.write_text(f"{above}{header}{ROWS}")
    source, found = read(str(path), window_s=1)
    assert [each.value[0].tolist() for each in found] == [[0, 0], [32, -32]] and source.form.rate_hz == 32
    assert "it begins with what is no row" in caplog.text and above.splitlines()[0] in caplog.text


def test_a_header_that_lacks_a_name_is_one(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"{number},{-number},\n" for number in range(20)))
    assert read(str(path))[0].form.channels == ("x", "y")


def test_rows_say_what_stands_between_cells_where_a_name_holds_it_too(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("time\tx;y\tz\n" + "".join(f"{number}\t{number}\t{-number}\n" for number in range(20)))
    assert read(str(path))[0].form.channels == ("x;y", "z")


def test_two_columns_of_one_name_are_refused_if_they_are_wanted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,x,x,y\n0,1,2,3\n1,4,5,6\n")
    for cut in ({}, {"channels": ("x",)}):
        with pytest.raises(InvalidInput, match=r"a\.csv: two of its columns are called 'x': give each a name"):
            read(str(path), **cut)
    assert read(str(path), channels=("y",))[1][0].value.tolist() == [[3], [6]]


@pytest.mark.parametrize("content", ['[{"x": 1}, {"x": 2}]', '[\n{"x": 1},\n{"x": 2}\n]', '{\n"x": 1\n}\n'])
def test_json_that_is_not_in_lines_is_told_so(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=r"a\.jsonl: .*: write each object on a line of its own"):
        read(str(path))


def test_a_file_that_is_no_picture_is_not_told_to_be_no_video(tmp_path, caplog):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").write_bytes(b"no picture " * 9)
    with pytest.raises(InvalidInput, match="holds no picture that can be read"):
        read(str(tmp_path))
    assert "a.jpg: is empty" in caplog.text and "video" not in caplog.text


def test_a_table_that_is_piped_in_at_once_gives_the_windows_that_its_rows_are(tmp_path, monkeypatch):
    rows = "".join(f"{number / 64},{number}\n" for number in range(1024))
    (tmp_path / "a.csv").write_text(f"time,x\n{rows}")
    _, expected = read(str(tmp_path / "a.csv"), window_s=1, rate_hz=32)
    ours, theirs = os.pipe()
    with open(theirs, "wb") as writer:
        writer.write(f"time,x\n{rows}".encode())
    monkeypatch.setattr("infilink.device.sources.feeds.os.dup", lambda _: ours)
    source, found = read("csv:-", window_s=1, rate_hz=32)
    assert source.live and len(found) == len(expected) == 15
    assert all(np.array_equal(one.value, other.value) for one, other in zip(found, expected, strict=True))


def _dup(number):
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC)


def test_half_of_a_picture_is_none(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    (tmp_path / "a.jpg").write_bytes(_jpeg(noise)[:3000])
    (tmp_path / "b.jpg").write_bytes(_jpeg(noise)[:-2])
    _, found = read(str(tmp_path))
    assert len(found) == 1, "one lacks its half, the other nothing but its end"


def _jpeg(image):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=1, width=64, height=64, pix_fmt="yuvj420p")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def test_a_sound_without_samples_is_said(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
    with pytest.raises(InvalidInput, match=r"a\.wav: holds no sound that can be read"):
        read(str(path))


def test_what_a_program_gives_is_named_and_bounded_before_it_is_copied():
    for key in ("", "a b"):
        with pytest.raises(InvalidInput, match=f"a part is called '{key}': names are"):
            read([{key: "x"}])
    with pytest.raises(InvalidInput, match=r"gives uint8 \(40000, 40000, 3\): an input has up to 256 MiB"):
        read([np.broadcast_to(np.uint8(0), (40_000, 40_000, 3))])


def test_a_program_that_exits_does_not_end_the_agent():
    def exits():
        yield "a"
        sys.exit(3)

    with pytest.raises(InvalidInput, match=r"failed after 1 values: SystemExit\(3\)"):
        read(exits())


@pytest.mark.parametrize(
    "text",
    [
        "join(rtsp://u:SECRET@h/x)",
        "join(a=rtsp://u:SECRET@h/x)",
        "join(a=rtsp://u:pa,SECRET@h/x, b=b.txt)",
        "csv:http://u:SECRET@h/x",
        "images:rtsp://u:SECRET@h/x",
        "mqtts://u:SECRET@localhost/x?tls_ca=/is/not/there",
    ],
)
def test_a_source_that_is_wrong_is_told_without_its_password(text):
    with pytest.raises(InvalidInput) as raised:
        read(text)
    assert "SECRET" not in str(raised.value) and "SECRET" not in without_secrets(text)


def test_a_coarse_clock_and_a_logger_that_begins_anew_are_no_other_rates(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,x\n" + "".join(f"{number // 32},{number}\n" for number in range(320)))
    source, found = read(str(path), window=32)
    assert source.form.rate_hz == 32 and len(found) == 10, "seconds are all that the clock tells"
    path.write_text(f"{TABLE}{ROWS}")
    source, found = read(str(path), window=32)
    assert source.form.rate_hz == 32 and [each.value[0, 0] for each in found] == [0, 32, 0, 32]


def test_a_table_whose_rate_changes_gives_windows_of_its_rate_alone(tmp_path, caplog):
    path = tmp_path / "a.csv"
    other = "".join(f"{10 + number / 16},9,9\n" for number in range(16))
    path.write_text(f"{TABLE}{other}")
    _, found = read(str(path), window=8, rate_hz=32)
    assert [each.value[0, 0] for each in found] == [*range(0, 64, 8)] and "its rate is another there" in caplog.text
