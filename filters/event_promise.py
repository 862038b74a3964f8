"""What a filter's file promises of events, and what that rests on."""

from pydantic import BaseModel, ConfigDict, Field


class EventPromise(BaseModel):
    """The share of the events that an input is sent of, as it was asked for and as the calibration part shows it.

    An event counts as found only by an input that is sent while it lasts: what stands in between could state it always.

    Attributes:
        recall: the least share that was asked for.
        within_s: so many seconds after an event began at the latest; None: while it lasts.
        confidence: of the bound, one-sided; it holds for all candidates that competed at once.
        certified: whether the lower bound meets what was asked for.
        events: distinct events that were calibrated on.
        clusters: how many independent ones they are worth: fewer where they come in bunches.
        found: how many of them were found in time.
        lower_bound: of the share that is found.
        rate: the share of the inputs that was not sent.
        more_events: how many more events, all of them found, would be enough for a certificate; 0 if it is one.
        agreement: of the answers that stand in between, the share that states what is there, and nothing else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recall: float = Field(gt=0, lt=1)
    within_s: float | None = Field(default=None, ge=0)
    confidence: float
    certified: bool
    events: int
    clusters: float
    found: int
    lower_bound: float
    rate: float
    more_events: int = 0
    agreement: float
