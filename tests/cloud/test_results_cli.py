"""`infilink results` and `infilink backup`, as one types them, over ledgers in both databases."""

import asyncio
import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from infilink.cli import build_app
from infilink.cloud.ledger.database import Database
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.tables import ANSWERS, LEARNT, METADATA
from infilink.errors import InvalidInput
from infilink.models.spec import parse_spec
from infilink.protos import edge_pb2
from sqlalchemy import insert, select
from typer.testing import CliRunner

from .ledger.conftest import answered, key, output

MIDNIGHT_US = 1_792_886_400 * 10**6
"""2026-10-25 00:00 in UTC: 02:00 in Berlin, where the clocks go back an hour later."""


@pytest.fixture
def infilink(ledger_place: Path | str) -> Callable[..., str]:
    """Runs a command on the test's ledger; its output."""

    def run(*words: str | Path, at: Path | str = ledger_place, **options) -> str:
        arguments = [str(word) for word in words] + ["--ledger", str(at)]
        done = CliRunner().invoke(build_app(arguments), arguments, env={"COLUMNS": "200"}, **options)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return run


@pytest.fixture
def filled(ledger_place: Path | str) -> Path | str:
    """Two devices, an answer each half hour, of which every second has a person; the last of the second was linked."""

    async def story() -> None:
        now = [MIDNIGHT_US * 1000]
        ledger = Ledger.open(ledger_place, clock_ns=lambda: now[0])
        for number in range(4):
            empty = np.zeros((0, 6), np.float32)
            boxes = output("detector") if number % 2 == 0 else output("detector", empty)
            await ledger.record(answered(number, boxes, output("scene"), device="door-1", size=None))
            linked = output("level", origin=edge_pb2.ORIGIN_LINKED, confidence=0.25, trusted=False, sources=["scene"])
            await ledger.record(answered(number, linked, device="yard"))
            now[0] += 1800 * 10**9
        ledger.journal("load", "loaded: worth it", model="scene")
        ledger.audited(key(1, "yard"), "level", origin="held", confidence=0.75, trusted=True, agreement=0.5)
        await ledger.close()

    asyncio.run(story())
    return ledger_place


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


FOUND = [
    ([], 12),
    (["--device", "yard"], 4),
    (["--device", "door*", "--model", "det?ctor"], 4),
    (["--class", "person"], 2),
    (["--class", "PERSON"], 0),
    (["--class", "night", "--class", "person"], 6),
    (["--origin", "linked"], 4),
    (["--confidence", "0.5"], 8),
    (["--session", "other"], 0),
    (["--device", "yard", "--since", "2026-10-25T01:00:00Z"], 2),
    (["--device", "yard", "--until", "2026-10-25T01:00:00Z"], 2),
    (["--device", "yard", "--zone", "Europe/Berlin", "--since", "2026-10-25 02:30"], 3),
    (["--device", "yard", "--zone", "Europe/Berlin", "--until", "2026-10-25 02:30"], 3),
    (["--limit", "5"], 5),
]
"""Options, and how many results they leave."""


def test_results_are_found_by_what_is_known_of_them(filled, infilink):
    for options, count in FOUND:
        assert len(lines(infilink("results", "query", "--json", *options))) == count, options


def test_they_are_shown_in_the_viewers_zone(filled, infilink):
    text = infilink("results", "query", "--device", "yard", "--zone", "Europe/Berlin")
    rows = [line.split()[:2] for line in text.splitlines()[1:5]]
    times = ["02:00:00.000+02:00", "02:30:00.000+02:00", "02:00:00.000+01:00", "02:30:00.000+01:00"]
    assert rows == [["2026-10-25", time] for time in times]
    assert "0.25?" in text and "4 of 4 results; times as in Europe/Berlin" in text
    assert "1 person" in infilink("results", "query", "--model", "detector")


def test_csv_json_lines_and_parquet_say_the_same(filled, infilink, tmp_path):
    paths = [tmp_path / f"all.{kind}" for kind in ("csv", "jsonl", "parquet")]
    assert all("12 results" in infilink("results", "export", path) for path in paths)
    with paths[0].open(encoding="utf-8", newline="") as file:
        in_csv = list(csv.DictReader(file))
    in_json, table = lines(paths[1].read_text(encoding="utf-8")), pq.read_table(paths[2]).to_pylist()
    assert [row["model"] for row in in_csv] == [row["model"] for row in in_json] == [row["model"] for row in table]
    first = in_json[0]
    assert first["answered"] == in_csv[0]["answered"] == "2026-10-25T00:00:00.000000Z"
    assert table[0]["answered"].isoformat() == "2026-10-25T00:00:00+00:00"
    assert json.loads(in_csv[0]["value"]) == first["value"] and table[0]["shape"] == [1, 6]
    np.testing.assert_allclose(np.reshape(table[0]["value"], table[0]["shape"]), first["value"])
    assert first["classes"] == ["person"] and in_json[2]["sources"] == ["scene"] and table[2]["trusted"] is False


