"""What comes in lines: texts, JSON, pipes, ports and topics; bad lines are left out, and nothing old passes for new."""

import json
import os
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from infilink.device.sources.complaints import Complaints
from infilink.device.sources.cut import Cut
from infilink.device.sources.feeds import LONGEST_LINE, Block, PipeFeed, Splitter, ThreadFeed
from infilink.device.sources.mqtt_topic import Topic, parse_topic
from infilink.device.sources.open import open_source
from infilink.errors import InvalidInput, Unavailable

from ...broker import Broker, broker_or_skip


def read(text, **cut):
    with open_source(text, cut=Cut(**cut)) as source:
        return source, list(source)


def words(inputs):
    return [each.value.tobytes().decode() for each in inputs]


def test_each_line_is_a_text_and_what_is_no_utf_8_is_left_out(tmp_path, caplog):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\n\n  \nzw\xc3\xb6lf\nb\xe4d\nlast" + b"\nb\xe4d" * 12)
    source, found = read(str(path))
    assert words(found) == ["one", "zwölf", "last"]
    assert source.form.modality == "text" and source.times == "order" and [f.captured_s for f in found] == [0, 1, 2]
    said = [record.message for record in caplog.records]
    assert (
        len(said) == 3 and "a line is no UTF-8" in said[0] and "(10 so far)" in said[1] and "13 times in all" in said[2]
    )


