"""The pages that ask before a filter is rolled out to devices: which one, on which streams, and back."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ...errors import InfilinkError, InvalidInput
from ...protos.filter_file import check_size
from ..fleet.filters import OWN, StreamFilter
from ..fleet.foresight import Foreseen
from ..security.caller import current_caller
from ..services.http_server import http_status
from .access import Access
from .board import in_order
from .tuner_recordings import FILTER, Recordings

if TYPE_CHECKING:
    from ..coordinator import Coordinator

_MOST_BYTES = 2**18
"""A form names streams: as many as can be connected, and more."""


@dataclass(frozen=True)
class _Chosen:
    """The filter that is asked about.

    Attributes:
        name: what it is called.
        digest: the SHA-256 of its file.
        size_bytes: how large that is.
        proof: what is proven of it; empty: not known.
        file: its name in the folder of recordings; empty: it has been rolled out before, and is kept for that.
    """

    name: str
    digest: str
    size_bytes: int
    proof: str = ""
    file: str = ""


class FilterPages:
    """`/fleet/filter` and `/fleet/back`.

    Args:
        coordinator: whose devices.
        access: lets operators in.
        render: makes a page of a template and its values.
    """

    def __init__(self, coordinator: "Coordinator", access: Access, render: Callable[..., Response]) -> None:
        self.filters = coordinator.filters
        self.config = coordinator.config
        self.access = access
        self.render = render
        folder = self.config.recordings
        self.recordings = None if folder is None else Recordings(folder)

    def routes(self) -> list[BaseRoute]:
        """Their addresses."""
        page = self.access.page
        return [
            Route("/fleet/filter", page(self.ask, "operator"), methods=["GET"]),
            Route("/fleet/filter", page(self.roll_out, "operator"), methods=["POST"]),
            Route("/fleet/foreseen", self.access.data(self.foreseen, "operator"), methods=["GET"]),
            Route("/fleet/back/{stream:path}", page(self.ask_back, "operator"), methods=["GET"]),
            Route("/fleet/back/{stream:path}", page(self.back, "operator"), methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """Asks where a filter is to decide; without one, which."""
        query = request.query_params
        try:
            chosen = await self._chosen(query.get("file", ""), query.get("digest", ""))
        except InfilinkError as error:
            return await self._list(query.get("stream", ""), wrong=str(error), status=http_status(error))
        if chosen is None:
            return await self._list(query.get("stream", ""))
        return self._page(request, chosen, wanted=query.getlist("stream"))

    async def roll_out(self, request: Request) -> Response:
        """Does it.

        Raises:
            InfilinkError: the form is none.
        """
        form = await _form(request)
        streams = form.get("stream", [])
        chosen = await self._chosen(form.get("file", [""])[0], form.get("digest", [""])[0])
        if chosen is None:
            raise InvalidInput("`file`, or `digest`: say which filter")
        try:
            digest = chosen.digest
            anyway = "anyway" in form
            if chosen.file and self.recordings is not None:
                path = self.recordings.path_of(chosen.file, FILTER)
                check_size(path.stat().st_size)
                content = await asyncio.to_thread(path.read_bytes)
                digest = (await self.filters.put(chosen.name, content)).digest
            if not anyway:
                foreseen = await self.filters.foresee(streams, digest)
                if any(each.breaks for each in foreseen.values()):
                    return self._page(request, chosen, wanted=streams, foreseen=foreseen, status=409)
            await self.filters.want(streams, digest, current_caller())
        except InfilinkError as error:
            return self._page(request, chosen, wanted=streams, wrong=str(error), status=http_status(error))
        return RedirectResponse("/fleet", 303)

    async def foreseen(self, request: Request) -> Response:
        """What is known of a filter on a stream before it decides there.

        Raises:
            InvalidInput: there is no such filter, or stream.
        """
        query = request.query_params
        chosen, stream = await self._chosen(query.get("file", ""), query.get("digest", "")), query.get("stream", "")
        if chosen is None or all(each.stream != stream for each in self.filters.all()):
            raise InvalidInput("`file` or `digest`, and `stream`: say which filter, and where")
        if chosen.file and self.recordings is not None:
            content = await asyncio.to_thread(self.recordings.path_of(chosen.file, FILTER).read_bytes)
        else:
            content = await asyncio.to_thread(self.filters.store.content, chosen.digest, 0, chosen.size_bytes)
        found = (await self.filters.foresight.of([stream], content))[stream]
        return JSONResponse({"text": found.text, "breaks": found.breaks})

    async def ask_back(self, request: Request) -> Response:
        """Asks whether it is really to go back.

        Raises:
            InvalidInput: nothing was rolled out there.
        """
        found = self._stream(request.path_params["stream"])
        return self.render("fleet_back.html.j2", here="fleet", stream=found, to=self.name_of(found.back))

    async def back(self, request: Request) -> Response:
        """Goes back.

        Raises:
            InfilinkError: nothing was rolled out there, or that can't be kept now.
        """
        await self.filters.back([self._stream(request.path_params["stream"]).stream], current_caller())
        return RedirectResponse("/fleet", 303)

    def plain(self) -> dict[str, dict[str, Any]]:
        """What the fleet page shows of each stream's filter."""
        streams = self.filters.all()
        running = {each.wish.digest for each in streams if each.wish is not None and each.state == "at work"}
        others = {digest: len(self.filters.others(digest, streams)) for digest in running if digest}
        return {each.stream: self._plain(each, others) for each in streams}

    def _plain(self, found: StreamFilter, others: Mapping[str, int]) -> dict[str, Any]:
        wish = found.wish
        if wish is None:
            return {"state": "", "since_us": found.since_us, "figures": found.figures}
        return {
            "state": found.state,
            "told": found.told,
            "wanted": self.name_of(wish.digest),
            "digest": wish.digest,
            "by": wish.by,
            "wanted_us": wish.since_us,
            "since_us": found.since_us,
            "figures": found.figures,
            "before": found.before,
            "back": self.name_of(found.back) if found.back != wish.digest else "",
            "others": others.get(wish.digest, 0) if found.state == "at work" else 0,
        }

    def name_of(self, digest: str) -> str:
        """What people call a filter."""
        if not digest:
            return OWN
        file = self.filters.store.files.get(digest)
        return digest[:16] if file is None else f"{file.name} ({digest[:16]})"

    async def _chosen(self, file: str, digest: str) -> _Chosen | None:
        """The filter that is asked about; None: none is.

        Raises:
            InvalidInput: there is none of that name or digest.
        """
        if digest:
            kept = self.filters.store.files.get(digest)
            if kept is None:
                raise InvalidInput("there is no such filter here any more: choose its file again")
            return _Chosen(kept.name, kept.digest, kept.size_bytes)
        if not file:
            return None
        if self.recordings is None:
            raise InvalidInput("there is no folder of recordings: set `recordings` in cloud.toml")
        shelf = await asyncio.to_thread(self.recordings.shelf)
        found = next((each for each in shelf.filters if each["name"] == file), None)
        if found is None:
            raise InvalidInput(dict(shelf.bad).get(file, f"there is no filter {file!r} in the folder of recordings"))
        return _Chosen(file, found["digest"], found["size_bytes"], found["proof"], file)

    async def _list(self, stream: str, *, wrong: str = "", status: int = 200) -> Response:
        """The filters that there are."""
        found: tuple[dict[str, Any], ...] = ()
        if self.recordings is not None and self.recordings.folder.is_dir():
            found = (await asyncio.to_thread(self.recordings.shelf)).filters
        digests = {each["digest"] for each in found}
        kept = [each for each in self.filters.store.files.values() if each.digest not in digests]
        return self.render(
            "fleet_filters.html.j2", status, here="fleet", filters=found, kept=kept, stream=stream[:201], wrong=wrong
        )

    def _page(
        self,
        request: Request,
        chosen: _Chosen,
        *,
        wanted: list[str],
        foreseen: Mapping[str, Foreseen] | None = None,
        wrong: str = "",
        status: int = 200,
    ) -> Response:
        streams = sorted(self.filters.all(), key=lambda each: in_order(each.stream))
        try:
            checked, first = set(self.filters.others(chosen.digest)), False
        except InvalidInput:
            checked, first = set(), True
        return self.render(
            "fleet_filter.html.j2",
            status,
            here="fleet",
            chosen=chosen,
            streams=streams,
            first=first,
            checked=set(wanted) or checked,
            foreseen=foreseen or {},
            wrong=wrong,
            line=_line(
                request, chosen, self.access, ca="" if self.config.tls_cert is None else self.config.tls_cert.name
            ),
        )

    def _stream(self, name: str) -> StreamFilter:
        found = next((each for each in self.filters.all() if each.stream == name and each.wish is not None), None)
        if found is None:
            raise InvalidInput("no filter was rolled out to this stream: there is nothing to go back to")
        return found


def _line(request: Request, chosen: _Chosen, access: Access, *, ca: str) -> str:
    """What does the same by hand, on the device; empty: the file is not in the folder of recordings."""
    if not chosen.file:
        return ""
    # Through a pipe: what stands in a command's line is seen by all who may list processes.
    token = "" if access.guard.open else 'printf \'header = "authorization: Bearer %s"\' "$TOKEN" | '
    address = f"{request.url.scheme}://{request.url.netloc}/tuner/filter/{chosen.file.replace(' ', '%20')}"
    trusted = f" --cacert {ca}" if ca else ""
    fetch = f"{token}curl -fsS{' -K -' if token else ''}{trusted} {address} -o GATE.new"
    check = f'echo "{chosen.digest}  GATE.new" | sha256sum -c'
    return f"cp -p GATE.onnx GATE.before.onnx && {fetch} && {check} && mv GATE.new GATE.onnx"


async def _form(request: Request) -> dict[str, list[str]]:
    """What a form says.

    Raises:
        InvalidInput: it says too much.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise InvalidInput(f"more than {_MOST_BYTES} bytes are no form of this page")
    return parse_qs(body.decode(errors="replace"))
