"""`infilink device status`: what the agents of this machine do, asked of themselves."""

import json
import time
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..units import format_bytes
from .status_socket import running_agents

EXIT_NONE = 1
_SHOWN_TEXT = 60
# What stands in the table already, or is of interest to programs alone.
_IN_TABLE = frozenset(
    "state source gate capturing connected inputs_per_s busy_s failure frames kept dropped sent_bytes "
    "received_bytes memory_bytes filter".split()
)
_OF_FILTER = ("digest", "doing", "refused")
_BUSY_S = 5.0


def status_command(
    name: Annotated[str | None, typer.Option(help="Only the agent that is called so.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what the agents on this machine do: streams, rates, what waits, the connection, what went wrong.

    They are asked themselves, so it needs no coordinator. An agent that systemd runs as another user answers that user
    and root (sudo). Exit code 1 if none answers.
    """
    found = [each for each in running_agents() if name is None or each.get("name") == name]
    if as_json:
        print(json.dumps({"agents": found}))
    elif not found:
        which = "no agent runs here" if name is None else f"no agent called {name!r} runs here"
        print(f"{which}, or it is another user's: sudo infilink device status")
    else:
        for agent in found:
            _show(agent)
    if not found:
        raise typer.Exit(EXIT_NONE)


def _show(agent: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=not Console().is_terminal)
    if "error" in agent:
        console.print(f"an agent can't tell: {escape(str(agent['error']))}")
        return
    title = (
        f"{agent['name']}: infilink {agent['version']}, process {agent['pid']}, up {_time(agent['up_s'])}, "
        f"coordinator {agent['coordinator']}"
    )
    table = Table(title=escape(title), title_justify="left")
    for column in ("stream", "state", "source"):
        table.add_column(column, overflow="fold")
    for column in ("inputs/s", "inputs", "kept", "dropped", "sent"):
        table.add_column(column, justify="right")
    for stream, told in agent["streams"].items():
        kept = f"{told['kept'] / told['frames']:.1%}" if told["frames"] else "-"
        table.add_row(
            escape(stream) or "-",
            _state(told),
            escape(_short(told["source"])),
            f"{told['inputs_per_s']:.1f}",
            str(told["frames"]),
            kept,
            str(told["dropped"]),
            format_bytes(told["sent_bytes"]),
        )
    console.print(table)
    for stream, told in agent["streams"].items():
        named = f"{stream}: " if stream else ""
        more = {
            key: value for key, value in told.items() if key not in _IN_TABLE and value not in (0, 0.0, "", False, [])
        }
        if more:
            console.print(escape(f"{named}{', '.join(f'{key} {_value(value)}' for key, value in more.items())}"))
        rolled_out = [f"{key} {told['filter'][key]}" for key in _OF_FILTER if told.get("filter", {}).get(key)]
        if rolled_out:
            console.print(escape(f"{named}filter from the coordinator: {', '.join(rolled_out)}"))
        if told["failure"]:
            console.print(escape(f"{named}last error: {told['failure']}"))
    for problem in agent["problems"]:
        at = datetime.fromtimestamp(problem["at_s"]).astimezone()
        console.print(escape(f"{at:%m-%d %H:%M:%S} {problem['level']}: {problem['text']}"))


def _state(told: dict[str, Any]) -> str:
    if told["state"] != "running":
        return {"waiting": "is tried again", "ended": "ended"}.get(told["state"], escape(told["state"]))
    if told["busy_s"] > _BUSY_S:
        return f"stuck for {told['busy_s']:.0f} s"
    if not told["capturing"]:
        return "starts"
    return "connected" if told["connected"] else "no coordinator"


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else f"...{text[-_SHOWN_TEXT:]}"


def _time(seconds: float) -> str:
    days, rest = divmod(round(seconds), 86400)
    return (
        f"{days} d {time.strftime('%H:%M:%S', time.gmtime(rest))}"
        if days
        else time.strftime("%H:%M:%S", time.gmtime(rest))
    )
