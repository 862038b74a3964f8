"""The tables `[[sinks]]` of device.toml: where results go as they come."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from ...settings import ListenAddress, Table
from .base import Sink

# Each sink's module is loaded when one is opened: an agent without sinks need not hold them.


class JsonLinesConfig(Table):
    """A `[[sinks]]` table of `kind = "jsonl"`.

    Attributes:
        path: the file; "-": standard output.
        size_bytes: from which size on a file is put aside, as PATH.1; what was PATH.1 becomes PATH.2, and so on.
        files: how many files there are at most.
        events_only: whether only the pictures of events are told.
    """

    kind: Literal["jsonl"]
    path: Path
    size_bytes: int = Field(default=64 * 2**20, ge=2**12)
    files: int = Field(default=4, ge=1, le=1000)
    events_only: bool = False

    @property
    def place(self) -> str:
        """What it writes to: no two sinks can share it; empty: nothing."""
        return str(self.path)

    def open(self) -> Sink:
        """The sink.

        Raises:
            InvalidInput: the file can't be written.
        """
        from .json_lines import JsonLines

        return JsonLines(self)


class VideoConfig(Table):
    """A `[[sinks]]` table of `kind = "video"`.

    Attributes:
        folder: of the pieces: STREAM-TIME.mp4.
        format: of the container.
        minutes: how long a piece is at most.
        size_bytes: what all pieces may take; the oldest go.
        longest_side: pictures are made smaller than that, in pixels.
        fps: more pictures a second are left out.
        crf: x264's constant rate factor: smaller is better and larger.
    """

    kind: Literal["video"]
    folder: Path
    format: Literal["mp4", "mkv"] = "mp4"
    minutes: float = Field(default=10.0, gt=0, le=1440)
    size_bytes: int = Field(default=2**30, ge=2**20)
    longest_side: int = Field(default=1280, ge=64, le=4096)
    fps: float = Field(default=30.0, gt=0, le=240)
    crf: int = Field(default=26, ge=0, le=51)

    @property
    def place(self) -> str:
        """What it writes to: no two sinks can share it; empty: nothing."""
        return str(self.folder)

    def open(self) -> Sink:
        """The sink.

        Raises:
            InvalidInput: the folder can't be written to.
        """
        from .video import Video

        return Video(self)


class PreviewConfig(Table):
    """A `[[sinks]]` table of `kind = "preview"`.

    Attributes:
        listen: HOST:PORT; whoever reaches it sees the pictures, as nobody is asked for a token.
        longest_side: pictures are made smaller than that, in pixels.
    """

    kind: Literal["preview"]
    listen: ListenAddress = "127.0.0.1:8420"
    longest_side: int = Field(default=960, ge=64, le=4096)

    @property
    def place(self) -> str:
        """What it writes to: no two sinks can share it; empty: nothing."""
        return self.listen

    def open(self) -> Sink:
        """The sink.

        Raises:
            InvalidInput: nothing can listen there.
        """
        from .preview import Preview

        return Preview(self)


class CommandConfig(Table):
    """A `[[sinks]]` table of `kind = "command"`.

    Attributes:
        run: the program and its arguments; no shell looks at them.
        on: "change": when a model says something else than before on the same stream; "event": for the picture of an
            event; "input": for every input.
        models: whose results count, by name, `*` and `?` allowed; none: all. Of events: the models that saw them.
        classes: only what names one of these; a change is then that one of them comes or goes. None: whatever is said.
        every_s: the shortest time from one run for a stream to the next; what comes between is left out.
        timeout_s: a run that takes longer is killed, with all that it started.
        at_once: how many runs there may be at a time; what comes while so many run is left out.
    """

    kind: Literal["command"]
    run: tuple[str, ...] = Field(min_length=1)
    on: Literal["change", "event", "input"] = "change"
    models: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    every_s: float = Field(default=1.0, ge=0)
    timeout_s: float = Field(default=10.0, gt=0, le=3600)
    at_once: int = Field(default=1, ge=1, le=64)

    @field_validator("run", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f'must be a list, as no shell looks at it: run = ["{value.split(" ")[0]}", ...]')
        return value

    @model_validator(mode="after")
    def _has_program(self) -> Self:
        if not self.run[0]:
            raise ValueError("`run` names no program")
        return self

    @property
    def place(self) -> str:
        """What it writes to: no two sinks can share it; empty: nothing."""
        return ""

    def open(self) -> Sink:
        """The sink.

        Raises:
            InvalidInput: there is no such program.
        """
        from .command import Command

        return Command(self)


def _kind_of(value: Any) -> Any:
    """What a table says that it is."""
    return value.get("kind") if isinstance(value, dict) else value.kind


SinkConfig = Annotated[
    Annotated[JsonLinesConfig, Tag("jsonl")]
    | Annotated[VideoConfig, Tag("video")]
    | Annotated[PreviewConfig, Tag("preview")]
    | Annotated[CommandConfig, Tag("command")],
    Discriminator(
        _kind_of,
        custom_error_type="kind",
        custom_error_message='`kind` must be "jsonl", "video", "preview" or "command"',
    ),
]
"""Any of them."""
