"""`infilink results` and `infilink backup`: what a ledger holds, as a table, as files, deleted, copied."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import InvalidInput
from ..files import replacing
from .config import load_config
from .ledger.copying import copy_ledger
from .ledger.database import Database
from .ledger.deletion import delete_results
from .ledger.detections import write_coco, write_mot
from .ledger.exports import record_of, write_csv, write_jsonl, write_parquet
from .ledger.notes import read_audits, read_journal
from .ledger.place import check_place
from .ledger.query import Found, Wanted, count_results, find_results
from .ledger.said import said
from .ledger.viewer_time import parse_zone, shown, since_us, until_us
from .sent.forgetting import forget_unanswered
from .sent.settings import pictures_path

ORIGINS = ("executed", "linked", "held", "constant", "local")
_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".json": "coco", ".txt": "mot"}

LedgerOption = Annotated[
    str | None, typer.Option("--ledger", help="The ledger's file or URL [default: ledger.sqlite].")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="The cloud.toml that names the ledger, instead.")]
DeviceOption = Annotated[
    list[str] | None,
    typer.Option("--device", help="A device, or one of its streams (DEVICE/STREAM); * and ? allowed; repeatable."),
]
SessionOption = Annotated[list[str] | None, typer.Option("--session", help="A run of a device; repeatable.")]
ModelOption = Annotated[list[str] | None, typer.Option("--model", help="A model; * and ? allowed; repeatable.")]
ClassOption = Annotated[list[str] | None, typer.Option("--class", help="Results that name this class; repeatable.")]
OriginOption = Annotated[list[str] | None, typer.Option("--origin", help=f"{', '.join(ORIGINS)}; repeatable.")]
SinceOption = Annotated[str | None, typer.Option("--since", help='From then on: "2026-10-25 02:30", "2h", "7d".')]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before then; of a date alone, its end.")]
ConfidenceOption = Annotated[
    float | None, typer.Option("--confidence", help="At least so sure, 0 to 1.", min=0.0, max=1.0)
]
ZoneOption = Annotated[str, typer.Option("--zone", help="Of the times given and shown: Europe/Berlin [default: here].")]


def query_command(
    ledger: LedgerOption = None,
    config: ConfigOption = None,
    device: DeviceOption = None,
    session: SessionOption = None,
    model: ModelOption = None,
    class_: ClassOption = None,
    origin: OriginOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    confidence: ConfidenceOption = None,
    zone: ZoneOption = "",
    limit: Annotated[int, typer.Option(help="Show the newest so many.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, in UTC.")] = False,
) -> None:
    """Show the newest results of a ledger; a coordinator may be writing to it."""
    viewer = parse_zone(zone)
    wanted = _wanted(device, session, model, class_, origin, since, until, confidence, viewer)
    with _opened(ledger, config) as database, database.read() as connection:
        results = list(find_results(connection, wanted, newest=limit))
        if as_json:
            for found in results:
                print(json.dumps(record_of(found), ensure_ascii=False))
            return
        total = count_results(connection, wanted)
    table = Table(box=None)
    for name in ("answered", "device", "input", "model", "origin", "sure", "says"):
        justify: Literal["left", "right"] = "right" if name in ("input", "sure") else "left"
        table.add_column(name, justify=justify, no_wrap=name != "says", overflow="fold")
    for found in results:
        sure = f"{found.confidence:.2f}{'' if found.trusted else '?'}"
        cells = (shown(found.answered_us, viewer), found.device, str(found.sequence), found.model, found.origin, sure)
        table.add_row(*map(Text, (*cells, said(found))))
    console = Console()
    console.print(table)
    where = "here" if viewer is None else str(viewer)
    console.print(f"{len(results):,} of {total:,} results; times as in {where}; ?: not certified", highlight=False)


def export_command(
    out: Annotated[Path, typer.Argument(help="The file: .csv, .jsonl, .parquet, .json (COCO) or .txt (MOT).")],
    ledger: LedgerOption = None,
    config: ConfigOption = None,
    device: DeviceOption = None,
    session: SessionOption = None,
    model: ModelOption = None,
    class_: ClassOption = None,
    origin: OriginOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    confidence: ConfidenceOption = None,
    zone: ZoneOption = "",
    format_: Annotated[str, typer.Option("--format", help="csv, jsonl, parquet, coco or mot.")] = "",
    size: Annotated[str, typer.Option(help="The pictures' size where it is not known: 1280x720.")] = "",
) -> None:
    """Write results of a ledger into a file for other programs; times are UTC there.

    COCO and MOT take boxes: in pixels of the pictures as they came. In MOT nobody is followed, so that each id is -1.
    """
    kind = format_ or _FORMATS.get(out.suffix.lower(), "")
    if kind not in _FORMATS.values():
        raise InvalidInput(f"{out}: give --format, one of {', '.join(_FORMATS.values())}, or such an ending")
    wanted = _wanted(device, session, model, class_, origin, since, until, confidence, parse_zone(zone))
    picture = _picture_size(size)
    with _opened(ledger, config) as database, database.read() as connection, replacing(out) as part:
        count = _write(kind, lambda: find_results(connection, wanted), part, picture)
    print(f"wrote {out}: {count:,} {'boxes' if kind in ('coco', 'mot') else 'results'}")


def delete_command(
    ledger: LedgerOption = None,
    config: ConfigOption = None,
    device: DeviceOption = None,
    session: SessionOption = None,
    model: ModelOption = None,
    class_: ClassOption = None,
    origin: OriginOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    confidence: ConfidenceOption = None,
    zone: ZoneOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete results from a ledger; a coordinator may be writing to it.

    An input that has none left is answered anew if its device sends it again. What is freed is used for new results.
    """
    wanted = _wanted(device, session, model, class_, origin, since, until, confidence, parse_zone(zone))
    with _opened(ledger, config) as database:
        if not yes:
            with database.read() as connection:
                count = count_results(connection, wanted)
            typer.confirm(f"Delete {count:,} results from {database.name}?", abort=True)
        print(f"deleted {delete_results(database, wanted):,} results")
        forget_unanswered(pictures_path(database.path or database.name), database)


