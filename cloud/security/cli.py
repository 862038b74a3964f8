"""`infilink token`: the tokens that a coordinator knows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ...errors import InvalidInput
from .caller import SCOPES, Scope
from .tokens import add_token, read_tokens, remove_token

TokensOption = Annotated[Path, typer.Option("--tokens", help="The coordinator's file of tokens (`tokens`).")]
_FILE = Path("tokens.toml")


def new_command(
    name: Annotated[str, typer.Argument(help="What the token is called: the device's name, or a person's.")],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it may do: {', '.join(SCOPES)}; repeat. Default: device.")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="The device it may send as, `*` and `?` allowed; repeat. Default: the token's name."),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="How long it holds; default: until it is removed.")] = None,
    tokens: TokensOption = _FILE,
) -> None:
    """Make a token and print it, this once: the file keeps its hash only.

    A device's token lets it send under its own name and no other. Give it to the device as `token` in its device.toml,
    to `infilink status` as --token or INFILINK_TOKEN.
    """
    scopes = _scopes(scope or ["device"])
    devices = tuple(device or ([name] if "device" in scopes else []))
    print(add_token(tokens, name, scopes=scopes, devices=devices, days=days))
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(
        f"{tokens}: {name} may {_told(scopes, devices)}; the coordinator needs `tokens` to name this file"
    )


def list_command(tokens: TokensOption = _FILE) -> None:
    """Show whom the coordinator knows, what each may do, and until when."""
    table = Table()
    for column in ("name", "scopes", "devices", "created", "expires"):
        table.add_column(column)
    now = datetime.now(UTC)
    for name, entry in read_tokens(tokens).items():
        told = name if entry.sha256 else f"{name} (certificate {entry.certificate})"
        expires = "" if entry.expires is None else f"{entry.expires.astimezone():%Y-%m-%d %H:%M}"
        if entry.expires is not None and entry.expires <= now:
            expires += " (over)"
        created = "" if entry.created is None else f"{entry.created.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(told, ", ".join(entry.scopes), ", ".join(entry.devices), created, expires)
    Console().print(table)


def remove_command(name: Annotated[str, typer.Argument(help="Which one.")], tokens: TokensOption = _FILE) -> None:
    """Remove a token: a coordinator that runs refuses it within a second, and ends the streams it began."""
    remove_token(tokens, name)
    print(f"{tokens}: {name} is removed")


def _scopes(given: list[str]) -> tuple[Scope, ...]:
    unknown = sorted(set(given).difference(SCOPES))
    if unknown:
        raise InvalidInput(f"--scope: {unknown[0]!r} is none of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in given)


def _told(scopes: tuple[Scope, ...], devices: tuple[str, ...]) -> str:
    does = {
        "device": f"send as {', '.join(devices)}",
        "reader": "see status and results",
        "operator": "do everything",
    }
    return ", ".join(does[scope] for scope in scopes)
