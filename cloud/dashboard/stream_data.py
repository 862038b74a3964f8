"""What the page of a stream asks for: a stretch of its time, one input, and pictures as they were sent."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...errors import InvalidInput
from ..sent.decoding import SentPictures
from ..sent.stretch import Stretch
from .access import Access
from .pictures import WIDTHS, smaller
from .timeline import Timeline

_MOST_DIGITS = 18
_LONGEST_NAME = 400
# One at a time: pages are not to take processors from models.
_READING = ThreadPoolExecutor(1, "stream-pages")


class StreamData:
    """Answers what a stream's page asks for.

    Args:
        timeline: what is known of streams.
        pictures: what was sent; None: none is kept.
        access: who may look.
    """

    def __init__(self, timeline: Timeline, pictures: SentPictures | None, access: Access) -> None:
        self.timeline = timeline
        self.pictures = pictures
        self.access = access

    def routes(self) -> list[BaseRoute]:
        """The addresses."""
        data = self.access.data
        return [
            Route("/timeline/{name:path}", data(self.stretch), methods=["GET"]),
            Route("/input/{name:path}", data(self.look), methods=["GET"]),
            Route("/sent/{name:path}", data(self.picture), methods=["GET"]),
        ]

    async def knows(self, stream: str) -> bool:
        """Whether anything is known of a stream."""
        return len(stream) <= _LONGEST_NAME and await read(self.timeline.knows, stream)

    async def stretch(self, request: Request) -> Response:
        """What happened in a stretch of a stream's time."""
        return JSONResponse(await read(self.timeline.read, stretch_of(request)))

    async def look(self, request: Request) -> Response:
        """One input of a stream: what was said of it, and its picture."""
        session = request.query_params.get("session", "")[:_LONGEST_NAME]
        found = await read(self.timeline.look, name_of(request), session, number(request, "sequence"))
        if found is None:
            return JSONResponse({"error": "this input is not in the ledger any more"}, 404)
        return JSONResponse(found)

    async def picture(self, request: Request) -> Response:
        """A picture that was sent, at most as wide as it is shown.

        Raises:
            InvalidInput: `width` is none of those there are.
        """
        width = number(request, "width", default=WIDTHS[0])
        if width not in WIDTHS:
            raise InvalidInput(f"`width` is one of {', '.join(map(str, WIDTHS))}, not {width}")
        jpeg = await read(self._picture, name_of(request), number(request, "number"), width)
        if not jpeg:
            return JSONResponse({"error": "this picture is not kept any more"}, 404)
        # Its number is never another picture's.
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def _picture(self, stream: str, which: int, width: int) -> bytes:
        jpeg = b"" if self.pictures is None else self.pictures.jpeg(stream, which)
        return smaller(jpeg, width) if jpeg else b""


async def read(call: Callable[..., Any], *values: Any) -> Any:
    """Calls what waits for disks, beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_READING, call, *values)


def name_of(request: Request) -> str:
    """The stream that an address names."""
    return str(request.path_params["name"])[:_LONGEST_NAME]


def stretch_of(request: Request) -> Stretch:
    """The stretch that is asked for. Raises InvalidInput."""
    return Stretch(name_of(request), number(request, "since_us"), number(request, "until_us"))


def number(request: Request, key: str, *, default: int | None = None) -> int:
    """A whole number of a query.

    Raises:
        InvalidInput: it is none, or missing.
    """
    text = request.query_params.get(key, "" if default is None else str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > _MOST_DIGITS:
        raise InvalidInput(f"`{key}` is a whole number from 0 on, not {text[:20]!r}")
    return int(text)
