"""How inputs are cut from what a source gives: windows, strides, rates, channels; the same in training and at work."""

from typing import NamedTuple, Self

from pydantic import Field, model_validator

from ...errors import InvalidInput
from ...settings import Table
from .cut_words import Modality, TimeUnit

NEAR = 0.05
"""Rates that differ by no more than this share count as the same: a sensor's clock is no better."""


class Span(NamedTuple):
    """A window in samples or frames, and how many lie between the beginnings of two; (0, 0): there are no windows."""

    window: int
    stride: int


class Cut(Table):
    """How a source is cut into inputs; what is left out is as the source has it.

    Attributes:
        window_s: sound, signals, video: how long an input is, seconds. It needs a rate: the source's, or `rate_hz`.
        stride_s: seconds between the beginnings of two windows; None: `window_s`.
        window: the same in samples or frames, for what has no rate; one of the two.
        stride: as `stride_s`, in samples or frames.
        rate_hz: sound and signals: samples a second, video: frames a second; what has more is resampled, what has
            less is refused. Of a signal that says no times: what its rate is.
        channels: signals: which columns, in this order; all numbers if left out.
        modality: what the inputs are, where the source could be several (JSON lines, MQTT, a program's).
        time_column: the column or field that is the time; found by its name if left out, "-": there is none.
        time_unit: what that counts; found by the column's name (`time_ms`) if left out, else seconds.
        text_column: the column or field that is the text, by name or number (from 0).
        watch: folders: go on with the files that come later.
    """

    window_s: float | None = Field(default=None, gt=0)
    stride_s: float | None = Field(default=None, gt=0)
    window: int | None = Field(default=None, ge=1)
    stride: int | None = Field(default=None, ge=1)
    rate_hz: float | None = Field(default=None, gt=0)
    channels: tuple[str, ...] = ()
    modality: Modality | None = None
    time_column: str = ""
    time_unit: TimeUnit | None = None
    text_column: str = ""
    watch: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.window_s is not None and self.window is not None:
            raise ValueError("`window_s` (seconds) and `window` (samples) say the same: give one of them")
        if self.stride_s is not None and self.window_s is None:
            raise ValueError("`stride_s` needs `window_s`")
        if self.stride is not None and self.window is None:
            raise ValueError("`stride` needs `window`")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError(f"`channels` names one twice: {', '.join(self.channels)}")
        return self

    @property
    def is_windowed(self) -> bool:
        """Whether inputs are windows."""
        return self.window_s is not None or self.window is not None

    def span(self, rate_hz: float, *, where: str) -> Span:
        """The windows in samples or frames.

        Args:
            rate_hz: samples or frames a second; 0: there is no rate.
            where: the source's name, for the message.

        Raises:
            InvalidInput: seconds are asked for where there is no rate, or fewer than one sample.
        """
        if self.window is not None:
            return Span(self.window, self.stride or self.window)
        if self.window_s is None:
            return Span(0, 0)
        if not rate_hz:
            raise InvalidInput(
                f"{where}: has no rate, so a window of {self.window_s:g} s can't be cut: give `window` in samples, or "
                "its `rate_hz`"
            )
        window = round(self.window_s * rate_hz)
        stride = window if self.stride_s is None else round(self.stride_s * rate_hz)
        if window < 1 or stride < 1:
            key, value_s = ("window_s", self.window_s) if window < 1 else ("stride_s", self.stride_s)
            raise InvalidInput(f"{where}: `{key}` {value_s:g} is less than one sample at {rate_hz:g} a second")
        return Span(window, stride)


WHOLE = Cut()
"""Nothing is cut: pictures, whole files, lines."""
