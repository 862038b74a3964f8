"""Sensor tables: columns by name and number, times of every writing, and rows that can't be read."""

import logging
import threading

import numpy as np
import pytest
from infilink.device.sources.cut import Cut
from infilink.device.sources.open import open_source
from infilink.errors import InvalidInput


def read(path, **cut):
    with open_source(f"csv:{path}", cut=Cut(**cut)) as source:
        return source, list(source)


def table(folder, *lines, name="a.csv"):
    path = folder / name
    path.write_text("\n".join(lines))
    return path


def rows(count, rate_hz=50.0, begin=0.0):
    return [f"{begin + number / rate_hz:.6f},{number},{-number}" for number in range(count)]


@pytest.mark.parametrize(
    ("lines", "channels", "first"),
    [
        (["x,y", "1,2", "3,4"], ("x", "y"), [1, 2]),
        (["1 2", "3 4"], ("0", "1"), [1, 2]),
        (["1\t2", "3\t4"], ("0", "1"), [1, 2]),
        (["x;y", "1,5;2", "3;4"], ("x", "y"), [1.5, 2]),
        (['"x","y"', '"1","2"'], ("x", "y"), [1, 2]),
        (["# made by us", "x,y,mode", "1,2,on", "3,4,off"], ("x", "y"), [1, 2]),
        (["time,x", "0,1", "1,2"], ("x",), [1]),
        (["x,y", "1e-3,-2.5E2"], ("x", "y"), [0.001, -250]),
    ],
)
def test_what_stands_between_cells_and_over_them_is_found(tmp_path, lines, channels, first):
    source, (only,) = read(table(tmp_path, *lines))
    assert source.form.channels == channels and source.times == "order"
    assert only.value.dtype == np.float32 and only.value[0].tolist() == pytest.approx(first)


def test_channels_are_chosen_and_put_in_order_and_name_columns_that_have_no_names(tmp_path):
    path = table(tmp_path, "x,y,z", "1,2,3")
    assert read(path, channels=("z", "x"))[1][0].value.tolist() == [[3, 1]]
    bare = table(tmp_path, "1,2,3", name="b.csv")
    assert read(bare, channels=("2", "0"))[1][0].value.tolist() == [[3, 1]]
    source, (only,) = read(bare, channels=("a", "b", "c"))
    assert source.form.channels == ("a", "b", "c") and only.value.tolist() == [[1, 2, 3]]
    with pytest.raises(InvalidInput, match=r"a\.csv: `channels` w: there is no such column, only x, y, z"):
        read(path, channels=("w",))
    with pytest.raises(InvalidInput, match="3 columns without names, and `channels` names 2"):
        read(bare, channels=("a", "b"))


@pytest.mark.parametrize(
    ("header", "times", "unit"),
    [
        ("time_s", [10.0, 10.5, 11.0], None),
        ("t_ms", [1000, 1500, 2000], None),
        ("Timestamp", [1.7e9, 1.7e9 + 0.5, 1.7e9 + 1], None),
        ("timestamp", [1.7e12, 1.7e12 + 500, 1.7e12 + 1000], None),
        ("date_time", ["2026-01-31T08:00:00", "2026-01-31T08:00:00.5", "2026-01-31 08:00:01"], None),
        ("time", [0, 500_000, 1_000_000], "us"),
    ],
)
def test_times_of_every_writing_are_seconds_from_the_first(tmp_path, header, times, unit):
    path = table(tmp_path, f"x,{header}", *(f"{number},{time}" for number, time in enumerate(times)))
    source, windows = read(path, window=1, time_unit=unit)
    assert source.times == "read" and source.form.channels == ("x",) and source.form.rate_hz == 2
    assert [each.captured_s for each in windows] == pytest.approx([0, 0.5, 1.0], abs=1e-3)


