import io
import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from infilink.codec import decode_jpeg, encode_jpeg, pack, unpack
from infilink.errors import InvalidInput, UnknownModel
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec, parse_spec
from infilink.outputs import Array
from infilink.traces.trace import Trace, TraceInfo, TraceWriter


def spec(name: str, **output: object) -> ModelSpec:
    return parse_spec({"name": name, "input": {"size": [16, 16]}, "output": output}, where=name)


INFO = TraceInfo(
    source="street.mp4",
    fps=25.0,
    models={"cars": spec("cars", kind="boxes", classes=["car"]), "light": spec("light", kind="scalar")},
    digests={"cars": "aa", "light": "bb"},
    costs={name: ModelCost(memory_bytes=5 << 20, infer_s=0.01, load_s=0.1) for name in ("cars", "light")},
    every=2,
    notes={"place": "Brno"},
)


def frame(sequence: int) -> Array:
    return np.full((24, 32, 3), 10 * sequence, np.uint8)


def outputs(sequence: int) -> dict[str, Array]:
    cars = np.full((sequence % 3, 6), sequence, np.float32)
    return {"light": np.asarray([sequence], np.float32), "cars": cars}


def write(path: Path, sequences: range, info: TraceInfo = INFO) -> Path:
    with TraceWriter(path, info) as writer:
        for sequence in sequences:
            writer.append(sequence, sequence / 25, encode_jpeg(frame(sequence)), outputs(sequence))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.trace", range(0, 12, 2))


def test_what_was_written_reads_back_aligned(path: Path) -> None:
    with Trace(path) as trace:
        assert trace.info == INFO
        assert trace.models == INFO.models
        assert (len(trace), trace.sequences.tolist()) == (6, [0, 2, 4, 6, 8, 10])
        assert trace.captured_s == pytest.approx(trace.sequences / 25)
        assert [float(value[0]) for value in trace.outputs("light")] == [0, 2, 4, 6, 8, 10]
        assert [len(value) for value in trace.outputs("cars")] == [0, 2, 1, 0, 2, 1]
        assert [round(float(image.mean()), -1) for image in trace.frames()] == [0, 20, 40, 60, 80, 100]
        assert [jpeg[:2] for jpeg in trace.payloads()] == [b"\xff\xd8"] * 6


def test_a_part_is_a_trace_of_its_own_and_has_parts_too(path: Path) -> None:
    with Trace(path) as trace, trace.part(1, 5) as part, part.part(1, 99) as of_part:
        assert part.sequences.tolist() == [2, 4, 6, 8]
        assert of_part.sequences.tolist() == [4, 6, 8]
        assert [float(value[0]) for value in of_part.outputs("light")] == [4, 6, 8]
        assert [round(float(image.mean()), -1) for image in of_part.frames()] == [40, 60, 80]


def test_a_part_that_holds_nothing_is_refused(path: Path) -> None:
    with Trace(path) as trace, pytest.raises(InvalidInput, match=r"holds no input .*from 6 to 6"):
        trace.part(6, 9)


def test_a_recording_goes_on_where_it_was_cut_off(path: Path, tmp_path: Path) -> None:
    with TraceWriter(path, INFO) as writer:
        assert writer.last_sequence == 10
    write(path, range(12, 20, 2))
    whole = write(tmp_path / "whole.trace", range(0, 20, 2))
    with Trace(path) as resumed, Trace(whole) as at_once:
        assert list(resumed.payloads()) == list(at_once.payloads())
        assert resumed.sequences.tolist() == at_once.sequences.tolist()
        for name in INFO.models:
            assert all(map(np.array_equal, resumed.outputs(name), at_once.outputs(name)))


def test_what_was_written_before_a_crash_stays_and_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "crashed.trace"
    writer = TraceWriter(path, INFO)
    for sequence in range(40):
        writer.append(sequence, sequence / 25, encode_jpeg(frame(1)), outputs(sequence))
    with Trace(path) as seen_by_another:
        assert 0 < len(seen_by_another) <= 40
        assert all(len(seen_by_another.outputs(name)) == len(seen_by_another) for name in INFO.models)
    writer.close()
    writer.close()
    with Trace(path) as trace:
        assert len(trace) == 40


