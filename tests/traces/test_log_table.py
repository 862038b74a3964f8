"""Logs in every form that docs/LINKS.md tells of, and what is said of those that are wrong."""

import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.outputs import Array, OutputSpec
from infilink.traces.import_log import LoggedModels
from infilink.traces.log_cell import read_cell
from infilink.traces.log_table import Logged, read_logged

KINDS: dict[str, dict[str, Any]] = {
    "scene": {"kind": "label", "classes": ["quiet", "busy"]},
    "tags": {"kind": "multilabel", "classes": ["rain", "night"]},
    "cars": {"kind": "count"},
    "people": {"kind": "boxes", "classes": ["person", "child"]},
    "embedding": {"kind": "vector", "length": 3},
    "words": {"kind": "tokens", "length": 9},
    "lawn": {"kind": "mask"},
}


def output(name: str) -> OutputSpec:
    return LoggedModels.of({name: {"output": KINDS[name]}}).models[name].output


def read(path: Path, *names: str, time: str = "") -> Logged:
    return read_logged(path, LoggedModels.of({name: {"output": KINDS[name]} for name in names}).models, time=time)


def save(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def numbers(values: Any) -> list[Any]:
    return [None if value is None else np.round(value, 4).astype(float).tolist() for value in values]


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("scene", "busy", [0, 1]),
        ("scene", "[0.25, 0.75]", [0.25, 0.75]),
        ("scene", '{"busy": 0.75, "quiet": 0.25}', [0.25, 0.75]),
        ("scene", np.asarray([0.25, 0.75]), [0.25, 0.75]),
        ("tags", '["night"]', [0, 1]),
        ("tags", "[]", [0, 0]),
        ("tags", "[0.5, 0.25]", [0.5, 0.25]),
        ("cars", " 3 ", [3]),
        ("cars", 3.0, [3]),
        ("people", "[]", []),
        ("people", '[[0, 0, 0.5, 0.5, 0.75, "child"]]', [[0, 0, 0.5, 0.5, 0.75, 1]]),
        ("people", [[0, 0, 0.5, 0.5, 0.75, 0]], [[0, 0, 0.5, 0.5, 0.75, 0]]),
        ("embedding", "[1, 2, 3]", [1, 2, 3]),
        ("words", "[1, 8]", [1, 8]),
        ("lawn", "[[0, 1], [1, 0]]", [[0, 1], [1, 0]]),
    ],
)
def test_a_cell_is_read_as_its_kind(name: str, cell: Any, value: list[Any]) -> None:
    found = read_cell(output(name), cell)
    assert found is not None and found.tolist() == value
    again = read_cell(output(name), found)
    assert again is not None and np.array_equal(again, found)


@pytest.mark.parametrize(
    "cell",
    ["", "  ", None, "null", "NULL", "NaN", "nan", "NA", " n/a ", float("nan"), np.float32("nan"), np.full(3, np.nan)],
)
def test_what_stands_for_nothing_is_a_missing_output(cell: Any) -> None:
    assert all(read_cell(output(name), cell) is None for name in KINDS)


def test_a_class_may_be_called_as_what_else_is_missing() -> None:
    spec = OutputSpec(kind="label", classes=("NA", "EU"))
    found = read_cell(spec, "NA")
    assert found is not None and found.tolist() == [1, 0]
    assert read_cell(spec, "na") is None