def test_the_first_column_without_a_name_is_the_time_if_it_always_rises(tmp_path):
    source, windows = read(table(tmp_path, *rows(60)), window=10)
    assert source.form.channels == ("1", "2") and source.form.rate_hz == 50 and len(windows) == 6
    assert windows[0].captured_s == pytest.approx(9 / 50)
    counted = table(tmp_path, *(f"{number},7" for number in range(60)), name="c.csv")
    source, windows = read(counted, window=10)
    assert source.form.channels == ("1",) and source.times == "order" and source.form.rate_hz == 0
    source, _ = read(table(tmp_path, *rows(60)), window=10, time_column="-")
    assert source.form.channels == ("0", "1", "2")


def test_rows_that_can_not_be_read_are_left_out_and_counted(tmp_path, caplog):
    lines = rows(200)
    lines[20] = lines[20].replace(",20,", ",,")
    for number in range(60, 75):
        lines[number] = f"{number / 50},nan,1"
    lines[100] = "2.0,100"
    lines[120] = "half of a row"
    data = "\n".join(["time,x,y", *lines]).encode().replace(b"150", b"15\xff")
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        source, windows = read(path, window=10)
    assert source.form.rate_hz == 50
    # The hole of 15 rows begins a new window; single rows are gaps of one step.
    assert all(np.diff(window.value[:, 0]).max() <= 2 for window in windows)
    said = [record.message.partition(": ")[2] for record in caplog.records]
    assert sum("has an empty cell or no number" in text for text in said) == 2, "the first time, and the tenth"
    assert sum("no number: 16 times in all" in text for text in said) == 1
    assert sum("a row has 2 columns, not 3" in text for text in said) == 1
    assert sum("lacks columns: 2 times in all" in text for text in said) == 1
    assert sum("no UTF-8" in text for text in said) == 1
    assert sum("nothing for" in text for text in said) == 1


def test_a_header_that_comes_again_may_have_another_order(tmp_path):
    _, (only,) = read(table(tmp_path, "x,y", "1,2", "x,y", "3,4", "y,x", "6,5"))
    assert only.value.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_column_that_vanishes_in_a_later_file_leaves_that_file_out(tmp_path, caplog):
    for number, header in enumerate(["x,y", "x,z", "y,x"]):
        table(tmp_path, header, "1,2", name=f"{number}.csv")
    source, files = read(tmp_path, channels=("x", "y"))
    assert [each.value.tolist() for each in files] == [[[1, 2]], [[2, 1]]] and source.input_count == 3
    assert "there is no such column, only x, z; the file is left out" in caplog.text


def test_times_that_jump_begin_new_windows_and_never_go_back(tmp_path, caplog):
    path = table(tmp_path, "t,x,y", *rows(25), *rows(25, begin=100.0), *rows(25, begin=7.0))
    _, windows = read(path, window=10)
    assert [window.value[:, 0].tolist() for window in windows] == [
        list(range(begin, begin + 10)) for begin in (0, 10) * 3
    ]
    times = [window.captured_s for window in windows]
    assert times == sorted(times) and times[2] == pytest.approx(100 + 9 / 50)
    assert "its times go back by 93.5 s after 100.48 s; they are counted on from there" in caplog.text


def test_files_are_windowed_each_for_itself(tmp_path):
    for number in range(3):
        table(tmp_path, *(f"{number},{number}" for _ in range(25)), name=f"{number}.csv")
    source, windows = read(tmp_path, window_s=1.0, rate_hz=10.0, time_column="-")
    assert source.times == "read" and source.inputs_per_s == 1.0
    assert [int(window.value.mean()) for window in windows] == [0, 0, 1, 1, 2, 2]
    assert np.diff([window.captured_s for window in windows]) == pytest.approx([1, 11.4, 1, 11.4, 1])


