"""The options by which a command says how a source is cut into inputs."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cut_words import Modality, TimeUnit

if TYPE_CHECKING:
    from .cut import Cut

_SAMPLES = re.compile(r"\d+")

WindowOption = Annotated[
    str, typer.Option("--window", help="Sound, signals, video: how long an input is: 1s, 500ms; or 64 samples, frames.")
]
StrideOption = Annotated[
    str,
    typer.Option("--stride", help="From the beginning of one window to the next, written alike; default: --window."),
]
RateOption = Annotated[
    float | None,
    typer.Option("--rate", help="Samples (video: frames) a second; what has more is resampled.", min=0.001),
]
ChannelsOption = Annotated[str, typer.Option("--channels", help="Signals: which columns, in this order: x,y,z.")]
ModalityOption = Annotated[
    Modality | None, typer.Option("--as", help="What the inputs are, where the source could be several kinds.")
]
TimeColumnOption = Annotated[
    str, typer.Option("--time-column", help="The column or field that is the time; '-': none; default: by its name.")
]
TimeUnitOption = Annotated[
    TimeUnit | None, typer.Option("--time-unit", help="What that counts; default: by the column's name, or seconds.")
]
TextColumnOption = Annotated[
    str, typer.Option("--text-column", help="The column or field that is the text: its name, or its number from 0.")
]
WatchOption = Annotated[bool, typer.Option("--watch", help="Folders: go on with the files that come later.")]


def cut_of(
    *,
    window: str = "",
    stride: str = "",
    rate_hz: float | None = None,
    channels: str = "",
    modality: Modality | None = None,
    time_column: str = "",
    time_unit: TimeUnit | None = None,
    text_column: str = "",
    watch: bool = False,
) -> "Cut":
    """How a source is cut, as options say it.

    Args:
        window: a length of time (`1s`, `500ms`), or a number of samples or frames.
        stride: likewise.
        rate_hz: samples or frames a second.
        channels: names, with commas between.
        modality: what the inputs are.
        time_column: where the time is.
        time_unit: what it counts.
        text_column: where the text is.
        watch: whether to go on with files that come later.

    Raises:
        InvalidInput: an option is no such thing, or two do not go together.
    """
    # Late: these options are read with every command's help.
    from ...settings import checked
    from .cut import Cut

    found: dict[str, Any] = {
        **_length("window", window),
        **_length("stride", stride),
        "channels": tuple(name.strip() for name in channels.split(",") if name.strip()),
        "time_column": time_column,
        "text_column": text_column,
        "watch": watch,
    }
    given = {"rate_hz": rate_hz, "modality": modality, "time_unit": time_unit}
    return checked(Cut, found | {key: value for key, value in given.items() if value is not None}, where="options")


def _length(key: str, text: str) -> dict[str, float]:
    if not text:
        return {}
    from ...units import parse_seconds

    return {key: int(text)} if _SAMPLES.fullmatch(text.strip()) else {f"{key}_s": parse_seconds(text)}