@pytest.mark.parametrize(
    ("name", "cell", "complaint"),
    [
        ("scene", "bussy", r"no class 'bussy'; did you mean 'busy'\?"),
        ("scene", '{"rush": 1.0}', "no class 'rush'.*vocabulary changed"),
        ("scene", "[1, 0, 0]", r"must have shape \(2,\)"),
        ("tags", '["snow"]', "no class 'snow'"),
        ("cars", "many", "'many' can't be read as a count: write a number"),
        ("cars", "inf", "NaN or infinity"),
        ("embedding", "[1, NaN, 3]", "NaN or infinity"),
        (
            "people",
            "[[0.5, 0.5, 0.25, 0.25, 0.75, 0]]",
            "end where they begin or before: .*if these are x, y, width and",
        ),
        ("people", "[[0.1, 0.5, 0.25, 0.5, 0.75, 0]]", "end where they begin or before"),
        ("cars", "[1, 2]", "can't be read as a count"),
        ("people", "[[0, 0, 0.5, 0.5, 0.75, 2]]", "class indices must be whole numbers from 0 to 1, not 2"),
        ("people", "[[0, 0, 0.5, 0.5, 0.75, 0.5]]", "whole numbers"),
        ("people", "[[0, 0, 0.5, 0.5]]", "can't be read as a boxes"),
        ("people", '[[0, 0, 0.5, 0.5, 0.75, "dog"]]', "no class 'dog'"),
        ("people", "[[10, 20, 300, 200, 0.75, 0]]", "not as pixels"),
        ("people", "3", "can't be read"),
        ("embedding", "[1, 2]", r"must have shape \(3,\)"),
        ("words", "[1, 9]", "from 0 to 8"),
        ("lawn", "[[0, 1], [1]]", "can't be read as a mask"),
        ("embedding", "[1, 2", "can't be read as a vector: write a list of numbers"),
    ],
)
def test_a_cell_that_does_not_fit_is_refused_in_words(name: str, cell: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        read_cell(output(name), cell)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2), st.integers(0, 40))
def test_what_was_written_as_json_reads_back(scores: list[float], count: int) -> None:
    for name, value in (("scene", scores), ("cars", [count]), ("embedding", [*scores, float(count)])):
        wanted = output(name).check(np.asarray(value))
        found = read_cell(output(name), json.dumps(value if name != "cars" else count))
        assert found is not None and np.array_equal(found, wanted)


def test_wide_and_long_say_the_same(tmp_path: Path) -> None:
    wide = save(
        tmp_path / "wide.csv",
        "time,cars,scene:busy,scene:quiet,camera\n0.5,3,0.75,0.25,north\n1.0,,0.5,0.5,north\n1.5,1,,,north\n",
    )
    long = save(
        tmp_path / "long.csv",
        "time,model,class,value\n0.5,cars,,3\n0.5,scene,busy,0.75\n0.5,scene,quiet,0.25\n"
        "1.0,scene,quiet,0.5\n1.0,scene,busy,0.5\n1.5,cars,,1\n",
    )
    for path in (wide, long):
        logged = read(path, "cars", "scene")
        assert list(logged.captured_s) == [0.5, 1.0, 1.5]
        assert numbers(logged.outputs["cars"]) == [[3], None, [1]]
        assert numbers(logged.outputs["scene"]) == [[0.25, 0.75], [0.5, 0.5], None]
    assert read(wide, "cars").name(1) == "line 3"


def test_a_long_log_may_be_sorted_by_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "time,model,value\n0,cars,1\n1,cars,2\n0,scene,busy\n1,scene,quiet\n1,radar,9\n"
    with caplog.at_level(logging.WARNING):
        logged = read(save(tmp_path / "a.csv", text), "cars", "scene")
    assert numbers(logged.outputs["scene"]) == [[0, 1], [1, 0]]
    assert "left out radar" in caplog.text


def test_times_may_be_iso_and_in_a_column_of_any_name(tmp_path: Path) -> None:
    text = "when,cars\n2026-01-31T08:00:00,1\n2026-01-31T08:00:00.5Z,2\n"
    times = read(save(tmp_path / "a.csv", text), "cars", time="when").captured_s
    assert np.diff(times).tolist() == [0.5]


TABLE = 'time,cars,scene\n0.5,3,busy\n1.5,2.25,"quiet"\n'
GERMAN = "Time;cars;scene\n0,5;3;busy\n1,5;2,25;quiet\n"


SPREADSHEET = "\n\n" + TABLE.replace("\n", ",,\n") + ",,,,\n"
EXCEL = "sep=;\n" + GERMAN


