"""Leads the rounds: waits for sites, sends weights, averages what comes back, goes on without who dropped out."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from ...errors import InvalidInput, Overloaded, Unavailable
from ...links.domains.link import DomainLink
from ...links.domains.moments import Moments, pool
from ...links.domains.rounds import SiteChange, averaged, check_change, first_link
from ...links.domains.task import LinkTask
from ...outputs import Array
from ...protos import federation_pb2
from ...settings import ListenAddress
from ..endpoint import EndpointConfig
from .wire import pack_moments, pack_weights, unpack_moments, unpack_weights

logger = logging.getLogger(__name__)

_WAITING = 4
# A message is its weights and some tens of bytes.
_ENVELOPE_BYTES = 256


class FederationConfig(EndpointConfig):
    """The aggregator's settings."""

    listen: ListenAddress = Field(default="127.0.0.1:7430", description="HOST:PORT; port 0 takes a free one")
    sites: int = Field(default=2, ge=1, le=1000, description="how many sites it waits for before the first round")
    quorum: int = Field(default=0, ge=0, le=1000, description="how many changes a round needs; 0: most of the sites")
    rounds: int = Field(default=30, ge=1, le=100_000, description="how many rounds")
    by_samples: bool = Field(default=False, description="weigh sites by their samples; the paper's mean is plain")
    seed: int = Field(default=0, ge=0, description="of the first weights")
    join_timeout_s: float = Field(default=600.0, gt=0, description="how long it waits for the sites to join")
    round_timeout_s: float = Field(default=60.0, gt=0, description="how long a round waits for the slowest site")
    largest_norm: float = Field(default=100.0, gt=0, description="of a change; a larger one is refused")
    max_message_bytes: int = Field(default=8 * 2**20, ge=4096, le=2**30, description="the largest message taken")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.quorum > self.sites:
            raise ValueError(f"`quorum` {self.quorum} can't be above `sites` {self.sites}")
        return self

    @property
    def least(self) -> int:
        """How many changes a round needs."""
        return self.quorum or self.sites // 2 + 1


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