def test_coco_has_pixels_categories_and_pictures_without_boxes(filled, infilink, tmp_path):
    path = tmp_path / "boxes.json"
    with pytest.raises(InvalidInput, match="give --size"):
        infilink("results", "export", path, "--device", "door-1")
    assert not path.exists()
    assert "2 boxes" in infilink("results", "export", path, "--device", "door-1", "--size", "640x480")
    data = json.loads(path.read_text())
    assert [each["name"] for each in data["categories"]] == ["car", "person"]
    assert len(data["images"]) == 4 and data["images"][0]["file_name"] == "door-1/s/0.jpg"
    box = data["annotations"][0]
    assert box["bbox"] == [160, 240, 320, 240] and box["category_id"] == 2 and box["score"] == pytest.approx(0.9)
    assert {each["image_id"] for each in data["annotations"]} <= {each["id"] for each in data["images"]}
    with pytest.raises(InvalidInput, match="there are no boxes"):
        infilink("results", "export", path, "--device", "yard")


def test_mot_is_of_one_stream_and_says_who_nobody_is(filled, infilink, tmp_path):
    path, size = tmp_path / "det.txt", ("--size", "640x480")
    assert "2 boxes" in infilink("results", "export", path, *size)
    assert path.read_text().splitlines() == [
        "1,-1,160.00,240.00,320.00,240.00,0.9000,-1,-1,-1",
        "3,-1,160.00,240.00,320.00,240.00,0.9000,-1,-1,-1",
    ]

    async def another() -> None:
        ledger = Ledger.open(filled)
        await ledger.record(answered(0, output("detector"), device="gate"))
        await ledger.close()

    asyncio.run(another())
    with pytest.raises(InvalidInput, match="give --device, --session and --model"):
        infilink("results", "export", path, *size)
    assert len(path.read_text().splitlines()) == 2, "what was there stays"


def test_deleted_results_are_gone_and_inputs_without_any_too(filled, infilink):
    assert "Delete 4 results" in infilink("results", "delete", "--model", "scene", input="n\n")
    assert len(lines(infilink("results", "query", "--json"))) == 12
    assert infilink("results", "delete", "--model", "scene", "--yes") == "deleted 4 results\n"
    assert infilink("results", "delete", "--class", "person", "--yes") == "deleted 2 results\n"
    assert infilink("results", "delete", "--device", "yard", "--yes") == "deleted 4 results\n"
    (left,) = {row["device"] for row in lines(infilink("results", "query", "--json"))}
    database = Database(filled)
    with database.read() as connection:
        assert connection.execute(select(ANSWERS.c.sequence).order_by(ANSWERS.c.sequence)).scalars().all() == [1, 3]
    database.close()
    assert left == "door-1"


def test_the_journal_and_the_audits_are_shown(filled, infilink):
    assert "loaded: worth it" in infilink("results", "journal", "--kind", "load", "--model", "sc*")
    assert "loaded" not in infilink("results", "journal", "--kind", "plan")
    assert infilink("results", "audits").splitlines()[1].split() == ["yard", "level", "held", "1", "0.750", "0.500"]


def contents(place: Path | str) -> dict[str, list]:
    database = Database(place, create=False)
    with database.read() as connection:
        rows = {table.name: connection.execute(select(table)).all() for table in METADATA.sorted_tables}
    database.close()
    return {name: sorted(map(tuple, found)) for name, found in rows.items()}


def test_a_backup_of_a_ledger_in_use_is_whole_and_goes_on_as_a_ledger(filled, infilink, tmp_path):
    database = Database(filled)
    with database.write() as connection:
        connection.execute(insert(LEARNT), {"links": "l", "name": "device yard", "kept_s": 1.5, "value": b"{}"})
    database.close()

    async def story() -> None:
        ledger = Ledger.open(filled)
        stop = asyncio.Event()

        async def keep_writing() -> int:
            sequence = 100
            while not stop.is_set():
                await ledger.record(answered(sequence))
                ledger.journal("load", str(sequence))
                sequence += 1
            return sequence - 100

        writing = asyncio.create_task(keep_writing())
        while ledger.stats().kept < 20:
            await asyncio.sleep(0)
        copied = await asyncio.to_thread(infilink, "backup", tmp_path / "copy.sqlite")
        stop.set()
        written = await writing
        await ledger.close()
        with sqlite3.connect(tmp_path / "copy.sqlite") as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            count = file.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
        file.close()
        assert 28 <= count <= 8 + written and f"copied {count} answers" in copied
        restored = Ledger.open(tmp_path / "copy.sqlite")
        assert await restored.find(key(101)) == answered(101).message
        assert await restored.record(answered(100, output("level"))) == answered(100).message, "it was answered already"
        assert await restored.record(answered(10_000)) == answered(10_000).message
        restored.journal("plan", "goes on")
        await restored.close()

    asyncio.run(story())
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.sqlite"]
    kept = contents(tmp_path / "copy.sqlite")
    assert kept["learnt"] == [(1, "l", "device yard", 1.5, b"{}")] and len(kept["audits"]) == 1
    with pytest.raises(InvalidInput, match="is there already"):
        infilink("backup", tmp_path / "copy.sqlite")