def test_a_table_is_read_as_texts_if_that_is_said(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("label\tsaid\nham\tGo\nham\tOk\n")
    source, found = read(str(path), modality="text", text_column="said")
    assert words(found) == ["Go", "Ok"] and source.form.modality == "text"


@pytest.mark.parametrize("column", ["1", "said"])
def test_a_text_may_be_a_column(tmp_path, column, caplog):
    path = tmp_path / "a.tsv"
    path.write_text('label\tsaid\nham\tGo "until", point\nspam\nham\tOk\n')
    assert words(read(f"text:{path}", text_column=column)[1])[-2:] == ['Go "until", point', "Ok"]
    assert "has 1 columns, none with the number 1" in caplog.text
    with pytest.raises(InvalidInput, match=r"a\.tsv: `text_column` 'x' is none of 'label', 'said'"):
        read(f"text:{path}", text_column="x")
    path.write_text('id,said\n1,"a, b"\n')
    assert words(read(f"text:{path}", text_column="said")[1]) == ["a, b"]


def jsonl(folder, *lines):
    path = folder / "a.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


def test_a_line_of_json_is_a_text_or_rows_or_both(tmp_path):
    source, found = read(jsonl(tmp_path, {"id": 1, "text": "hi"}, {"id": 2, "text": "ho"}))
    assert source.form.modality == "text" and words(found) == ["hi", "ho"]
    source, found = read(jsonl(tmp_path, {"t": 5.0, "x": 1, "y": 2}, {"t": 5.5, "x": 3, "y": 4}))
    assert source.form.channels == ("x", "y") and source.times == "read"
    assert [(each.value.tolist(), each.captured_s) for each in found] == [([[1, 2]], 0.0), ([[3, 4]], 0.5)]
    assert source.inputs_per_s == 2
    source, found = read(jsonl(tmp_path, {"x": [1, 2], "y": [3, 4]}), channels=("y", "x"))
    assert found[0].value.tolist() == [[3, 1], [4, 2]]
    source, found = read(jsonl(tmp_path, {"x": 1, "say": "hi"}), channels=("x",), text_column="say")
    assert source.form.modality == "signal+text" and found[0].value["signal"].tolist() == [[1]]
    assert words(read(jsonl(tmp_path, '"hi"', '"ho"'))[1]) == ["hi", "ho"]
    assert read(jsonl(tmp_path, "[1, 2]", "[3, 4]"))[0].form.channels == ("0", "1")


def test_rows_of_json_are_cut_into_windows(tmp_path):
    lines = [{"time_ms": 20 * number, "x": number} for number in range(100)]
    source, found = read(jsonl(tmp_path, *lines), window_s=0.5)
    assert source.form.rate_hz == 50 and source.form.window == 25 and len(found) == 4
    assert found[0].captured_s == pytest.approx(0.48)


def test_one_wrong_time_of_a_line_moves_no_other(tmp_path):
    lines = [{"t": 99 if number == 3 else number, "x": number} for number in range(8)]
    times = [each.captured_s for each in read(jsonl(tmp_path, *lines))[1]]
    assert times == pytest.approx([0, 1, 2, 3, 4, 5, 6, 7])


def test_lines_that_are_no_json_or_of_another_kind_are_left_out(tmp_path, caplog):
    path = jsonl(tmp_path, {"x": 1}, "{broken", {"y": 1}, {"x": None}, {"x": "a"}, {"x": [[1]]}, "[" * 5000, {"x": 2})
    assert [each.value.tolist() for each in read(path)[1]] == [[[1]], [[2]]]
    assert "a line is no JSON" in caplog.text and "a line can't be read (it has no x)" in caplog.text
    with pytest.raises(InvalidInput, match=r"a\.jsonl: a line has no field that is a text .* only a, b"):
        read(jsonl(tmp_path, {"a": None, "b": {}}))
    with pytest.raises(InvalidInput, match=r"a\.jsonl: holds no JSON"):
        read(jsonl(tmp_path, "x y z"))


def test_lines_are_whole_whatever_pieces_they_come_in():
    said = []
    splitter = Splitter(Complaints(said.append))
    assert (
        splitter.take(b"a\r\nb") == [b"a"] and splitter.take(b"c\n\nd") == [b"bc", b""] and splitter.finish() == [b"d"]
    )
    for _ in range(LONGEST_LINE // 2**20 + 2):
        assert splitter.take(b"x" * 2**20) == []
    assert splitter.take(b"xx\nnext\n") == [b"next"] and len(splitter._rest) == 0
    assert said == ["a line is longer than 4 MiB: it is left out"]


def test_what_is_piped_in_comes_with_the_time_of_its_arrival_and_nothing_is_lost(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feed = PipeFeed(str(pipe), Complaints(pytest.fail))
    before = time.monotonic()
    with pipe.open("wb", buffering=0) as file:
        file.write(b"one\ntwo\n")
    found = list(feed.blocks())
    assert [line for block in found for line in block.lines] == [b"one", b"two"]
    assert all(before < block.arrived_s < time.monotonic() for block in found)


def test_stdin_is_a_source(tmp_path):
    program = (
        "from infilink.device.sources.open import open_source\n"
        "with open_source('-') as source:\n"
        "    print(source.live, source.form.modality, [each.value.tobytes().decode() for each in source])\n"
    )
    command = [sys.executable, "-c", program]
    lines = "".join(json.dumps({"text": f"line {number}"}) + "\n" for number in range(3))
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "True text ['line 0', 'line 1', 'line 2']\n"
    (tmp_path / "in").write_text(lines)
    with (tmp_path / "in").open() as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.startswith("False text"), "a file that is piped in is a recording"


def test_a_live_feed_loses_the_oldest_and_says_so_while_others_wait():
    said = []
    feed = ThreadFeed("port", Complaints(said.append), loses=True)
    for number in range(5000):
        feed.put([b"%d" % number], float(number))
    feed.end(Unavailable("port: is gone"))
    found: list[Block] = []
    with pytest.raises(Unavailable, match="is gone"):
        found.extend(iter(feed.blocks()))
    assert "the oldest are left out" in said[0]
    feed = ThreadFeed("port", Complaints(said.append), loses=True)
    with pytest.raises(Unavailable, match=r"port: nothing came within 0\.01 s"):
        feed.first(0.01)


@pytest.fixture
def port() -> Iterator[tuple[int, str]]:
    """What a microcontroller writes to, and the port where that comes out."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(theirs)


def test_a_port_gives_rows_until_it_is_unplugged(port):
    ours, path = port
    os.write(ours, b"x,y\n1,2\n")
    source = open_source(f"serial:{path}?baud=9600", cut=Cut())
    rows = iter(source)
    assert next(rows).value.tolist() == [[1, 2]] and source.form.channels == ("x", "y") and source.live
    before = time.monotonic()
    os.write(ours, b"3,4\n")
    taken = next(rows)
    assert taken.value.tolist() == [[3, 4]] and before < taken.captured_s < time.monotonic()
    os.close(ours)
    with pytest.raises(Unavailable, match=r"serial:.*: is gone"):
        next(rows)


def test_half_of_a_first_row_is_no_row(port):
    ours, path = port
    os.write(ours, b"3,4\n5,6\n7,8\n")
    with open_source(f"serial:{path}") as source:
        assert next(iter(source)).value.tolist() == [[5, 6]]
    os.close(ours)


def test_a_port_may_send_json_or_texts(port):
    ours, path = port
    os.write(ours, b'{"a": 1}\n{"a": 2}\n')
    with open_source(f"serial:{path}") as source:
        assert source.form.channels == ("a",)
    with open_source(f"serial:{path}", cut=Cut(modality="text")) as source:
        os.write(ours, b"hello there\n")
        assert "hello there" in words([next(iter(source))])
    os.close(ours)


@pytest.mark.parametrize("asked", ["baud=1", "speed=9600", "9600"])
def test_a_port_has_speeds_that_there_are(asked):
    with pytest.raises(InvalidInput, match=r"write baud=NUMBER, one of .*9600"):
        open_source(f"serial:/dev/tty?{asked}")


def test_a_topic_is_written_as_an_address():
    assert parse_topic("mqtt://hub/a/+/b") == Topic("hub", 1883, "a/+/b")
    assert parse_topic("mqtts://me:p%40ss@hub:9/#?qos=1&tls_ca=ca.pem") == Topic(
        "hub", 9, "#", tls=True, tls_ca="ca.pem", user="me", password="p@ss", qos=1
    )
    for text in ("mqtt://hub", "mqtt://hub/", "mqtt://hub/t?qos=2", "mqtt:///t", "mqtt://me:hush@hub/t?x=1"):
        with pytest.raises(InvalidInput, match="write mqtt://HOST/TOPIC") as raised:
            parse_topic(text)
        assert "hush" not in str(raised.value)
    assert "hush" not in repr(parse_topic("mqtt://me:hush@hub/t"))


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker_or_skip()
    with Broker() as opened:
        yield opened


def test_messages_are_inputs_and_old_ones_are_not(broker):
    broker.publish(b'{"x": 0}', retain=True)
    with open_source(broker.address, cut=Cut(channels=("x",), time_column="t")) as source:
        before = time.monotonic()
        broker.publish(b'{"x": 1, "t": 1700000000}')
        broker.publish(b"no JSON")
        broker.publish(b'{"x": 2, "t": 1700000001}')
        one, other = (next(iter(source)) for _ in range(2))
        assert (one.value.tolist(), other.value.tolist()) == ([[1]], [[2]])
        assert before < one.captured_s <= other.captured_s <= time.monotonic() + 1
    broker.publish(b"", retain=True)


@pytest.mark.parametrize(
    ("payload", "modality", "value"),
    [
        (b"12.5", "signal", 12.5),
        (b"all is well\nso far", "text", b"all is well\nso far"),
        (b'{"text": "hi"}', "text", b"hi"),
    ],
)
def test_a_topic_is_what_its_first_message_is(broker, payload, modality, value):
    broker.publish_on_and_on(payload)
    with open_source(broker.address) as source:
        assert source.form.modality == modality
        found = next(iter(source)).value
    assert found == value if modality == "signal" else found.tobytes() == value


def test_a_broker_that_is_gone_is_unavailable(broker):
    source = open_source(broker.address, cut=Cut(modality="text"))
    source.feed._client.socket().shutdown(2)
    with pytest.raises(Unavailable, match="the broker is gone"):
        next(iter(source))
    source.close()


def test_complaints_are_said_at_first_at_each_power_of_ten_and_in_the_end():
    said = []
    complaints = Complaints(said.append)
    for _ in range(123):
        complaints.add("bad", "a line is bad")
    complaints.add("odd", "a line is odd")
    complaints.finish()
    complaints.finish()
    assert said == [
        "a line is bad",
        "a line is bad (10 so far)",
        "a line is bad (100 so far)",
        "a line is odd",
        "bad: 123 times in all",
    ]


def test_a_live_window_has_no_hole(port):
    ours, path = port
    cut = Cut(window=3, rate_hz=100.0, channels=("x",), time_column="t", time_unit="ms")
    with open_source(f"serial:{path}", cut=cut) as source:
        times_ms = [*range(0, 190, 10), *range(9000, 9040, 10)]
        os.write(ours, b"t,x\n" + b"".join(b"%d,%d\n" % (time_ms, n) for n, time_ms in enumerate(times_ms)))
        found = [np.ravel(each.value).tolist() for each in islice(source, 7)]
    assert found == [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(6)] + [[19, 20, 21]]
    os.close(ours)
