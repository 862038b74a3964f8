"""The commands `infilink device`, which runs the agent, and `infilink init device`, which writes its configuration."""

import json
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InvalidInput
from ..reporting import LogFormat, start_logging
from ..settings import write_settings
from ..units import format_bytes
from .agent import Agent
from .config import load_config
from .default_toml import DEFAULT_TOML
from .draw_streams import draw_streams
from .settings_file import SettingsFile
from .sources.cut import WHOLE
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
from .stream_log import NameStream
from .summary import Summary


def device_command(
    config: Annotated[Path | None, typer.Option(help="The agent's TOML file (`infilink init device`).")] = None,
    name: Annotated[str | None, typer.Option(help="What this device is called.")] = None,
    source: Annotated[
        str | None, typer.Option(help="A file, an address, a camera's number (`infilink sources`).")
    ] = None,
    coordinator: Annotated[str | None, typer.Option(help="HOST:PORT of `infilink cloud`.")] = None,
    gate: Annotated[
        str | None,
        typer.Option(help="all, every:K, random:RATE, difference:T, or the path of a filter, a reuse file or heads."),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where a reuse file's results outlive a restart.")] = None,
    update: Annotated[
        Path | None, typer.Option(help="Let heads or a stem filter go on learning; this .npz keeps what they learn.")
    ] = None,
    head: Annotated[Path | None, typer.Option(help="The first part of a split model, to run here.")] = None,
    local: Annotated[Path | None, typer.Option(help="A folder of models to run here, on what is kept.")] = None,
    send: Annotated[
        str | None, typer.Option(help="frames; features of them; ask: these first; outputs of --local.")
    ] = None,
    placement: Annotated[
        Path | None, typer.Option(help="What runs here and what travels (`infilink plan --devices --out`).")
    ] = None,
    device_class: Annotated[
        str | None, typer.Option("--class", help="The class in the placement that this device belongs to.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="all: answer every input; latest: never wait.")] = None,
    policy: Annotated[str | None, typer.Option(hidden=True)] = None,
    pace: Annotated[str | None, typer.Option(help="source: its frame rate; max: as fast as possible.")] = None,
    start_s: Annotated[float | None, typer.Option("--start", help="Where in a file to begin, seconds.")] = None,
    seconds: Annotated[float | None, typer.Option(help="How much of the source to take.")] = None,
    every: Annotated[int | None, typer.Option(help="Look at one of this many inputs, as in `infilink record`.")] = None,
    results: Annotated[Path | None, typer.Option(help="Write every input's results to this SQLite file.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="How sounds and numbers travel: auto, raw, flac, opus, int16, int8.")
    ] = None,
    window: WindowOption = "",
    stride: StrideOption = "",
    rate_hz: RateOption = None,
    channels: ChannelsOption = "",
    modality: ModalityOption = None,
    time_column: TimeColumnOption = "",
    time_unit: TimeUnitOption = None,
    text_column: TextColumnOption = "",
    watch: WatchOption = False,
    draw: Annotated[
        Path | None, typer.Option(help="Draw each stream's masks and zones into this folder, and do nothing else.")
    ] = None,
    zones: Annotated[Path | None, typer.Option(help="With --draw: a TOML file of zones to draw, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How the log is written to stderr.")] = LogFormat.text,
) -> None:
    """Run the agent: filter what sources give, send what is worth it, and receive every model's results."""
    if policy is not None:
        raise InvalidInput("--policy is now called --queue")
    cut = cut_of(
        window=window,
        stride=stride,
        rate_hz=rate_hz,
        channels=channels,
        modality=modality,
        time_column=time_column,
        time_unit=time_unit,
        text_column=text_column,
        watch=watch,
    )
    flags = {
        "name": name,
        "source": source,
        "coordinator": coordinator,
        "gate": gate,
        "cache": cache,
        "update": update,
        "head": head,
        "local": local,
        "send": send,
        "placement": placement,
        "device_class": device_class,
        "queue": queue,
        "pace": pace,
        "start_s": start_s,
        "seconds": seconds,
        "every": every,
        "results": results,
        "encoding": encoding,
        "cut": None if cut == WHOLE else cut,
    }
    start_logging(log_format)
    for handler in logging.getLogger().handlers:
        handler.addFilter(NameStream())
    if draw is not None:
        for drawn in draw_streams(load_config(config, flags), draw, zones=zones):
            print(drawn)
        return
    file = None if config is None else SettingsFile(config, flags)
    agent = Agent(load_config(None, flags) if file is None else file.load(), file=file)

    def stop(*_: object) -> None:
        # Before anybody answered there is nothing to wait for; at the second signal not even the answers are.
        if agent.stopped or not agent.connected:
            raise KeyboardInterrupt
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    ends = agent.run()
    only = ends.get("")
    if as_json:
        plain = {stream: end.as_dict() for stream, end in ends.items()}
        print(json.dumps({"streams": plain} if only is None else plain[""]))
        return
    for stream, end in ends.items():
        if stream:
            print(f"stream {stream}:")
        if end.summary is not None:
            Console().print(_table(end.summary))
        if end.failure is not None:
            print(end.failure)


def _audit_text(summary: Summary) -> str:
    if not summary.audited:
        return "nothing that was not sent was looked at yet"
    text = f"{summary.audited} looked at; loses {summary.audit_error:.3f}"
    if summary.audit_upper_bound is not None:
        text += f", at most {summary.audit_upper_bound:.3f}, by {summary.audit_blocks} blocks of inputs"
    return f"{text}; {summary.alarms} alarms"


def init_command(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("device.toml"),
) -> None:
    """Write the agent's configuration, with every key explained."""
    write_settings(out, DEFAULT_TOML)
    print(f"wrote {out}; start the agent with: infilink device --config {out}")


def _table(summary: Summary) -> Table:
    table = Table(show_header=False)
    kept = summary.kept / max(1, summary.frames)
    rows = {
        "inputs": f"{summary.frames} in {summary.wall_s:.1f} s ({summary.fps:.1f} per second)",
        "kept": f"{summary.kept} ({kept:.0%}); dropped {summary.dropped}, refused {summary.refused}",
        "answered": str(summary.answered),
        "sent, received": f"{format_bytes(summary.sent_bytes)}, {format_bytes(summary.received_bytes)}",
        "deciding": f"{summary.decide_p50_ms:.2f} ms median, {summary.decide_p99_ms:.2f} ms 99th percentile",
        "memory": format_bytes(summary.peak_rss_bytes),
    }
    if summary.local.executions:
        mean_ms = 1000 * summary.local.infer_s / summary.local.executions
        rows["models here"] = (
            f"ran {summary.local.executions} times, {mean_ms:.1f} ms each, in {format_bytes(summary.local.peak_bytes)}"
        )
    if summary.travelled.features:
        went = summary.travelled
        rows["as features"] = (
            f"{went.features} inputs, {format_bytes(went.features_bytes)}; {went.wanted} frames were asked for, "
            f"{format_bytes(went.wanted_bytes)} ({went.gone} were gone)"
        )
    if summary.certified is not None:
        rows["its promise"] = "certified" if summary.certified else "NOT certified"
    if summary.audit_error is not None:
        rows["audit"] = _audit_text(summary)
    if summary.rate_far:
        rows["drops"] = f"far {'more' if summary.rate_far == 'above' else 'less'} than in calibration"
    for part in summary.parts:
        shown = "nothing seen" if part.accuracy is None else f"{part.accuracy:.3f} in {part.runs} blocks"
        rows[part.name] = f"{shown}, at least {part.least:g} promised: {part.verdict}"
    if summary.events is not None:
        found = summary.events
        unknown = f" ({found.unknown} nobody knows of)" if found.unknown else ""
        rows["events"] = (
            f"{found.found} of {found.events} seen were found{unknown}, {found.recall:g} promised: {found.verdict}"
        )
    if summary.light_answers:
        rows["light answers"] = str(summary.light_answers)
    if summary.learnt:
        rows["learnt from"] = (
            f"{summary.learnt} inputs; by the audit {summary.better} times better than before, {summary.worse} worse"
        )
    for key, value in rows.items():
        table.add_row(key, value)
    return table