def test_a_file_is_restored_into_a_database_and_back(infilink, ledger_place, tmp_path):
    first, back = tmp_path / "first.sqlite", tmp_path / "back.sqlite"

    async def story() -> None:
        ledger = Ledger.open(first)
        await asyncio.gather(*(ledger.record(answered(i)) for i in range(50)))
        ledger.journal("plan", "the plan")
        await ledger.close()
        target = tmp_path / "between.sqlite" if isinstance(ledger_place, Path) else ledger_place
        infilink("backup", target, at=first)
        infilink("backup", back, at=target)
        assert contents(first) == contents(target) == contents(back)
        restored = Ledger.open(target)
        if isinstance(target, str):
            with pytest.raises(InvalidInput, match="has answers already"):
                infilink("backup", target, at=first)
        restored.journal("plan", "numbered on")
        assert await restored.find(key(7)) == answered(7).message
        await restored.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["results", "query", "--origin", "guessed"], "is none of executed"),
        (["results", "query", "--since", "soon"], 'write "2026'),
        (["results", "export", "out.xlsx"], "give --format"),
        (["results", "export", "out.txt", "--size", "wide"], "1280x720"),
        (["backup", "mysql://me:secret@host/db"], "must be a path"),
    ],
)
def test_what_cannot_be_meant_is_told_what_can(filled, infilink, words, says):
    with pytest.raises(InvalidInput) as raised:
        infilink(*words)
    assert says in str(raised.value) and "secret" not in str(raised.value)


def test_a_ledger_that_is_not_there_is_not_made(infilink, tmp_path):
    with pytest.raises(InvalidInput, match="there is no such ledger"):
        infilink("results", "query", at=tmp_path / "none.sqlite")
    assert not list(tmp_path.glob("none*"))


def test_a_device_means_all_its_streams_and_a_stream_itself(ledger_place, infilink):
    async def story() -> None:
        ledger = Ledger.open(ledger_place)
        for number, name in enumerate(("robot", "robot/eye", "robot/mic", "robot_2", "robot_2/mic")):
            await ledger.record(answered(number, output("level"), device=name))
            ledger.journal("connected", "connected", device=name)
            ledger.audited(key(number, name), "level", origin="held", confidence=0.75, trusted=True, agreement=0.5)
        await ledger.close()

    def found(*words: str) -> set[str]:
        told = infilink("results", "query", "--json", *words)
        return {json.loads(line)["device"] for line in told.splitlines()}

    asyncio.run(story())
    assert found("--device", "robot") == {"robot", "robot/eye", "robot/mic"}
    assert found("--device", "robot/mic") == {"robot/mic"}
    assert found("--device", "*/mic") == {"robot/mic", "robot_2/mic"}
    assert found("--device", "robot*") == found() == {"robot", "robot/eye", "robot/mic", "robot_2", "robot_2/mic"}
    for command in ("journal", "audits"):
        told = infilink("results", command, "--device", "robot")
        assert "robot/eye" in told and "robot_2" not in told
    assert "deleted 3 results" in infilink("results", "delete", "--device", "robot", "--yes")
    assert found() == {"robot_2", "robot_2/mic"}


@pytest.mark.parametrize("ending", [".json", ".txt"])
def test_boxes_in_what_is_no_picture_are_no_data_set_of_pictures(ledger_place, infilink, tmp_path, ending):
    sounds = {"modality": "audio", "rate_hz": 8000.0}
    spec = parse_spec(
        {"name": "detector", "input": sounds, "output": {"kind": "boxes", "classes": ["bark"]}}, where="it"
    )

    async def story() -> None:
        ledger = Ledger.open(ledger_place)
        await ledger.record(answered(1, output("detector"), device="a/mic", size=None, specs={"detector": spec}))
        await ledger.close()

    asyncio.run(story())
    with pytest.raises(InvalidInput, match="detector looks at audio, and COCO and MOT are of pictures"):
        infilink("results", "export", tmp_path / f"boxes{ending}")
    assert "1 result" in infilink("results", "export", tmp_path / "boxes.csv")
