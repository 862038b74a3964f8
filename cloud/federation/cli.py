"""`infilink federate serve`, `infilink federate join` and `infilink federate adopt`."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ...errors import InvalidInput, Unavailable
from ...links.domains.export import check_can_export
from ...links.domains.folder import LinkFolder, Written
from ...links.domains.rounds import Site
from ...links.domains.shared import read_shared, save_shared
from ...links.domains.sharing import Compared, SharingSite
from ...links.domains.task import LinkTask
from ...links.index import check_writable
from ...reporting import start_logging
from ...settings import checked
from ...traces.trace import Trace
from ...units import format_bytes
from .aggregator import FederationConfig

TraceArgument = Annotated[Path, typer.Argument(help="This site's trace.")]
LinksOption = Annotated[
    Path | None, typer.Option(help="The links that are there already: the folder written has them, too.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of this site's learning.")]
TokenOption = Annotated[str, typer.Option(help="What sites must know to join.", envvar="INFILINK_TOKEN")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")]


def serve_command(
    out: Annotated[Path, typer.Option(help="What the sites learn together, for `infilink federate adopt`: .onnx.")],
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
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen to other machines without TLS or without a token.")
    ] = False,
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
        "insecure": insecure,
    }
    start_logging()
    config = checked(FederationConfig, flags, where="the options")
    check_can_export()
    done = serve(config)
    save_shared(done.link, out)
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
    trace: TraceArgument,
    target: Annotated[str, typer.Option(help="The model that is predicted.")],
    source: Annotated[
        list[str] | None, typer.Option(help="A model to predict from; repeat. Default: all others.")
    ] = None,
    site: Annotated[str, typer.Option(help="This site's name, unique among them; default the host's.")] = "",
    out: Annotated[Path | None, typer.Option(help="The folder of links to write, for `infilink cloud`.")] = None,
    links: LinksOption = None,
    seed: SeedOption = 0,
    token: TokenOption = "",
    tls_ca: Annotated[Path | None, typer.Option(help="The certificate to trust; without it no TLS.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn a link together with other sites, from this one's trace; its outputs stay here.

    The first 60 % of the trace is learnt from, the next 20 % chosen on, the last 20 % is what the figures are from:
    a constant, a link of this site alone, the link that all learnt, and what is chosen of the two. That is written.
    """
    from .site import join

    start_logging()
    _check_out(out)
    with Trace(trace) as recording:
        task = LinkTask.of(recording, source or (), target)
        here = SharingSite(LinkFolder.open(recording, links), task)
        joined = join(
            address, Site(site or socket.gethostname(), task, here.blocks[0], seed=seed), token=token, tls_ca=tls_ca
        )
        compared = here.compare(joined.link, seed=seed)
        written = None if out is None else here.write(out, compared, seed=seed)
    if as_json:
        print(json.dumps({**joined.figures(), **_figures(compared, written)}))
        return
    _print(f"{target}: {joined.rounds} rounds", compared, written)
    sent, received, central = map(format_bytes, (joined.sent_bytes, joined.received_bytes, joined.central_bytes))
    Console().print(f"sent {sent}, received {received}; its outputs would have taken {central}", highlight=False)


def adopt_command(
    shared: Annotated[Path, typer.Argument(help="What other sites learnt: .onnx, of `infilink federate serve`.")],
    trace: TraceArgument,
    out: Annotated[Path, typer.Option(help="The folder of links to write, for `infilink cloud`.")],
    links: LinksOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Make links of what other sites learnt, at a site that did not learn with them; its models must be the same.

    The trace is used as by `infilink federate join`, without the rounds.
    """
    _check_out(out)
    link = read_shared(shared)
    with Trace(trace) as recording:
        if link.task.target not in recording.models:
            raise InvalidInput(
                f"{shared}: predicts {link.task.target!r}, and {trace} has no such model (it has: "
                f"{', '.join(recording.models)}); of a person's labels `infilink links adapt` makes links"
            )
        task = replace(LinkTask.of(recording, tuple(link.task.sources), link.task.target), hidden=link.task.hidden)
        differ = task.differences(link.task)
        if differ:
            raise InvalidInput(f"{shared}: was learnt of other models than {trace} has: {'; '.join(differ)}")
        here = SharingSite(LinkFolder.open(recording, links), task)
        compared = here.compare(link, seed=seed)
        written = here.write(out, compared, seed=seed)
    if as_json:
        print(json.dumps(_figures(compared, written)))
        return
    _print(task.target, compared, written)


def _check_out(out: Path | None) -> None:
    """Whether links can be written at the end; asked before the work."""
    if out is not None:
        check_can_export()
        check_writable(out)


def _figures(compared: Compared, written: Written | None) -> dict[str, Any]:
    return {**compared.figures(), **({} if written is None else written.figures())}


def _print(title: str, compared: Compared, written: Written | None) -> None:
    table = Table(title=f"{title}; agreement on the last {compared.reported} inputs")
    table.add_column("answered by")
    table.add_column("agreement", justify="right")
    for name, agreement in compared.agreements.items():
        table.add_row(name, f"{agreement:.3f}")
    console = Console()
    console.print(table)
    weights = ", ".join(f"{weight:.2f} {name}" for name, weight in compared.weights.items())
    console.print(f"chosen: {weights}", highlight=False)
    if written is not None:
        console.print(written.text, highlight=False)
