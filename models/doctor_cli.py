"""`infilink doctor`: what is there to run models with, and what is wrong, on a device or a coordinator's machine."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import InvalidInput
from ..settings import read_toml
from .doctor import Finding, check_machine

# Loaded when they are needed: a device needs no package of the cloud, and the cloud none of the device.
_CHECKS = {"cloud": "infilink.cloud.doctor", "device": "infilink.device.doctor"}
_USUAL = ("cloud.toml", "device.toml")
_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}
EXIT_WRONG = 1


def doctor_command(
    files: Annotated[
        list[Path] | None, typer.Argument(help="cloud.toml, device.toml; without any, those in this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is here (versions, processors, providers, cards, memory, disk, clock), and what is wrong.

    With a configuration, also whether that will do: a coordinator's models, links, places, budget, port, certificates;
    whether an agent's sources give inputs, its gates and models run, and the coordinator takes it. The exit code is 1
    if something is wrong.
    """
    paths = files if files else [Path(name) for name in _USUAL if Path(name).is_file()]
    found = list(check_machine(paths[0].parent if paths else Path()))
    for path in paths:
        found += _check_file(path)
    tell(found, as_json=as_json)


def tell(found: list[Finding], *, as_json: bool) -> None:
    """Prints what was found, for people or for programs.

    Raises:
        typer.Exit: something is wrong: the exit code is 1.
    """
    wrong = [finding for finding in found if finding.state == "wrong"]
    if as_json:
        print(json.dumps({"wrong": len(wrong), "findings": [finding.as_dict() for finding in found]}))
    else:
        _show(found)
        print(f"{len(wrong)} wrong" if wrong else "nothing is wrong")
    if wrong:
        raise typer.Exit(EXIT_WRONG)


def _check_file(path: Path) -> Iterator[Finding]:
    try:
        keys = read_toml(path)
    except InvalidInput as error:
        yield Finding("config", "wrong", str(error))
        return
    side = "device" if "source" in keys or "coordinator" in keys else "cloud"
    try:
        check = importlib.import_module(_CHECKS[side]).check
    except ModuleNotFoundError as error:
        extra = "infilink[cloud]" if side == "cloud" else "infilink"
        yield Finding("config", "wrong", f"{path}: the package {error.name!r} is missing", f"pip install '{extra}'")
        return
    yield from check(path)


def _show(found: list[Finding]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    width = max(len(finding.topic) for finding in found)
    for finding in found:
        colour = _COLOURS[finding.state]
        console.print(f"[{colour}]{finding.state:5}[/{colour}] {finding.topic:{width}}  {escape(finding.text)}")
        if finding.advice:
            console.print(f"{'':6}{'':{width}}  -> {escape(finding.advice)}")
