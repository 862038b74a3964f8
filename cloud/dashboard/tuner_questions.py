"""What the tuner may be asked to do: checked on the page's side, done in a process of its own."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

FileName = Annotated[str, Field(max_length=130)]
NewName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}\.onnx$")]


class Question(BaseModel):
    """What is asked of a recording.

    Attributes:
        recording: a trace in the folder.
        model: whose output the rule is on; empty: all.
        rule: what is redundant; empty: the filter's own.
        aim: what is asked for.
        within_s: events: how soon after they began; None: while they last.
        networks: whether networks compete that take a minute and more to train.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: FileName
    model: str = Field(default="", max_length=200)
    rule: str = Field(default="", max_length=2000)
    aim: Literal["accuracy", "events"] = "accuracy"
    within_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    networks: bool = False

    @property
    def soon_s(self) -> float:
        """How soon events are to be found; infinite: while they last."""
        return math.inf if self.within_s is None else self.within_s


class Tune(Question):
    """What would be chosen at every level: of what is trained, or of a file's thresholds.

    Attributes:
        filter: the file; empty: gates are trained.
    """

    do: Literal["tune"] = "tune"
    filter: FileName = ""


class Make(Question):
    """A filter is learnt and written, and stands beside the one at work.

    Attributes:
        asked: the least accuracy, or the least share of the events.
        name: the new file.
        beside: the filter at work; empty: there is none.
        uncertified: whether it is written although nothing is proven of it.
    """

    do: Literal["make"]
    asked: float = Field(gt=0, lt=1)
    name: NewName
    beside: FileName = ""
    uncertified: bool = False


class Compare(BaseModel):
    """Filters side by side.

    Attributes:
        recording: a trace in the folder.
        filters: files in the folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: Literal["compare"]
    recording: FileName
    filters: Annotated[tuple[FileName, ...], Field(min_length=1, max_length=4)]


AnyQuestion = Annotated[Tune | Make | Compare, Field(discriminator="do")]


class Asking(RootModel[AnyQuestion]):
    """A question as the page sends it."""


class Asked(BaseModel):
    """A question as the process is given it.

    Attributes:
        folder: of recordings.
        question: what is to be done.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    question: AnyQuestion
