"""`infilink train stem`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ..errors import InvalidInput
from ..models.session import check_out
from ..models.spec import digest, find_models, select_models
from ..models.stem.beside import STEM_FILE
from ..models.stem.spec import METADATA_KEY
from ..reporting import show_progress
from ..units import format_bytes, parse_seconds
from .site import Site, camera_paths

_SHOWN = 15


def train_stem_command(
    models: Annotated[Path, typer.Option(help="The folder of models that were recorded.")],
    traces: Annotated[
        list[Path] | None,
        typer.Argument(help="Traces of the site's cameras, with their pictures; or a folder of them."),
    ] = None,
    camera: Annotated[
        list[str] | None, typer.Option("--camera", help="NAME=TRACE: a camera of the site and its trace (repeat).")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Take the layers of this one only; repeat.")] = None,
    latency: Annotated[
        str,
        typer.Option(
            help="What a frame may take on one core, resizing included; default 1ms, more if nothing is so fast."
        ),
    ] = "",
    on: Annotated[
        str, typer.Option(help="The device, NAME=FACTOR: how many times slower it is than this machine.")
    ] = "",
    licence: Annotated[
        list[str] | None,
        typer.Option(help="NAME=LICENCE: of a model whose own file does not say it, as yolox=Apache-2.0; repeat."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The stem to write; default stem.onnx beside the first trace.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take the first layers of one of your own models as the encoder that filters, links and heads share.

    Maps inside the models are tried at a few sizes; what serves heads for all models best, on later parts of the traces
    than they learnt from, is kept. docs/STEM.md says when that helps.
    """
    from .train_stem import LATENCY_MS, train_stem

    limit_ms = 1000 * parse_seconds(latency) if latency else None
    device, slowdown = _parse_device(on)
    paths = camera_paths(traces or (), camera or ())
    path = out or next(iter(paths.values())).parent / STEM_FILE
    check_out(path, (METADATA_KEY,), what="a stem")
    with Site.open(traces or (), camera or ()) as site, show_progress("choosing a stem", quiet=as_json) as progress:
        done, nothing = train_stem(
            list(site.values()),
            select_models(find_models(models), model or []),
            out=path,
            named=bool(model),
            latency_ms=limit_ms,
            slowdown=slowdown,
            device=device,
            licences=dict(map(_parse_licence, licence or ())),
            progress=progress,
        )
    if as_json:
        tried = [asdict(row) for row in done.tried]
        told = {"stem": str(path), "digest": digest(path), "spec": done.spec.model_dump(mode="json")}
        took = {"took_ms": done.took_ms, "measured_on": done.measured_on}
        print(json.dumps({**told, **took, "nothing": nothing, "tried": tried}))
        return
    console = Console()
    table = Table(title="stems, the best first; bold: kept")
    for column in ("model", "maps", "picture"):
        table.add_column(column)
    for column in ("features", "ms", "validation"):
        table.add_column(column, justify="right")
    spec = done.spec
    judged = [row for row in done.tried if row.mark is not None]
    for row in judged[:_SHOWN]:
        size = f"{row.size[0]}x{row.size[1]}"
        chosen = (row.model, row.maps, row.size) == (spec.model, spec.maps, spec.size)
        cells = (row.model, ", ".join(row.maps), size, f"{row.length}", f"{row.took_ms:.2f}", f"{row.mark:.3f}")
        table.add_row(*cells, style="bold" if chosen else "")
    console.print(table)
    if len(done.tried) > len(judged):
        console.print(f"{len(done.tried) - len(judged)} more take too long or do not run (--json has them)")
    if limit_ms is None and done.took_ms > LATENCY_MS:
        nothing["the stem"] = f"takes more than {LATENCY_MS:g} ms: nothing here that serves is as fast"
    for name, why in nothing.items():
        console.print(f"[yellow]note:[/] {name}: {why}", highlight=False)
    console.print(
        f"{path}: {', '.join(spec.maps)} of {spec.model} at {spec.size[0]}x{spec.size[1]}, {spec.length} features, "
        f"{done.took_ms:.2f} ms on {done.measured_on}, {format_bytes(path.stat().st_size)}; "
        f"licence: {spec.licence or 'not stated in the model, ask where it is from, and say it with --licence'}",
        highlight=False,
        soft_wrap=True,
    )


def _parse_device(on: str) -> tuple[str, float]:
    """A device's name and how much slower it is than this machine.

    Raises:
        InvalidInput: it is neither empty nor NAME=FACTOR.
    """
    if not on:
        return "", 1.0
    name, _, factor = on.partition("=")
    try:
        slowdown = float(factor)
    except ValueError:
        slowdown = 0.0
    if not (name and 0 < slowdown < np.inf):
        raise InvalidInput(f"--on must be NAME=FACTOR, as pi4=6 for a device six times slower, not {on!r}")
    return name, slowdown


def _parse_licence(text: str) -> tuple[str, str]:
    """A model's name and its licence.

    Raises:
        InvalidInput: it is not NAME=LICENCE.
    """
    name, _, licence = (part.strip() for part in text.partition("="))
    if not name or not licence:
        raise InvalidInput(f"--licence must be NAME=LICENCE, as yolox=Apache-2.0 for the model yolox, not {text!r}")
    return name, licence
