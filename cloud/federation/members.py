"""A site as the aggregator sees it, and what a round was."""

import asyncio
from dataclasses import dataclass, field

from ...links.domains.moments import Moments
from ...protos import federation_pb2

_WAITING = 4


@dataclass(eq=False)
class Member:
    """One joined site.

    Attributes:
        name: unique among the sites.
        moments: of its outputs.
        central_bytes: what its outputs would take, by its own word.
        outbox: messages to send; None ends its stream. A site that does not read is left behind when it is full.
        sent_bytes: serialised length of all messages sent.
        received_bytes: likewise of all it sent.
    """

    name: str
    moments: Moments
    central_bytes: int
    outbox: "asyncio.Queue[federation_pb2.AggregatorMessage | None]" = field(
        default_factory=lambda: asyncio.Queue(maxsize=_WAITING)
    )
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(frozen=True)
class RoundReport:
    """What a round was.

    Attributes:
        index: from 0.
        sites: whose changes were averaged, by name.
        missing: who was sent the weights and gave nothing that was taken.
        down_bytes: serialised length of the messages with the weights.
        up_bytes: of the changes that were taken.
    """

    index: int
    sites: tuple[str, ...]
    missing: tuple[str, ...]
    down_bytes: int
    up_bytes: int
