"""What a command shows of its work: log lines and a bar while it runs, pages of tables and plots of what came of it.

A page is one HTML file that needs no other; plots need matplotlib, in `infilink[train]`.
"""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from html import escape
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from rich import progress as rich_progress
from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .errors import InvalidInput
from .files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "td,th{padding:.2rem 1.5rem .2rem 0;vertical-align:top;text-align:left}"
    "td+td,th+th{text-align:right;font-variant-numeric:tabular-nums}"
    "svg{max-width:100%;height:auto}.verdict{font-size:1.4rem;font-weight:600}tr.won{font-weight:600}"
)


LOG_FILE_BYTES = 5 * 2**20
LOG_FILES = 4


class LogFormat(StrEnum):
    """How a daemon writes its log."""

    text = "text"
    json = "json"


class _JsonFormatter(logging.Formatter):
    """A record as one JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


class _LogFile(RotatingFileHandler):
    """A log of bounded size: a file, and the ones before it with .1, .2, ... behind their name."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_FILE_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8", errors="replace")
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A full disk must not fill another log with tracebacks: it is told once, and what is lost is lost."""
        if not self._told:
            self._told = True
            print(f"{self.baseFilename}: the log can't be written: {sys.exc_info()[1]}", file=sys.stderr)


def start_logging(
    form: LogFormat = LogFormat.text, *, file: Path | None = None, lines: logging.Filter | None = None
) -> None:
    """Has a daemon's log written to stderr: for people on a terminal, in whole lines for what collects them.

    Names from elsewhere stand in it, so nothing is highlighted: to look for what to colour takes time on long lines.

    Args:
        form: how.
        file: written in stderr's place: at most `LOG_FILES` of `LOG_FILE_BYTES` each; None: stderr.
        lines: may change each line before it is written.

    Raises:
        InvalidInput: it can't be written.
    """
    handler: logging.Handler = logging.StreamHandler()
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = _LogFile(file)
        except OSError as error:
            raise InvalidInput(f"--log-file {file}: can't be written: {error.strerror}") from error
    if form is LogFormat.json:
        handler.setFormatter(_JsonFormatter())
    elif file is None and sys.stderr.isatty():
        handler = RichHandler(console=Console(stderr=True), highlighter=NullHighlighter(), show_path=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    if lines is not None:
        handler.addFilter(lines)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


Progress = Callable[[float, str], None]
"""Called with the share of the work that is done, from 0 to 1, and what is being done."""


@contextmanager
def show_progress(title: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Draws a bar on stderr while the body runs; yields the function that moves it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[what]}"),
    )
    console = Console(stderr=True)
    # In a log the bar would be an empty line.
    hidden = quiet or not console.is_terminal
    with rich_progress.Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(title, total=1.0, what="")
        yield lambda share, what: bar.update(task, completed=share, what=what)


def part_of(progress: Progress | None, start: float, stop: float) -> Progress | None:
    """The progress of a part of some work, which is the whole's from `start` to `stop`."""
    if progress is None:
        return None
    whole = progress
    return lambda done, doing: whole(start + done * (stop - start), doing)


def write_html(path: Path, title: str, body: str) -> None:
    """Writes a page with that body."""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>{body}"
    )
    with replacing(path) as part:
        part.write_text(page + "\n", encoding="utf-8")


def table_html(rows: Iterable[tuple[str, ...]], *, head: tuple[str, ...] = (), won: str = "") -> str:
    """A table; the row whose first cell is `won` stands out."""
    made = [f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"] if head else []
    for row in rows:
        mark = " class=won" if won and row[0] == won else ""
        made.append(f"<tr{mark}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>")
    return f"<table>{''.join(made)}</table>"


def new_figure(*, height: float = 3.2) -> "Figure":
    """An empty figure as wide as the page."""
    from matplotlib.figure import Figure

    return Figure(figsize=(7, height), layout="constrained")


def svg(figure: "Figure") -> str:
    """A figure as text to go into a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
