"""`infilink federate serve` and `infilink federate join`."""

import json
import logging
import socket
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from ...errors import Unavailable
from ...links.domains.artifact import check_can_save, save_link
from ...settings import checked
from ...traces.trace import Trace
from ...units import format_bytes
from .aggregator import FederationConfig

TokenOption = Annotated[str, typer.Option(help="What sites must know to join.", envvar="INFILINK_TOKEN")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")]


def serve_command(
    out: Annotated[Path, typer.Option(help="The link to write: .onnx.")],
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = "127.0.0.1:7430",
    sites: Annotated[int, typer.Option(help="How many sites to wait for.")] = 2,
    rounds: Annotated[int, typer.Option(help="How many rounds.")] = 30,
    quorum: Annotated[int, typer.Option(help="Changes that a round needs; 0: of most of the sites.")] = 0,
    by_samples: Annotated[bool, typer.Option("--by-samples", help="Weigh sites by their samples.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the first weights.")] = 0,
    join_timeout: Annotated[float, typer.Option(help="Seconds to wait for the sites.")] = 600.0,
    round_timeout: Annotated[float, typer.Option(help="Seconds a round waits for the slowest.")] = 60.0,
    max_message_bytes: Annotated[int, typer.Option(help="The largest message that is taken.")] = 8 * 2**20,
    token: TokenOption = "",
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate to speak TLS with.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lead sites that learn a link together: they send changes of weights, their outputs stay with them.

    What the link predicts from what, the first site to join says; the others must say the same.
    """
    from .service import serve

    flags = {
        "listen": listen,
        "sites": sites,
        "rounds": rounds,
        "quorum": quorum,
        "by_samples": by_samples,
        "seed": seed,
        "join_timeout_s": join_timeout,
        "round_timeout_s": round_timeout,
        "max_message_bytes": max_message_bytes,
        "token": token,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
    }
    _log_to_stderr()
    config = checked(FederationConfig, flags, where="the options")
    check_can_save()
    done = serve(config)
    save_link(done.link, out)
    if as_json:
        print(done.as_json())
    else:
        table = Table(title=f"{out}: {len(done.reports)} rounds")
        for column in ("site", "rounds", "sent to it", "came from it", "its outputs would take"):
            table.add_column(column, justify="left" if column == "site" else "right")
        for name, taken in done.sites.items():
            count = sum(name in report.sites for report in done.reports)
            table.add_row(name, str(count), *(format_bytes(taken[key]) for key in ("down", "up", "central")))
        Console().print(table)
    if done.ended_early:
        raise Unavailable(f"{out} holds what was learnt until it ended early: {done.ended_early}")


def join_command(
    address: Annotated[str, typer.Argument(help="HOST:PORT of the aggregator.")],
    trace: Annotated[Path, typer.Argument(help="This site's trace.")],
    target: Annotated[str, typer.Option(help="The model that is predicted.")],
    source: Annotated[
        list[str] | None, typer.Option(help="A model to predict from; repeat. Default: all others.")
    ] = None,
    site: Annotated[str, typer.Option(help="This site's name, unique among them; default the host's.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the link that all learnt: .onnx.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of this site's learning.")] = 0,
    token: TokenOption = "",
    tls_ca: Annotated[Path | None, typer.Option(help="The certificate to trust; without it no TLS.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn a link together with other sites, from this one's trace; its outputs stay here.

    The first 60 % of the trace is learnt from, the next 20 % chosen on, the last 20 % is what the figures are from:
    a constant, a link of this site alone, the link that all learnt, and the two fused.
    """
    from .site import run_site

    _log_to_stderr()
    if out is not None:
        check_can_save()
    with Trace(trace) as recording:
        done = run_site(
            address,
            recording,
            target,
            source or (),
            name=site or socket.gethostname(),
            seed=seed,
            token=token,
            tls_ca=tls_ca,
        )
    if out is not None:
        save_link(done.joined.link, out)
    if as_json:
        print(json.dumps(done.figures()))
        return
    table = Table(title=f"{target}: agreement on the last {done.reported} inputs; {done.joined.rounds} rounds")
    table.add_column("answered by")
    table.add_column("agreement", justify="right")
    for name, agreement in done.agreements.items():
        table.add_row(name, f"{agreement:.3f}")
    console = Console()
    console.print(table)
    joined = done.joined
    console.print(
        f"sent {format_bytes(joined.sent_bytes)}, received {format_bytes(joined.received_bytes)}; its outputs would "
        f"have taken {format_bytes(joined.central_bytes)}",
        highlight=False,
    )


def _log_to_stderr() -> None:
    console = Console(stderr=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console)])
