"""What is shown of a run: in place on a terminal, a plain line now and then elsewhere."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from infilink.device.result_rows import InputRow, ResultRow
from infilink.device.results import ResultsFile
from infilink.examples.demo.daemons import Watched, read_streams
from infilink.examples.demo.live import Screen
from infilink.examples.demo.recorded import Site
from rich.console import Console

from .sites import small_site


def status(seconds: float) -> SimpleNamespace:
    models = [
        SimpleNamespace(name=name, state="loaded", cpu_s=seconds / 10, executions=3, memory_bytes=2**20)
        for name in ("count", "label")
    ]
    return SimpleNamespace(models=models, memory_bytes=2**21)


def write_results(site: Site, folder: Path) -> None:
    """The first two inputs of every camera."""
    for name, each in site.cameras.items():
        with ResultsFile(folder / f"{name}.sqlite", anew=True) as results:
            for row in range(2):
                at_s = float(each.captured_s[row])
                results.add_input(InputRow(row, at_s, True, None, 0.0, 0.0, at_s, 500))
                answers = [
                    ResultRow(model, row, at_s, "executed", 1.0, True, value=each.outputs[model][row])
                    for model in site.specs
                ]
                results.add_results(row, at_s, answers)


@pytest.mark.parametrize("terminal", [True, False])
def test_cameras_models_and_budgets_are_shown(tmp_path: Path, terminal: bool) -> None:
    site, out = small_site(), io.StringIO()
    write_results(site, tmp_path)
    console = Console(file=out, force_terminal=terminal, width=160)
    watched = Watched()
    with Screen(console).show(site, tmp_path, "serving") as watch:
        for seconds in (0.0, 6.0):
            watched.add(seconds, status(seconds))
            watch(watched)
    text = out.getvalue()
    if terminal:
        assert all(word in text for word in ("door", "yard", "count", "label", "memory", "compute", "1.000"))
    else:
        assert "4/40 inputs" in text and "agreement 1.000" in text and text.count("\n") == 1


@pytest.mark.parametrize("begun", ["", "PRAGMA user_version = 3", "CREATE TABLE about (key TEXT)"])
def test_a_results_file_that_is_just_being_made_has_no_answers_yet(tmp_path: Path, begun: str) -> None:
    site = small_site()
    write_results(site, tmp_path)
    name = next(iter(site.cameras))
    for path in tmp_path.glob(f"{name}.sqlite*"):
        path.unlink()
    with closing(sqlite3.connect(tmp_path / f"{name}.sqlite")) as database:
        database.executescript(begun)
    assert set(read_streams(tmp_path, site)) == set(site.cameras) - {name}


def test_a_step_is_said_once_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=False))
    for share, what in ((0.0, "recording: a"), (0.1, "recording: b"), (0.2, "training")):
        screen.progress(share, what)
    assert out.getvalue() == "recording\ntraining\n"