def test_a_finished_trace_is_one_plain_file_and_stays_so_when_it_is_read(path: Path) -> None:
    before = path.read_bytes()
    with Trace(path) as trace, trace.part(1, 3) as part:
        assert (len(list(trace.payloads())), len(part.outputs("light"))) == (6, 2)
        assert [file.name for file in path.parent.iterdir()] == ["a.trace"]
    assert [file.name for file in path.parent.iterdir()] == ["a.trace"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_it_is_read_from_where_nothing_can_be_written(path: Path, mode: str) -> None:
    """With "WAL" it is as earlier versions left it."""
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with Trace(path) as trace:
            assert len(list(trace.frames())) == 6
            assert [file.name for file in path.parent.iterdir()] == ["a.trace"], "root may write there, and must not"
    finally:
        path.parent.chmod(0o755)


def test_a_recording_whose_process_was_killed_reads_and_goes_on(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.trace", tmp_path / "killed.trace"
    writer = TraceWriter(whole, INFO)
    for sequence in range(40):
        writer.append(sequence, sequence / 25, encode_jpeg(frame(1)), outputs(sequence))
    # What a killed process leaves: the file and its log as they are now.
    for end in ("", "-wal"):
        shutil.copy(f"{whole}{end}", f"{killed}{end}")
    writer.close()
    with Trace(killed) as trace:
        assert len(trace) == 32
    with TraceWriter(killed, INFO) as again:
        assert again.last_sequence == 31
        for sequence in range(32, 40):
            again.append(sequence, sequence / 25, encode_jpeg(frame(1)), outputs(sequence))
    with Trace(killed) as trace, Trace(whole) as at_once:
        assert list(trace.payloads()) == list(at_once.payloads())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["killed.trace", "whole.trace"]


def test_a_trace_that_is_read_while_it_is_closed_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    writer = TraceWriter(path, INFO)
    writer.append(0, 0.0, encode_jpeg(frame(1)), outputs(0))
    writer._database.commit()
    with Trace(path) as trace:
        writer.close()
        assert len(trace.outputs("cars")) == 1
    with Trace(path) as trace:
        assert len(trace.outputs("cars")) == 1


def test_what_can_not_be_opened_is_closed_again(path: Path, tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.trace", range(0))
    text = tmp_path / "text.trace"
    text.write_text("no database" * 100)
    errors = []
    for make in (
        lambda: Trace(empty),
        lambda: Trace(text),
        lambda: TraceWriter(text, INFO),
        lambda: TraceWriter(path, replace(INFO, every=7)),
    ):
        with pytest.raises(InvalidInput) as caught:
            make()
        errors.append(caught)
    assert not [file.path for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))]


def test_an_error_in_the_middle_of_a_row_leaves_no_half_of_it(path: Path) -> None:
    with pytest.raises(KeyError), TraceWriter(path, INFO) as writer:
        writer.append(12, 1.0, encode_jpeg(frame(1)), {"light": np.zeros(1, np.float32)})
    with Trace(path) as trace:
        assert len(trace) == len(trace.outputs("light")) == len(trace.outputs("cars")) == 6


@pytest.mark.parametrize("sequence", [10, 3, -1])
def test_sequences_only_rise(path: Path, sequence: int) -> None:
    with (
        TraceWriter(path, INFO) as writer,
        pytest.raises(InvalidInput, match=f"{sequence} is already .*last one is 10"),
    ):
        writer.append(sequence, 1.0, encode_jpeg(frame(1)), outputs(1))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"source": "lobby.mp4"}, "source 'street.mp4', not 'lobby.mp4'"),
        ({"every": 1}, "every 2, not 1"),
        ({"start_s": 3.5}, "start_s 0.0, not 3.5"),
        ({"digests": {"cars": "aa", "light": "cc"}}, "digests .*'bb'.*not .*'cc'"),
    ],
)
def test_another_source_or_other_models_do_not_go_into_the_same_trace(
    path: Path, other: dict[str, object], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        TraceWriter(path, replace(INFO, **other))
    with Trace(path) as trace:
        assert trace.info == INFO


def test_a_trace_that_does_not_say_where_it_began_began_at_the_beginning(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE meta SET value = json_remove(value, '$.start_s')")
    database.close()
    with Trace(path) as trace:
        assert trace.info == INFO
    with pytest.raises(InvalidInput, match=r"start_s 0.0, not 2.0"):
        TraceWriter(path, replace(INFO, start_s=2.0))
    TraceWriter(path, INFO).close()


def test_an_unknown_model_names_those_there_are(path: Path) -> None:
    with Trace(path) as trace, pytest.raises(UnknownModel, match="'people'; known models: cars, light"):
        trace.outputs("people")


def test_missing_outputs_are_told(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("DELETE FROM outputs WHERE model = 1 AND sequence = 4")
    database.close()
    with Trace(path) as trace, pytest.raises(InvalidInput, match="'light' has 5 outputs for 6 inputs"):
        trace.outputs("light")


def read_all(path: Path) -> None:
    with Trace(path) as trace:
        for name in trace.models:
            trace.outputs(name)
        list(trace.frames())


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("UPDATE meta SET value = ?", "{nope"),
        ("UPDATE meta SET value = ?", '{"format": 2}'),
        ("UPDATE meta SET value = ?", "[]"),
        ("UPDATE outputs SET value = ?", b""),
        ("UPDATE outputs SET value = ?", pack(np.zeros(9))[:-8]),
        ("UPDATE inputs SET jpeg = ?", b"no picture"),
    ],
)
def test_what_is_damaged_in_it_is_one_line_that_names_the_file(path: Path, change: str, value: str | bytes) -> None:
    with sqlite3.connect(path) as database:
        database.execute(change, (value,))
    database.close()
    with pytest.raises(InvalidInput, match=r"^.*[.]trace: is damaged .*; record it again$"):
        read_all(path)


def test_an_array_of_objects_is_damage_and_nothing_of_it_is_run() -> None:
    pickled = io.BytesIO()
    np.save(pickled, np.asarray([Path("x")], object), allow_pickle=True)
    with pytest.raises(InvalidInput, match="no readable array"):
        unpack(pickled.getvalue())


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no such trace .record one"):
        Trace(tmp_path / "none.trace")
    text = tmp_path / "text.trace"
    text.write_text("some text that is long enough to be no database header" * 20)
    with pytest.raises(InvalidInput, match="not an infilink trace"):
        Trace(text)
    with pytest.raises(InvalidInput, match="can't be opened as a trace"):
        TraceWriter(text, INFO)
    assert text.read_text().startswith("some text")


def test_another_programs_database_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "mine.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE mine (x INTEGER)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="not an infilink trace"):
        TraceWriter(path, INFO).close()
    assert path.read_bytes() == before


def test_an_empty_trace_and_one_of_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no input"):
        Trace(write(tmp_path / "empty.trace", range(0)))
    with pytest.raises(InvalidInput, match="is a trace of format 99, and this version reads 1 to 3"):
        Trace(write(tmp_path / "future.trace", range(1), replace(INFO, format=99)))


@pytest.mark.parametrize("value", [np.zeros((0, 6), np.float32), np.arange(3), np.eye(2, 3, dtype=np.float32)])
def test_an_array_packs_and_unpacks_as_it_is(value: Array) -> None:
    found = unpack(pack(value))
    assert found.dtype == value.dtype
    assert np.array_equal(found, value)


def test_bytes_that_are_no_picture_are_refused() -> None:
    for data in (b"", b"no picture"):
        with pytest.raises(InvalidInput, match=f"{len(data)} bytes are no readable picture"):
            decode_jpeg(data)


def as_the_first_format(path: Path, **changes: object) -> Path:
    """Such a trace as an earlier version wrote it."""
    with sqlite3.connect(path) as database:
        info = json.loads(database.execute("SELECT value FROM meta WHERE key = 'info'").fetchone()[0])
        del info["times"]
        database.execute("UPDATE meta SET value = ?", (json.dumps({**info, "format": 1, **changes}),))
    database.close()
    return path


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ({"source": "street.mp4"}, "invented"),
        ({"source": "http://server/street.m3u8"}, "invented"),
        ({"source": "street.mp4", "input": "array", "notes": {"cut": "a b c"}}, "invented"),
        ({"source": "rtsp://camera/1"}, "read"),
        ({"source": "0"}, "read"),
        ({"source": "python"}, "read"),
        ({"source": "log.csv", "input": "none"}, "read"),
        ({"source": "motion.npz", "input": "array"}, "read"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["source"],
)
def test_a_video_recorded_by_an_earlier_version_has_invented_times(
    path: Path, changes: dict[str, object], times: str
) -> None:
    as_the_first_format(path, **changes)
    with Trace(path) as trace:
        assert trace.info.times == times and bool(trace.unproven) == (times == "invented")


def test_a_recording_with_invented_times_does_not_go_on_with_read_ones(path: Path) -> None:
    as_the_first_format(path)
    with pytest.raises(InvalidInput, match="was recorded with times 'invented', not 'read'; give another --out"):
        TraceWriter(path, INFO)


def test_a_live_recording_of_an_earlier_version_goes_on(path: Path) -> None:
    as_the_first_format(path, source="rtsp://user:hush@camera/1")
    live = replace(INFO, source="rtsp://other:mum@camera/1")
    with TraceWriter(path, live) as writer:
        writer.append(12, 1.0, encode_jpeg(frame(12)), outputs(12))
    with Trace(path) as trace:
        assert len(trace) == 7 and trace.info == replace(live, source="rtsp://camera/1")
    assert b"hush" not in path.read_bytes()


def test_inputs_that_are_left_out_are_counted_and_not_tried_again(path: Path) -> None:
    for counted in (1, 2):
        with TraceWriter(path, INFO) as writer:
            writer.leave_out(writer.last_sequence + 2)
            assert (writer.left_out, writer.last_sequence) == (counted, 10 + 2 * counted)
    with Trace(path) as trace:
        assert len(trace) == 6
