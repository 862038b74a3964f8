"""`infilink train stem`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ..codec import decode_jpeg
from ..errors import InvalidInput
from ..models.spec import digest, find_models, select_models
from ..models.stem.judge import Stream
from ..outputs import Array
from ..reporting import show_progress
from ..units import format_bytes, parse_seconds
from .trace import Trace

_MOST_INPUTS = 800
_LEAST_INPUTS = 40
# The stem is part of what filters and links certify on the later part of the same trace: it is chosen without that.
_CHOSEN_SHARE = 0.5
_SHOWN = 15


def train_stem_command(
    traces: Annotated[list[Path], typer.Argument(help="Traces of the site's cameras, with their pictures.")],
    models: Annotated[Path, typer.Option(help="The folder of models that were recorded.")],
    model: Annotated[list[str] | None, typer.Option(help="Take the layers of this one only; repeat.")] = None,
    latency: Annotated[str, typer.Option(help="What a frame may take on one core, resizing included.")] = "1ms",
    on: Annotated[
        str, typer.Option(help="The device, NAME=FACTOR: how many times slower it is than this machine.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="The stem to write; default stem.onnx beside the first trace.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take the first layers of one of your own models as the encoder that filters, links and heads share.

    Maps inside the models are tried at a few sizes; what serves heads for all models best, on later parts of the traces
    than they learnt from, is kept. docs/STEM.md says when that helps.
    """
    from ..models.stem.choose import choose_stem
    from ..models.stem.cut import save_stem

    limit_ms = 1000 * parse_seconds(latency)
    device, slowdown = _parse_device(on)
    opened = [Trace(path) for path in traces]
    taken, left_out = _known(opened, select_models(find_models(models), model or []), named=bool(model))
    streams = [_stream(trace, _MOST_INPUTS // len(opened)) for trace in opened]
    with show_progress("choosing a stem", quiet=as_json) as progress:
        done = choose_stem(taken, streams, latency_ms=limit_ms, slowdown=slowdown, device=device, progress=progress)
    path = out or traces[0].parent / "stem.onnx"
    save_stem(path, done.graph, done.spec)
    nothing = {**done.nothing, **left_out}
    if as_json:
        tried = [asdict(row) for row in done.tried]
        told = {"stem": str(path), "digest": digest(path), "spec": done.spec.model_dump(mode="json")}
        print(json.dumps({**told, "nothing": nothing, "tried": tried}))
        return
    console = Console()
    table = Table(title=f"stems within {limit_ms:g} ms, the best first")
    for column in ("model", "maps", "picture", "form"):
        table.add_column(column)
    for column in ("features", "ms", "agreement", "told apart"):
        table.add_column(column, justify="right")
    for row in done.tried[:_SHOWN]:
        marks = (f"{row.marks.agreement:.3f}", f"{row.marks.told_apart:.3f}") if row.marks else (row.why, "")
        size = f"{row.size[0]}x{row.size[1]}"
        table.add_row(row.model, ", ".join(row.maps), size, row.form, f"{row.length}", f"{row.took_ms:.2f}", *marks)
    console.print(table)
    for name, why in nothing.items():
        console.print(f"[yellow]note:[/] {name}: {why}", highlight=False)
    spec = done.spec
    console.print(
        f"{path}: {', '.join(spec.maps)} of {spec.model} at {spec.size[0]}x{spec.size[1]}, {spec.length} features, "
        f"{spec.took_ms:.2f} ms on {spec.measured_on}, {format_bytes(path.stat().st_size)}; "
        f"licence: {spec.licence or 'not stated in the model, ask where it is from'}",
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


def _known(traces: list[Trace], found: Mapping[str, Path], *, named: bool) -> tuple[dict[str, Path], dict[str, str]]:
    """The models that the traces are of, and why others are not taken."""
    taken, left_out = {}, {}
    for name, path in found.items():
        recorded = {trace.path.name: trace.info.digests.get(name) for trace in traces}
        now = digest(path)
        other = next((trace for trace, then in recorded.items() if then not in (None, now)), None)
        if other is not None:
            why = f"the file is {now}, and {other} recorded {recorded[other]}: record it again, or bring that file back"
            if named:
                raise InvalidInput(f"{path}: {why}")
            left_out[name] = why
        elif not named and not any(recorded.values()):
            left_out[name] = "no trace knows it; name it with --model to take it all the same"
        else:
            taken[name] = path
    if not taken:
        raise InvalidInput(f"no model here can be taken: {'; '.join(f'{n}: {why}' for n, why in left_out.items())}")
    return taken, left_out


def _stream(trace: Trace, most: int) -> Stream:
    """Up to so many inputs of a trace's first half, at equal distances.

    Raises:
        InvalidInput: its inputs are no pictures, or there are too few.
    """
    if trace.info.input != "image":
        kept = (
            "outputs only" if trace.info.input == "none" else "arrays, for which filters learn an encoder of their own"
        )
        raise InvalidInput(f"{trace.path}: holds {kept}; a stem is chosen by pictures (docs/STEM.md)")
    if len(trace) < _LEAST_INPUTS:
        raise InvalidInput(f"{trace.path}: holds {len(trace)} inputs; a stem is chosen by {_LEAST_INPUTS} or more")
    inputs = round(_CHOSEN_SHARE * len(trace))
    taken = np.unique(np.linspace(0, inputs - 1, min(inputs, most)).round().astype(int)).tolist()
    wanted = set(taken)

    def frames() -> Iterator[Array]:
        return (decode_jpeg(each) for i, each in enumerate(trace.payloads()) if i in wanted)

    outputs = {name: [values[i] for i in taken] for name in trace.models for values in [trace.outputs(name)]}
    return Stream(trace.path.name, frames, outputs, {name: spec.output for name, spec in trace.models.items()})
