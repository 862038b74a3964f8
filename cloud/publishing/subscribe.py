"""The gRPC stream of answers: first those in the ledger, where that is asked for, then what comes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import groupby, islice
from typing import TYPE_CHECKING

from ...errors import InvalidInput
from ...protos import edge_pb2
from ..ledger.database import Database
from ..ledger.query import Found, Wanted, find_results
from .hub import Selection

if TYPE_CHECKING:
    from ..coordinator import Coordinator

# DEVICE/STREAM has 201 letters at most.
_MOST_PATTERNS, _LONGEST_PATTERN = 64, 256
_AT_ONCE = 500


async def subscribe(
    coordinator: "Coordinator",
    request: edge_pb2.SubscribeRequest,
    write: Callable[[edge_pb2.Published], Awaitable[None]],
) -> None:
    """Serves one who wants to hear of answers, until they are gone or the coordinator stops.

    Args:
        coordinator: whose answers.
        request: which.
        write: sends one; it waits while the reader is slow.

    Raises:
        InvalidInput: what is asked for can't be meant.
        Overloaded: too many want to hear of answers.
    """
    for field in ("devices", "models"):
        patterns = getattr(request, field)
        if len(patterns) > _MOST_PATTERNS or any(not 0 < len(each) <= _LONGEST_PATTERN for each in patterns):
            raise InvalidInput(f"`{field}`: give at most {_MOST_PATTERNS}, each of 1 to {_LONGEST_PATTERN} letters")
    if request.since_us < 0:
        raise InvalidInput("`since_us`: is Unix time in microseconds, not below 0")
    hub, selection = coordinator.hub, Selection(tuple(request.devices), tuple(request.models), request.changes)
    subscription = hub.subscribe(selection)
    try:
        specs = coordinator.repository.specs
        texts = {name: each.model_dump_json(exclude_defaults=True) for name, each in specs.items()}
        await write(edge_pb2.Published(specs=texts))
        if request.since_us:
            wanted = Wanted(devices=selection.devices, models=selection.models, since_us=request.since_us)
            async for message in kept(coordinator.ledger.database, wanted):
                await write(message)
        while (news := await subscription.next()) is not None:
            await write(news.message)
    finally:
        hub.leave(subscription)


async def kept(database: Database, wanted: Wanted) -> AsyncIterator[edge_pb2.Published]:
    """The answers in the ledger, in their order; nothing is held open there while one is sent."""
    last = 0
    while group := await asyncio.to_thread(_some, database, wanted, last):
        for _, results in groupby(group, key=lambda found: found.answer):
            yield _published(list(results))
        last = group[-1].answer


def _some(database: Database, wanted: Wanted, last: int) -> list[Found]:
    """The results of some answers after the `last` one, of each all."""
    with database.failures_named(), database.read() as connection:
        found = list(islice(find_results(connection, wanted, after=last), _AT_ONCE))
        if len(found) < _AT_ONCE:
            return found
        whole = [each for each in found if each.answer != found[-1].answer]
        if whole:
            return whole
        first = (each for each in find_results(connection, wanted, after=last))
        return next(list(results) for _, results in groupby(first, key=lambda each: each.answer))


def _published(results: list[Found]) -> edge_pb2.Published:
    first = results[0]
    message = edge_pb2.Published(
        device=first.device,
        session=first.session,
        sequence=first.sequence,
        captured_ns=first.captured_ns or 0,
        answered_us=first.answered_us,
        width=first.width or 0,
        height=first.height or 0,
        outputs=[found.output for found in results],
    )
    for output, found in zip(message.outputs, results, strict=True):
        if found.origin == "local":
            output.origin = edge_pb2.ORIGIN_LOCAL
    return message