def test_a_higher_rate_is_brought_down_by_means_and_a_lower_one_refused(tmp_path, caplog):
    path = table(tmp_path, "time,x,y", *rows(100))
    source, windows = read(path, window=5, rate_hz=10.0)
    assert source.form.rate_hz == 10 and "was sampled 50 times a second: resampled to 10, by means" in caplog.text
    assert windows[0].value[:, 0].tolist() == pytest.approx([2.5, 7.5, 12.5, 17.5, 22.5], abs=1e-4)
    assert windows[0].captured_s == pytest.approx(0.5)
    assert read(path, window=5, rate_hz=51.0)[0].form.rate_hz == 51, "as near as a sensor's clock"
    with pytest.raises(InvalidInput, match=r"was sampled 50 times a second, and `rate_hz` asks for 100"):
        read(path, window=5, rate_hz=100.0)


def test_a_window_that_is_too_long_says_how_much_there_was(tmp_path):
    path = table(tmp_path, "time,x,y", *rows(20), *rows(30, begin=50.0))
    with pytest.raises(
        InvalidInput, match=r"a window of 500 \(10 s\) is longer than all there is at a stretch, 30 \(0\.6 s\)"
    ):
        read(path, window_s=10.0)
    with pytest.raises(InvalidInput, match=r"has no rate, so a window of 1 s can't be cut"):
        read(table(tmp_path, "x", "1", name="b.csv"), window_s=1.0)


def test_a_file_may_be_utf_16_or_have_a_mark(tmp_path):
    for number, encoding in enumerate(["utf-16", "utf-8-sig"]):
        path = tmp_path / f"{number}.csv"
        path.write_text("x,ü\n1,2\n", encoding=encoding)
        source, (only,) = read(path)
        assert source.form.channels == ("x", "ü") and only.value.tolist() == [[1, 2]]


def test_tables_that_come_later_are_inputs_too_and_a_wait_for_them_can_be_ended(tmp_path):
    table(tmp_path, "x,y", "1,2", name="0.csv")
    with open_source(f"csv:{tmp_path}", cut=Cut(watch=True)) as source:
        found = iter(source)
        assert next(found).value.tolist() == [[1, 2]] and source.live
        table(tmp_path, "x,y", "3,4", name=".1")
        (tmp_path / ".1").rename(tmp_path / "1.csv")
        assert next(found).value.tolist() == [[3, 4]]
        ending = threading.Timer(0.05, source.close)
        ending.start()
        assert not list(found)
        ending.join()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no file yet that shows what its inputs are"):
        open_source(f"csv:{tmp_path / 'empty'}", cut=Cut(watch=True))


@pytest.mark.parametrize("content", ["", "\n\n", "x,y\n", "a,b\nc,d\n"])
def test_a_file_without_rows_is_an_error_that_names_it(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=r"a\.csv: "):
        read(path)


def test_windows_where_the_rate_is_another_are_left_out_and_said(tmp_path, caplog):
    stretches = [(320, 32, 0.0), (128, 128, 50.0), (96, 8, 100.0)]
    lines = [line for count, rate_hz, begin in stretches for line in rows(count, rate_hz=rate_hz, begin=begin)]
    _, windows = read(table(tmp_path, "time,x,y", *lines), window_s=1.0)
    assert [window.captured_s for window in windows] == pytest.approx([31 / 32 + n for n in range(10)])
    assert "a window takes 0.242 s, not 0.969: its rate is another there; it is left out" in caplog.text
    assert "holes: " in caplog.text and "times in all" in caplog.text


def test_what_is_joined_may_have_nothing_left_out(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\nb\xe4d\nthree\n")
    (tmp_path / "b.txt").write_text("one\n\nthree\n")
    (tmp_path / "c.txt").write_text("one\ntwo\nthree\n")
    for name, message in (("a", "a line is no UTF-8"), ("b", "a line is empty")):
        with (
            pytest.raises(InvalidInput, match=f"{message}.*: what is joined by its order must be whole"),
            open_source(f"join(x={tmp_path / name}.txt, y={tmp_path / 'c.txt'})") as source,
        ):
            list(source)
