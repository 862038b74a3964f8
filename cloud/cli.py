"""`infilink cloud` and `infilink init cloud`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidInput
from ..reporting import LogFormat, start_logging
from ..settings import write_settings
from .config import load_config
from .daemon import serve
from .default_toml import DEFAULT_TOML


def cloud_command(
    config: Annotated[Path | None, typer.Option(help="The coordinator's TOML file (`infilink init cloud`).")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = None,
    models: Annotated[Path | None, typer.Option(help="The folder with the .onnx models.")] = None,
    links: Annotated[Path | None, typer.Option(help="The folder that `infilink train links` wrote.")] = None,
    answers: Annotated[str | None, typer.Option(help="full, links or hold: how inputs are answered.")] = None,
    policy: Annotated[str | None, typer.Option(hidden=True)] = None,
    placement: Annotated[
        Path | None, typer.Option(help="What runs for which devices (`infilink plan --devices --out`).")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="200MiB, 1.5GiB, 40% or none.")] = None,
    compute: Annotated[str | None, typer.Option(help="The processors' time for models: 1.5 cores, 0.5 or all.")] = None,
    ledger: Annotated[str | None, typer.Option(help="The SQLite file, or URL, that keeps every answer.")] = None,
    phone: Annotated[
        bool, typer.Option("--phone", help="Let phones in: a certificate for them, and a QR code to scan.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen to other machines without TLS or without tokens.")
    ] = False,
    status_file: Annotated[Path | None, typer.Option(help="Write the final status here, as JSON.")] = None,
    log_format: Annotated[LogFormat, typer.Option(help="How the log is written.")] = LogFormat.text,
    log_file: Annotated[
        Path | None, typer.Option(help="Where to, in stderr's place: 20 MiB at most, in 4 files.")
    ] = None,
) -> None:
    """Run the coordinator: what tells most runs within the budgets, the rest is predicted. Ctrl-C stops it in order."""
    if policy is not None:
        raise InvalidInput("--policy is now called --answers")
    flags = {
        "listen": listen,
        "models": models,
        "links": links,
        "answers": answers,
        "placement": placement,
        "budget": budget,
        "compute": compute,
        "ledger": ledger,
        "phone": phone or None,
        "insecure": insecure or None,
    }
    start_logging(log_format, file=log_file)
    serve(load_config(config, flags), status_file=status_file)


def init_command(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("cloud.toml"),
) -> None:
    """Write the coordinator's configuration, every key explained."""
    write_settings(out, DEFAULT_TOML)
    print(f"wrote {out}; start the coordinator with: infilink cloud --config {out}")
