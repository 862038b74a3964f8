"""How long work tells, and shows, that it goes on: a bar with the time left, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

Progress = Callable[[float, str], None]
"""Is told the share done, from 0 to 1, and what is being done."""


@contextmanager
def show_progress(title: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Draws a bar while the body runs; yields a function to be told the share done (0 to 1) and what is being done."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[what]}"),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(title, total=1.0, what="")
        yield lambda share, what: bar.update(task, completed=share, what=what)


def part_of(progress: Progress | None, start: float, stop: float) -> Progress | None:
    """What a part of some work is to tell, which is the whole's from `start` to `stop`."""
    if progress is None:
        return None
    whole = progress
    return lambda done, doing: whole(start + done * (stop - start), doing)
