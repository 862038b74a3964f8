"""`infilink fleet filter`: which filter decides on which stream of a running coordinator, another one, and back."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import InvalidInput
from ..protos import fleet_pb2, fleet_pb2_grpc
from ..protos.filter_file import check_file_name, check_size, pieces
from .asking_cli import HERE, AddressOption, Caller, JsonOption, plain
from .security.text import printable
from .status_cli import TlsCaOption, TlsCertOption, TlsKeyOption, TokenOption

_TAKES_WITHIN_S = 300.0


def filter_command(
    streams: Annotated[
        list[str] | None, typer.Argument(help="DEVICE, or DEVICE/STREAM; without one: what decides where.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="The filter's .onnx that is to decide there.")] = None,
    back: Annotated[bool, typer.Option("--back", help="Go back to what decided before.")] = False,
    everywhere: Annotated[
        bool, typer.Option("--all", help="All other streams where what it replaces decides; one has to run it.")
    ] = False,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Also where, by what is kept of a stream, it would probably break its promise."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    address: AddressOption = HERE,
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Roll a filter out to a stream, then to all others, or go back; or show which filter decides where.

    A device that is connected hears of it with its next report, fetches the file, tries it, and swaps it between two
    inputs; one that is not, as it comes. What it refuses is told in words, and the old one stays. Before that the
    coordinator tries the filter on what it has kept of the stream, and says what came of it.
    """
    caller = Caller(address, token, tls_ca, tls_cert, tls_key)
    if file is None and not back:
        if streams or everywhere:
            raise InvalidInput("say what is wanted: --file FILTER.onnx, or --back")
        reply = caller.ask(fleet_pb2_grpc.FleetStub, "List", fleet_pb2.ListFleet())
        _show([each for device in reply.devices for each in device.filters], as_json=as_json)
        return
    if back == (file is not None) or everywhere == bool(streams) or (back and everywhere):
        raise InvalidInput("give --file with streams or --all, or --back with streams")
    named = "all others where what it replaces decides" if everywhere else ", ".join(streams or [])
    what = "go back to what decided before" if file is None else f"have {file.name} decide"
    if not yes and not typer.confirm(f"{what} on {named}?", err=True):
        raise typer.Exit(1)
    request = fleet_pb2.SetFilterRequest(streams=streams or (), back=back, all=everywhere, anyway=anyway)
    if file is not None:
        uploads = _uploads(file)
        request.digest = caller.ask(fleet_pb2_grpc.FleetStub, "PutFilter", uploads, within_s=_TAKES_WITHIN_S).digest
    reply = caller.ask(fleet_pb2_grpc.FleetStub, "SetFilter", request, within_s=_TAKES_WITHIN_S)
    for each in reply.filters:
        if each.foreseen:
            print(printable(f"{each.stream}: {each.foreseen}"), file=sys.stderr)
    _show(reply.filters, as_json=as_json)


def _uploads(file: Path) -> Iterator[fleet_pb2.FilterUpload]:
    """A file as it travels; what is wrong with it is said before anybody is asked.

    Raises:
        InvalidInput: it is not there, called so that it can't be kept, or too large.
    """
    if not file.is_file():
        raise InvalidInput(f"{file}: there is no such file")
    check_file_name(file.name)
    check_size(file.stat().st_size)
    content = file.read_bytes()
    return (
        fleet_pb2.FilterUpload(name="" if number else file.name, content=piece)
        for number, piece in enumerate(pieces(content))
    )


def _show(filters: Sequence[Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([plain(each) for each in filters]))
        return
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for column in ("stream", "decides now", "since", "wanted", "by", "how it is"):
        table.add_column(column, overflow="fold")
    for each in filters:
        wanted = each.wanted_name or ("its own" if each.wanted_us else "-")
        table.add_row(
            escape(printable(each.stream)),
            escape(printable(f"{each.gate_name} {each.gate_digest}".strip() or "-")),
            f"{datetime.fromtimestamp(each.since_us / 1e6):%Y-%m-%d %H:%M:%S}" if each.since_us else "-",
            escape(printable(f"{wanted} {each.wanted_digest[:16]}".strip())),
            escape(printable(each.by)),
            escape(printable(": ".join(filter(None, (each.state, each.told))))),
        )
    Console(file=sys.stdout).print(table if filters else "no device has connected yet")
