"""The commands `infilink device`, which runs the agent, and `infilink init device`, which writes its configuration."""

import json
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidInput
from ..reporting import LogFormat, start_logging
from .default_toml import DEFAULT_TOML
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
    check: Annotated[
        bool,
        typer.Option("--check", help="Try all that the settings name, say what is wrong, and do nothing else."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How the log is written.")] = LogFormat.text,
    log_file: Annotated[
        Path | None, typer.Option(help="Where to, in stderr's place: 20 MiB at most, in 4 files.")
    ] = None,
) -> None:
    """Run the agent: filter what sources give, send what is worth it, and receive every model's results.

    With --check nothing starts: sources, gates, models, folders and the coordinator are tried, and the exit code is 1
    if something is wrong.
    """
    # Late: whoever asks for help, or for a file of settings, does not wait for what only an agent needs.
    from rich.console import Console

    from .agent import Agent
    from .config import load_config
    from .draw_streams import draw_streams
    from .settings_file import SettingsFile
    from .sources.cut import WHOLE
    from .stream_log import NameStream
    from .summary_text import as_table

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
    if check:
        # Late: an agent that runs needs none of it.
        from ..models.doctor import check_machine
        from ..models.doctor_cli import tell
        from .doctor import check_config

        settings = load_config(config, flags)
        what = "the options" if config is None else str(config)
        tell(
            [*check_machine(Path() if config is None else config.parent), *check_config(settings, what=what)],
            as_json=as_json,
        )
        return
    start_logging(log_format, file=log_file, lines=NameStream())
    # Of connections that end gRPC writes lines of its own to stderr; the log says the same in words.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if draw is not None:
        for drawn in draw_streams(load_config(config, flags), draw, zones=zones):
            print(drawn)
        return
    file = None if config is None else SettingsFile(config, flags)
    agent = Agent(load_config(None, flags) if file is None else file.load(), file=file)

    def stop(number: int, _: object) -> None:
        # Before anybody answered there is nothing to wait for; at the second signal not even the answers are.
        if agent.stopped or not agent.connected:
            # To a service's manager anything but 0 is a failure, and it asked for this end.
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(0)
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
            Console().print(as_table(end.summary))
        if end.failure is not None:
            print(end.failure)


def init_command(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("device.toml"),
) -> None:
    """Write the agent's configuration, with every key explained."""
    from ..settings import write_settings

    write_settings(out, DEFAULT_TOML)
    print(f"wrote {out}; start the agent with: infilink device --config {out}")