class Aggregator:
    """One federation, from the first site to the last round; sites come and go from the service's streams.

    Args:
        config: how many sites and rounds, and how long to wait.

    Attributes:
        task: what the link is for: as the first site says, the others must say the same.
        members: the sites that are here now, by name.
        reports: the rounds so far.
        link: what has been learnt so far; None before the first round.
    """

    def __init__(self, config: FederationConfig) -> None:
        self.config = config
        self.task: LinkTask | None = None
        self.members: dict[str, Member] = {}
        self.known: dict[str, Member] = {}
        self.reports: list[RoundReport] = []
        self.link: DomainLink | None = None
        self._weights: Array = np.zeros(0, np.float32)
        self._changes: dict[str, tuple[SiteChange, int]] = {}
        self._asked: set[str] = set()
        self._begin: federation_pb2.AggregatorMessage | None = None
        self._round_message: federation_pb2.AggregatorMessage | None = None
        self._down_bytes = 0
        self._finished = False
        self._news = asyncio.Event()

    def join(self, message: federation_pb2.Join, received_bytes: int) -> Member:
        """Takes a site in; one that comes late, or again, takes part from the round that is on.

        Raises:
            InvalidInput: its task differs (and in what), it is too large, its moments are wrong, or its name is taken.
            Overloaded: it comes too late, or there are as many as may be.
        """
        if self._finished:
            raise Overloaded("the last round is over; start the aggregator again")
        task = self._same_task(message)
        if message.site in self.members:
            raise InvalidInput(f"site: {message.site!r} is here already; give each site its own --site")
        new = message.site not in self.known
        if new and len(self.known) >= self.config.sites:
            raise Overloaded(f"{self.config.sites} sites have joined, no more are waited for; raise --sites")
        moments = unpack_moments(message.moments, task.inputs + task.form.length)
        member = Member(message.site, moments, message.central_bytes)
        member.received_bytes = received_bytes
        # Only now, when nothing can fail: a site that was refused must not decide what the others are measured by.
        self.task = task
        self.members[member.name] = self.known[member.name] = member
        if self._begin is not None:
            self._send(member, self._begin)
        if self._round_message is not None:
            self._ask(member, self._round_message)
        logger.info("%s: joined (%d of %d)", member.name, len(self.members), self.config.sites)
        self._news.set()
        return member

    def leave(self, member: Member) -> None:
        """A site's stream has ended."""
        if self.members.get(member.name) is member:
            del self.members[member.name]
            if self.link is None:
                # Not begun: its place is free again, and if nobody is left the next one says what the link is for.
                del self.known[member.name]
                self.task = self.task if self.members else None
            logger.info("%s: left", member.name)
            self._news.set()

    def take(self, member: Member, message: federation_pb2.SiteMessage) -> None:
        """A site's message after Join.

        Raises:
            InvalidInput: it is no change, or one that can't be taken.
        """
        length = message.ByteSize()
        member.received_bytes += length
        if not message.HasField("change"):
            raise InvalidInput("after Join a site sends Change, nothing else")
        change = message.change
        if self.link is None or change.round >= len(self.reports) + 1:
            raise InvalidInput(f"round: {change.round} has not begun")
        if change.round < len(self.reports) or member.name not in self._asked:
            return  # Too late: that round went on without it.
        weights = unpack_weights(change.change, len(self._weights), field="change")
        found = check_change(SiteChange(weights, change.samples), len(weights), largest_norm=self.config.largest_norm)
        self._changes[member.name] = (found, length)
        self._news.set()

    async def run(self, on_round: Callable[[RoundReport], None] = lambda report: None) -> DomainLink:
        """All rounds; what they learnt.

        Raises:
            Unavailable: too few sites joined, or were left; `link` has what was learnt until then.
        """
        try:
            await self._gather()
            for _ in range(self.config.rounds):
                self.reports.append(await self._round(len(self.reports)))
                on_round(self.reports[-1])
            assert self.link is not None, "the sites were gathered"
            done = federation_pb2.AggregatorMessage(done=federation_pb2.Done(weights=pack_weights(self._weights)))
            for member in list(self.members.values()):
                self._send(member, done)
            return self.link
        finally:
            self._finished = True
            for member in list(self.members.values()):
                self._end(member)

    async def _gather(self) -> None:
        """Waits for the sites, then settles what they all standardise by."""
        await self._until(lambda: len(self.members) >= self.config.sites, self.config.join_timeout_s)
        if len(self.members) < self.config.least or self.task is None:
            raise Unavailable(
                f"{len(self.members)} of {self.config.sites} sites joined in {self.config.join_timeout_s:g} s, "
                f"{self.config.least} are needed; start them, or lower --sites"
            )
        moments = {name: member.moments for name, member in self.members.items()}
        pooled = pool(moments[name] for name in sorted(moments))
        begin = federation_pb2.Begin(moments=pack_moments(pooled), rounds=self.config.rounds)
        self._begin = federation_pb2.AggregatorMessage(begin=begin)
        self.link = first_link(self.task, moments, seed=self.config.seed)
        self._weights = self.link.network.weights.astype(np.float32)
        for member in list(self.members.values()):
            self._send(member, self._begin)

    async def _round(self, index: int) -> RoundReport:
        """One round: over when all who are there have answered and they are enough, or when its time is."""
        assert self.link is not None
        data = federation_pb2.Round(index=index, weights=pack_weights(self._weights))
        message = self._round_message = federation_pb2.AggregatorMessage(round=data)
        self._changes, self._asked, self._down_bytes = {}, set(), 0
        for member in list(self.members.values()):
            self._ask(member, message)
        await self._until(self._all_answered, self.config.round_timeout_s)
        self._round_message = None
        if len(self._changes) < self.config.least:
            raise Unavailable(
                f"round {index + 1}: {len(self._changes)} of {len(self._asked)} sites answered, {self.config.least} "
                "are needed; look at the sites, or lower --quorum"
            )
        changes = {name: change for name, (change, _) in self._changes.items()}
        self._weights = averaged(self._weights, changes, by_samples=self.config.by_samples)
        self.link = self.link.with_weights(self._weights)
        up = sum(length for _, length in self._changes.values())
        missing = tuple(sorted(self._asked - set(changes)))
        return RoundReport(index, tuple(sorted(changes)), missing, self._down_bytes, up)

    def _all_answered(self) -> bool:
        return len(self._changes) >= self.config.least and set(self.members) <= set(self._changes)

    def _ask(self, member: Member, message: federation_pb2.AggregatorMessage) -> None:
        self._asked.add(member.name)
        self._down_bytes += message.ByteSize()
        self._send(member, message)

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Waits until something is so, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()

    def _send(self, member: Member, message: federation_pb2.AggregatorMessage) -> None:
        try:
            member.outbox.put_nowait(message)
        except asyncio.QueueFull:
            logger.warning("%s: does not read what it is sent; goes on without it", member.name)
            self.leave(member)
            self._end(member)

    def _end(self, member: Member) -> None:
        """Ends a site's stream once it has been sent what waits; at once if it does not read."""
        if member.outbox.full():
            while not member.outbox.empty():
                member.outbox.get_nowait()
        member.outbox.put_nowait(None)

    def _same_task(self, message: federation_pb2.Join) -> LinkTask:
        task = LinkTask.parse(message.task, where=f"site {message.site!r}")
        if task.hash != message.task_hash:
            raise InvalidInput(f"task_hash: {message.task_hash!r} is not the task's, {task.hash}; update infilink")
        if 4 * task.shape.size + _ENVELOPE_BYTES > self.config.max_message_bytes:
            raise InvalidInput(
                f"task: its link has {task.shape.size} weights, more than messages of "
                f"{self.config.max_message_bytes} bytes hold; use fewer sources, or raise --max-message-bytes"
            )
        differ = [] if self.task is None else self.task.differences(task)
        if differ:
            raise InvalidInput(f"site {message.site!r} learns another link than the others: {'; '.join(differ)}")
        return task
