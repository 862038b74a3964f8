"""The command `infilink record`: runs models over a source, or over several, and shows what each model costs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InvalidInput
from ..models.cost import ModelCost
from ..models.spec import find_models, select_models
from ..reporting import show_progress
from ..traces.site import CAMERA_NAME
from ..traces.source_name import without_secrets
from ..traces.trace import Recording, Trace
from ..units import format_bytes
from .sources.cut_options import (
    ChannelsOption,
    ModalityOption,
    RateOption,
    StrideOption,
    TextColumnOption,
    TimeColumnOption,
    TimeUnitOption,
    WatchOption,
    WindowOption,
    cut_of,
)


def record_command(
    models: Annotated[Path, typer.Option(help="The folder with the .onnx models.")],
    out: Annotated[Path, typer.Option(help="The trace to write, or to continue; with --camera, a folder of them.")],
    source: Annotated[
        str | None,
        typer.Option(help="A video file, an address, a camera's number, a folder of sounds, ...: `infilink sources`."),
    ] = None,
    cameras: Annotated[
        list[str] | None,
        typer.Option("--camera", help="NAME=SOURCE, one of several to record at once; NAME is the device's."),
    ] = None,
    window: WindowOption = "",
    stride: StrideOption = "",
    rate: RateOption = None,
    channels: ChannelsOption = "",
    modality: ModalityOption = None,
    time_column: TimeColumnOption = "",
    time_unit: TimeUnitOption = None,
    text_column: TextColumnOption = "",
    watch: WatchOption = False,
    mask: Annotated[
        Path | None,
        typer.Option(help="The device.toml whose `mask` is black here, too; [streams.NAME]: of a camera."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--model", help="Only this model (may be repeated).")] = None,
    start: Annotated[float, typer.Option(help="Where in the source to begin, seconds.", min=0)] = 0.0,
    seconds: Annotated[float | None, typer.Option(help="How much of the source to record.", min=0.1)] = None,
    every: Annotated[int, typer.Option(help="Record one of this many inputs.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run models over a source and write a trace: the inputs with every model's outputs.

    Models that look at another kind of inputs than the source gives are left out; one that --model names is refused.
    Memory does not grow with the source's length. After Ctrl-C, the same command continues where it stopped. With
    --camera several sources are recorded at once, each into NAME.trace; one that fails leaves the others alone.
    """
    from .mask import read_masks
    from .record import record
    from .record_site import record_site

    if (source is None) == (not cameras):
        raise InvalidInput("give one --source, or --camera NAME=SOURCE for each of several")
    sources = _sources(cameras or [])
    if source is not None and out.is_dir():
        raise InvalidInput(f"--out {out}: is a folder; name a file, such as {out / 'street.trace'}")
    if sources and out.is_file():
        raise InvalidInput(f"--out {out}: is a file; with --camera, name a folder for the traces")
    chosen = select_models(find_models(models), only or [])
    cut = cut_of(
        window=window,
        stride=stride,
        rate_hz=rate,
        channels=channels,
        modality=modality,
        time_column=time_column,
        time_unit=time_unit,
        text_column=text_column,
        watch=watch,
    )
    named = bool(only)
    masks = read_masks(mask, list(sources) or [""])
    with show_progress("recording", quiet=as_json) as progress:
        if source is not None:
            recorded = record(
                source,
                chosen,
                out,
                start_s=start,
                seconds=seconds,
                every=every,
                cut=cut,
                mask=masks.get("", ()),
                named=named,
                progress=progress,
            )
        else:
            site = record_site(
                sources,
                chosen,
                out,
                start_s=start,
                seconds=seconds,
                every=every,
                cut=cut,
                masks=masks,
                named=named,
                progress=progress,
            )
    if source is not None:
        _show_one(recorded, as_json=as_json)
    else:
        _show_site(out, site.recorded, {name: str(error) for name, error in site.failures.items()}, as_json=as_json)
        site.raise_failures()


def _sources(cameras: list[str]) -> dict[str, str]:
    """Each camera's source, by its name.

    Raises:
        InvalidInput: a text is no NAME=SOURCE, or a name comes twice or can't be one.
    """
    sources: dict[str, str] = {}
    for text in cameras:
        name, _, source = text.partition("=")
        if not source or not CAMERA_NAME.fullmatch(name):
            raise InvalidInput(
                f"--camera must be NAME=SOURCE, as lobby=rtsp://..., with a name of letters, digits, '.', '_' and '-', "
                f"not {without_secrets(text)!r}"
            )
        if name in sources:
            raise InvalidInput(f"--camera: {name!r} is given twice; name each camera apart")
        sources[name] = source
    return sources


def _show_one(recorded: Recording, *, as_json: bool) -> None:
    costs = _costs(recorded.path)
    if as_json:
        print(json.dumps({**_to_json(recorded), "models": _costs_to_json(costs)}))
        return
    left_out = f", {recorded.left_out} left out" if recorded.left_out else ""
    size = format_bytes(recorded.path.stat().st_size)
    title = f"{recorded.path}: {recorded.inputs} inputs ({recorded.added} new{left_out}), {size}"
    Console().print(_cost_table(title, costs))


def _show_site(out: Path, recorded: Mapping[str, Recording], failures: Mapping[str, str], *, as_json: bool) -> None:
    costs = {name: cost for each in recorded.values() for name, cost in _costs(each.path).items()}
    if as_json:
        cameras = {name: _to_json(each) for name, each in recorded.items()}
        print(json.dumps({"cameras": cameras, "failed": dict(failures), "models": _costs_to_json(costs)}))
        return
    if not recorded:
        return
    table = Table(title=f"{out}: {len(recorded)} of {len(recorded) + len(failures)} cameras")
    table.add_column("camera")
    for column in ("inputs", "new", "left out", "size"):
        table.add_column(column, justify="right")
    for name, each in recorded.items():
        size = format_bytes(each.path.stat().st_size)
        table.add_row(name, str(each.inputs), str(each.added), str(each.left_out), size)
    Console().print(table, _cost_table("what each model costs", costs))


def _costs(trace: Path) -> dict[str, ModelCost]:
    with Trace(trace) as opened:
        return opened.info.costs


def _to_json(recorded: Recording) -> dict[str, Any]:
    return {
        "trace": str(recorded.path),
        "inputs": recorded.inputs,
        "added": recorded.added,
        "left_out": recorded.left_out,
    }


def _costs_to_json(costs: Mapping[str, ModelCost]) -> dict[str, Any]:
    return {name: {"memory_bytes": each.memory_bytes, "infer_s": each.infer_s} for name, each in costs.items()}


def _cost_table(title: str, costs: Mapping[str, ModelCost]) -> Table:
    table = Table(title=title)
    table.add_column("model")
    for column in ("memory", "ms per input", "ms to load"):
        table.add_column(column, justify="right")
    for name, cost in costs.items():
        table.add_row(name, format_bytes(cost.memory_bytes), f"{cost.infer_s * 1000:.1f}", f"{cost.load_s * 1000:.0f}")
    return table