@pytest.mark.parametrize(
    "text",
    [TABLE, GERMAN, TABLE.replace(",", "\t"), TABLE.replace(",", "|"), EXCEL, "\n" + EXCEL, SPREADSHEET],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_tables_of_any_program_say_the_same(tmp_path: Path, text: str, encoding: str, ends: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.replace("\n", ends).encode(encoding))
    logged = read(path, "cars", "scene")
    assert list(logged.captured_s) == [0.5, 1.5]
    assert numbers(logged.outputs["cars"]) == [[3], [2.25]]
    assert numbers(logged.outputs["scene"]) == [[0, 1], [1, 0]]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-16-le"])
def test_names_keep_their_letters(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("time;größe\n0;Löwe\n1;Bär\n".encode(encoding))
    spec = LoggedModels.of({"x": {"output": {"kind": "label", "classes": ["Löwe", "Bär"]}}}).models["x"]
    found = read_logged(path, {"größe": spec.model_copy(update={"name": "größe"})})
    assert numbers(found.outputs["größe"]) == [[1, 0], [0, 1]]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(bytes(range(256)) * 8 + b"\0" * 9)
    with pytest.raises(InvalidInput, match=r"a.csv: is no text; save it as CSV in UTF-8"):
        read(path, "cars")


@pytest.mark.parametrize("header", ["Time", "TIMESTAMP", "timestamp", " captured_s "])
def test_the_column_of_times_may_be_written_in_any_case(tmp_path: Path, header: str) -> None:
    assert read(save(tmp_path / "a.csv", f"cars,{header}\n1,0\n2,1\n"), "cars").captured_s == [0, 1]
    long = f"{header},Model,VALUE,Class\n0,cars,1,\n1,cars,2,\n"
    assert read(save(tmp_path / "b.csv", long), "cars").captured_s == [0, 1]


@pytest.mark.parametrize(
    "value",
    [
        "1769846400.5",
        "1769846400500",
        "1769846400500000",
        "1769846400500000000",
        "2026-01-31T08:00:00.5",
        "2026-01-31 08:00:00,5",
        "2026-01-31T08:00:00.500Z",
        "2026-01-31T09:00:00.500+01:00",
        "2026-01-31T03:00:00.500000-05:00",
    ],
)
def test_a_time_since_1970_is_read_in_any_usual_form(tmp_path: Path, value: str) -> None:
    logged = read(save(tmp_path / "a.csv", f'time;cars\n"{value}";1\n'), "cars")
    assert logged.captured_s == pytest.approx([1769846400.5], abs=1e-6)


def test_a_column_says_by_its_end_what_it_counts(tmp_path: Path) -> None:
    logged = read(save(tmp_path / "a.csv", "frame_ms,cars\n0,1\n40,1\n"), "cars", time="frame_ms")
    assert logged.captured_s == [0, 0.04]
    np.savez(tmp_path / "a.npz", Time=np.asarray(["2026-01-31T08:00:00"], "datetime64[ns]"), cars=[1])
    assert read(tmp_path / "a.npz", "cars").captured_s == [1769846400]


def test_a_missing_number_of_one_class_is_said_and_of_all_is_a_missing_output(tmp_path: Path) -> None:
    text = "time,model,class,value\n0,scene,busy,NA\n0,scene,quiet,null\n1,scene,busy,1\n1,scene,quiet,0\n"
    assert numbers(read(save(tmp_path / "a.csv", text), "scene").outputs["scene"]) == [None, [0, 1]]
    with pytest.raises(InvalidInput, match="time 0 s: 'scene' has no number for class 'quiet'"):
        read(save(tmp_path / "a.csv", text.replace("NA", "1")), "scene")


BEFORE, AFTER = "2026-10-25T02:59:50", "2026-10-25T02:00:00"


def test_a_log_in_local_time_whose_clock_was_set_back_is_told_so(tmp_path: Path) -> None:
    told = "02:00:00.000 UTC, which does not come after the 2026-10-25 02:59:50.000 UTC .*end of summer time: log UTC"
    long = save(tmp_path / "a.csv", f"time,model,value\n{BEFORE},cars,1\n{AFTER},cars,2\n")
    with pytest.raises(InvalidInput, match=told) as caught:
        read(long, "cars")
    assert "sort" not in str(caught.value)


def test_arrays_with_boxes_one_below_the_other(tmp_path: Path) -> None:
    boxes = np.asarray([[0, 0, 0.5, 0.5, 1, 0]] * 3, np.float32)
    arrays: dict[str, Array] = {
        "captured_s": np.arange(3.0),
        "cars": np.asarray([1, 2, 3]),
        "scene": np.asarray(["busy", "quiet", "busy"]),
        "people": boxes,
        "people:lengths": np.asarray([2, 0, 1]),
        "inputs": np.zeros((3, 8, 8, 3), np.uint8),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    logged = read(tmp_path / "a.npz", "cars", "scene", "people")
    assert [len(value) for value in logged.outputs["people"]] == [2, 0, 1]
    assert numbers(logged.outputs["scene"]) == [[0, 1], [1, 0], [0, 1]]
    assert logged.inputs is not None and len(logged.inputs) == 3


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"cars": np.zeros(2)}, "cars has 2 rows and captured_s has 3: they are not of the same inputs"),
        ({"people:lengths": np.asarray([2, 0, 0])}, "people:lengths add up to 2, but people has 3 rows"),
        ({"captured_s": np.zeros((3, 1))}, "needs an array captured_s of one dimension"),
        ({"captured_s": np.asarray([0, np.nan, 1])}, "row 1: time nan is not finite"),
        ({"cars": np.asarray([1, np.inf, 1])}, "row 1: cars: .*NaN or infinity"),
        ({"inputs": np.zeros(2)}, "inputs has 2 rows"),
        ({"cars": np.asarray([{}, {}, {}], object)}, "without pickled objects"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, changed: dict[str, Array], complaint: str) -> None:
    arrays = {
        "captured_s": np.arange(3.0),
        "cars": np.ones(3),
        "people": np.asarray([[0, 0, 1, 1, 1, 0]] * 3),
        "people:lengths": np.ones(3, np.int64),
    }
    np.savez(tmp_path / "a.npz", allow_pickle=True, **(arrays | changed))
    with pytest.raises(InvalidInput, match=complaint):
        read(tmp_path / "a.npz", "cars", "people")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,scene\n0,busy\n", "model 'cars' has no column; name it cars"),
        ("cars,scene\n1,busy\n", r"no column of times: .*--time \(columns: cars, scene\)"),
        ("time,cars,scene:busy\n0,1,1\n", "'scene' do not fit its spec: scene:quiet is missing"),
        ("time,cars,scene:busy,scene:quiet,scene:rush\n0,1,1,0,0\n", "scene:rush is none of the spec's.*vocabulary"),
        ("time,cars,scene:busy,scene:quiet\n0,1,1,\n", "line 2: scene: .*can't be read"),
        ("time,Cars,scene\n0,1,busy\n", "model 'cars' has no column; .*; Cars is written otherwise"),
        ('time,cars,scene\n0,"1,234",busy\n', "'1,234' can't be read as a count"),
        ("time,cars:0,scene\n0,1,busy\n", "its output of kind count stands in one column, cars"),
        ("time,cars,scene\n0,1\n", "line 2 has 2 cells, the first line 3"),
        ("time,cars,cars,scene\n0,1,1,busy\n", "two columns 'cars'"),
        ("time,cars,scene\nsoon,1,busy\n", "line 2: 'soon' is no time; write seconds"),
        ("time,cars,scene\n17698464000000000000000,1,busy\n", "too large for a time since 1970"),
        ("time,cars,scene\n0,1,busy\n1,1,rush\n", "line 3: scene: there is no class 'rush'"),
        (
            "time,model,value\n1,cars,1\n0,cars,1\n",
            "line 3: 'cars' has time 0 s, which does not come after the 1 s of the row above: sort",
        ),
        ("time,model,value\n1,cars,1\n1,cars,1\n", "line 3: 'cars' has an output at 1 s already"),
        ("time,model,class,value\n1,scene,busy,1\n", "'scene' has no number for class 'quiet'"),
        ("time,model,class,value\n1,scene,busy,1\n1,scene,busy,1\n", "'scene' has this class at 1 s already"),
        ("time,model,class,value\n1,scene,busy,high\n", "'high' is no number"),
        ("time,model,class,value\n1,scene,rush,1\n1,scene,busy,1\n1,scene,quiet,1\n", "no class 'rush'"),
        ("time,cars,scene\n0," + "1" * 200_000 + ",busy\n", "save large outputs, such as masks, as NPZ"),
    ],
)
def test_a_log_that_is_wrong_is_refused_with_the_row(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        read(save(tmp_path / "a.csv", text), "cars", "scene")


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no such file"):
        read(tmp_path / "a.csv", "cars")
    with pytest.raises(InvalidInput, match=r"ends in \.csv, \.tsv, \.parquet or \.npz"):
        read(save(tmp_path / "a.xlsx", ""), "cars")
    with pytest.raises(InvalidInput, match="can't be read as NPZ"):
        read(save(tmp_path / "a.npz", "text"), "cars")


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed here")
def test_parquet_says_which_package_it_needs(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="needs the package pyarrow: `pip install pyarrow`"):
        read(save(tmp_path / "a.parquet", "PAR1"), "cars")


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the package pyarrow is not installed")
    from pyarrow import parquet

    boxes = [[[0.0, 0.0, 0.5, 0.5, 1.0, 0.0]], []]
    table = pyarrow.table({"time": [0.0, 1.0], "cars": [1, None], "scene": ["busy", "quiet"], "people": boxes})
    parquet.write_table(table, tmp_path / "a.parquet")
    logged = read(tmp_path / "a.parquet", "cars", "scene", "people")
    assert numbers(logged.outputs["cars"]) == [[1], None]
    assert [len(value) for value in logged.outputs["people"]] == [1, 0]
