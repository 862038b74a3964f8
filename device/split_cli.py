"""The command `infilink split`: cuts a model in two, shows where it can be cut, or writes the maps at a cut."""

import json
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ..errors import InvalidInput
from ..models.split.cuts import Choice, CutTable, Placing, choose, measure_cuts
from ..models.split.feature_map import TRANSFERS, Transfer
from ..models.split.split import Split, split
from ..outputs import Array
from ..reporting import show_progress
from ..traces.feature_maps import write_features
from ..traces.source_name import without_secrets
from ..traces.trace import Trace
from ..units import LINK_FORMS, format_bytes, format_link, parse_link
from .sources.open import open_source

# Of a clip, one of this many frames is taken.
_EVERY = 25
_NOISE_SIZE = (360, 640, 3)
# A pipe has no width: rich would assume 80 columns and fold the names that --at needs.
_PIPE_COLUMNS = 120


def split_command(
    model: Annotated[
        Path, typer.Argument(help="The .onnx file of the whole model; with --features also that of a head.")
    ],
    at: Annotated[str | None, typer.Option(help="The tensor to cut at.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for both parts; with --features the trace to write.")
    ] = None,
    list_cuts: Annotated[bool, typer.Option("--list", help="Measure every valid cut.")] = False,
    features: Annotated[
        Path | None, typer.Option(help="A trace of pictures: write its feature maps as a trace.")
    ] = None,
    transfer: Annotated[str, typer.Option(help=f"How the map travels: {', '.join(TRANSFERS)}.")] = "uint8+zlib",
    trace: Annotated[Path | None, typer.Option(help="Check and measure on this trace's frames.")] = None,
    source: Annotated[str | None, typer.Option(help="... on this clip's.")] = None,
    inputs: Annotated[int, typer.Option(help="... on so many frames.", min=1, max=1000)] = 8,
    link: Annotated[list[str] | None, typer.Option(help=f"--list: the uplink (repeatable): {LINK_FORMS}.")] = None,
    device_slowdown: Annotated[
        float, typer.Option(help="--list: how much slower the device is than this machine.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Cut a model in two: the device runs the first part and sends its feature map, the cloud the second.

    --at TENSOR --out DIR writes both parts and compares their output with the whole model's. --list shows where it can
    be cut and what each cut costs; --link adds where it is best cut. --at TENSOR --features IN.trace --out OUT.trace
    writes the feature maps that a filter at the cut is trained on.
    """
    if list_cuts:
        if at or out or features:
            raise InvalidInput("--list measures every cut: leave out --at, --out and --features")
        links = [parse_link(text) for text in link or []]
        frames, seen = sample_frames(trace, source, inputs)
        with show_progress("measuring", quiet=as_json) as progress:
            table = measure_cuts(model, frames, seen=seen, progress=progress)
        choices = [choose(table, link_bps, device_slowdown=device_slowdown) for link_bps in links]
        _show_cuts(table, choices, as_json=as_json)
    elif features is not None:
        _write_features(model, at, features, _needed(out, "the trace to write"), as_json=as_json)
    elif at is None:
        raise InvalidInput("say where to cut (--at TENSOR --out DIR), or list where that is possible (--list)")
    else:
        folder = _needed(out, "the folder to write both parts to")
        form = _transfer(transfer)
        frames, seen = sample_frames(trace, source, inputs)
        _show_split(split(model, at, folder, frames=frames, transfer=form), seen, as_json=as_json)


def sample_frames(trace: Path | None, source: str | None, count: int) -> tuple[list[Array], str]:
    """Frames (uint8 BGR) to measure a model on, and what to call them; noise, if neither source of frames is given.

    Args:
        trace: a recorded trace; frames are taken at equal distances from all of it.
        source: a clip or a camera; one of 25 frames is taken, from its start.
        count: how many frames, at most.

    Raises:
        InvalidInput: both are given, or one holds no pictures.
    """
    if trace is not None and source is not None:
        raise InvalidInput("--trace and --source: give one of them")
    if trace is not None:
        with Trace(trace) as opened:
            indices = np.unique(np.linspace(0, len(opened) - 1, count).round().astype(int))
            frames = []
            for index in indices.tolist():
                with opened.part(index, index + 1) as part:
                    frames += list(part.frames())
        return frames, trace.name
    if source is not None:
        with open_source(source) as clip:
            frames = [frame.value for frame in islice((f for f in clip if f.sequence % _EVERY == 0), count)]
        if not frames:
            raise InvalidInput(f"source {without_secrets(source)}: gave no frame")
        return frames, Path(without_secrets(source)).name
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, _NOISE_SIZE, np.uint8) for _ in range(count)]
    return noise, "noise"


def _needed(out: Path | None, what: str) -> Path:
    if out is None:
        raise InvalidInput(f"--out is missing: {what}")
    return out


def _transfer(text: str) -> Transfer:
    for known in TRANSFERS:
        if text == known:
            return known
    raise InvalidInput(f"--transfer {text!r}: must be one of {', '.join(TRANSFERS)}")


def _show_split(done: Split, seen: str, *, as_json: bool) -> None:
    at, parity = done.partition, done.parity
    if as_json:
        facts = {**at.model_dump(mode="json", exclude={"part", "format"}), **asdict(parity), "measured_on": seen}
        print(json.dumps({"head": str(done.head), "tail": str(done.tail), **facts}))
        return
    print(f"wrote {done.head} ({format_bytes(done.head.stat().st_size)}), for the device: `head` in device.toml")
    size = format_bytes(done.tail.stat().st_size)
    print(f"wrote {done.tail} ({size}), for the coordinator: --models {done.tail.parent}")
    print(
        f"their outputs differ from the whole model's by at most {parity.difference:.2g} (of up to {parity.scale:.3g}) "
        f"on {parity.samples} inputs ({seen})"
    )
    for name, agreement in parity.agreement.items():
        mark = " (chosen)" if name == at.transfer else ""
        print(f"  as {name}: {format_bytes(parity.sent_bytes[name])} a map, outputs agree by {agreement:.4f}{mark}")


def _write_features(model: Path, at: str | None, features: Path, out: Path, *, as_json: bool) -> None:
    if out.is_dir():
        raise InvalidInput(f"--out {out}: is a folder; name a file, such as {out / 'maps.trace'}")
    with Trace(features) as trace, show_progress("running the head", quiet=as_json) as progress:
        done = write_features(model, at, trace, out, progress=progress)
    if as_json:
        print(json.dumps({**asdict(done), "path": str(done.path)}))
        return
    print(
        f"wrote {out}: {done.inputs} maps ({done.added} new) of {'x'.join(map(str, done.shape))}, "
        f"{format_bytes(done.size_bytes)} each; now: infilink train filter {out}"
    )


def _show_cuts(table: CutTable, choices: list[Choice], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**asdict(table), "links": [asdict(choice) for choice in choices]}))
        return
    title = f"{table.model}: {len(table.cuts)} cuts; {table.inputs} inputs ({table.seen}), one thread"
    shown = Table(title=title, box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    shown.add_column("cut at", overflow="fold", min_width=16)
    shown.add_column("map", no_wrap=True)
    for column in ("float32", "uint8", "zlib", "ms before", "ms after", "agreement"):
        shown.add_column(column, justify="right", no_wrap=True)
    for cut in table.cuts:
        small, smallest = (format_bytes(form.sent_bytes) for form in cut.forms.values())
        times = f"{cut.head_s * 1e3:.1f}", f"{cut.tail_s * 1e3:.1f}"
        shape = "x".join(map(str, cut.shape[1:]))
        shown.add_row(cut.tensor, shape, format_bytes(cut.float_bytes), small, smallest, *times, f"{cut.agreement:.3f}")
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(shown)
    print(
        f"a frame: raw {format_bytes(table.picture_bytes)}, as the model takes it {format_bytes(table.input_bytes)}, "
        f"JPEG {format_bytes(table.jpeg.sent_bytes)}; the whole model: {table.whole_s * 1e3:.1f} ms"
    )
    if table.seen == "noise":
        print("noise takes more bytes than any picture, as JPEG and as map: give --trace or --source")
    for choice in choices:
        print(
            f"over {format_link(choice.link_bps)}, the device {choice.device_slowdown:g} times as slow as this machine:"
        )
        print(f"  least latency:   {describe(choice.latency)}")
        print(f"  most throughput: {describe(choice.throughput)}")


def describe(placing: Placing) -> str:
    """A placing in words."""
    how = f" as {placing.transfer} ({format_bytes(placing.sent_bytes)})" if placing.transfer else ""
    return f"{placing.where}{how}: {placing.latency_s * 1e3:.1f} ms, {placing.inputs_per_s:.1f} inputs/s"