def journal_command(
    ledger: LedgerOption = None,
    config: ConfigOption = None,
    kind: Annotated[list[str] | None, typer.Option(help="plan, load, unload, trust, ledger; repeatable.")] = None,
    device: DeviceOption = None,
    model: ModelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    zone: ZoneOption = "",
    limit: Annotated[int, typer.Option(help="Show the newest so many.", min=1)] = 50,
) -> None:
    """Show what a coordinator decided and what happened: plans, loads and unloads and why, trust lost, full disks."""
    viewer, now_us = parse_zone(zone), time.time_ns() // 1000
    begin, end = _range(since, until, viewer, now_us)
    with _opened(ledger, config) as database, database.read() as connection:
        rows = read_journal(connection, kind or (), device or (), model or (), begin, end, newest=limit)
    table = Table(box=None)
    for name in ("at", "kind", "device", "model", "what"):
        table.add_column(name, no_wrap=name == "at")
    for row in rows:
        table.add_row(*map(Text, (shown(row.at_us, viewer), row.kind, row.device, row.model, row.text)))
    Console().print(table)


def audits_command(
    ledger: LedgerOption = None,
    config: ConfigOption = None,
    device: DeviceOption = None,
    model: ModelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    zone: ZoneOption = "",
) -> None:
    """Show how far answers without a model agreed with it, on the inputs that were drawn for that."""
    begin, end = _range(since, until, parse_zone(zone), time.time_ns() // 1000)
    with _opened(ledger, config) as database, database.read() as connection:
        rows = read_audits(connection, device or (), model or (), begin, end)
    table = Table(box=None)
    for name in ("device", "model", "origin", "audits", "expected", "agreed"):
        table.add_column(name, justify="left" if name in ("device", "model", "origin") else "right")
    for row in rows:
        figures = (f"{row.audits:,}", f"{row.expected:.3f}", f"{row.agreed:.3f}")
        table.add_row(*map(Text, (row.device, row.model, row.origin, *figures)))
    Console().print(table)


def backup_command(
    out: Annotated[str, typer.Argument(help="A new file, or the URL of an empty database.")],
    ledger: LedgerOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy a ledger, also one that a coordinator is writing to: as it is at one moment, whole.

    The copy is a ledger: `ledger = ` may name it. The other way round this restores it into a database, or moves a file
    to PostgreSQL.
    """
    with _opened(ledger, config) as database:
        count = copy_ledger(database, _place(out))
    print(f"copied {count:,} answers")


def _write(kind: str, read: Callable[[], Iterable[Found]], path: Path, size: tuple[int, int] | None) -> int:
    if kind == "coco":
        return write_coco(read, path, size)
    if kind == "mot":
        return write_mot(read(), path, size)
    return {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}[kind](read(), path)


@contextmanager
def _opened(ledger: str | None, config: Path | None) -> Iterator[Database]:
    place: Path | str = Path("ledger.sqlite") if ledger is None else _place(ledger)
    if ledger is None and config is not None:
        place = load_config(config).ledger
    database = Database(place, create=False)
    try:
        with database.failures_named():
            yield database
    finally:
        database.close()


def _place(text: str) -> Path | str:
    try:
        return check_place(text)
    except ValueError as error:
        raise InvalidInput(f"the ledger: {error}") from None


def _wanted(
    device: list[str] | None,
    session: list[str] | None,
    model: list[str] | None,
    class_: list[str] | None,
    origin: list[str] | None,
    since: str | None,
    until: str | None,
    confidence: float | None,
    zone: tzinfo | None,
) -> Wanted:
    for name in origin or ():
        if name not in ORIGINS:
            raise InvalidInput(f"--origin {name!r}: is none of {', '.join(ORIGINS)}")
    begin, end = _range(since, until, zone, time.time_ns() // 1000)
    return Wanted(
        devices=device or (),
        sessions=session or (),
        models=model or (),
        classes=class_ or (),
        origins=origin or (),
        since_us=begin,
        until_us=end,
        least_confidence=confidence,
    )


def _range(since: str | None, until: str | None, zone: tzinfo | None, now_us: int) -> tuple[int | None, int | None]:
    begin = None if since is None else since_us(since, zone, now_us)
    return begin, None if until is None else until_us(until, zone, now_us)


def _picture_size(text: str) -> tuple[int, int] | None:
    width, _, height = text.lower().partition("x")
    if not text:
        return None
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise InvalidInput(f"--size {text!r}: write it as 1280x720")
    return int(width), int(height)
