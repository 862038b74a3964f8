"""The filter tuner: what a recording says of every accuracy that could be asked for, as pages and what they ask for."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...errors import InfilinkError, InvalidInput, NotAllowed, UnknownModel
from ...filters.rules.parser import Unchanged, parse_rule
from ...models.stem.beside import STEM_FILE
from ...settings import checked
from ...traces.trace import Trace
from ..security.caller import Scope
from .access import Access
from .pictures import WIDTHS, smaller
from .tuner_drawn import (
    MARKS,
    ZONES,
    Drawing,
    Marking,
    draw,
    drawing,
    mark,
    marks_of,
    marks_told,
    mask_line,
    zones_drawn,
)
from .tuner_jobs import Jobs
from .tuner_questions import Asked, Asking, Compare, Make, Tune
from .tuner_recordings import FILTER, TRACE, Recordings, Shelf, file_digest

if TYPE_CHECKING:
    from ..coordinator import Coordinator

_MOST_BODY_BYTES = 2**16
_READING = ThreadPoolExecutor(1, "tuner")
"""Files are read beside the event loop; one at a time is enough for people."""
Page = Callable[..., HTMLResponse]
Made = TypeVar("Made")
Body = TypeVar("Body", bound=BaseModel)


class Tuner:
    """The tuner's pages, over the folder that `recordings` names.

    Args:
        coordinator: whose settings hold.
        access: who may look, and who may have something done.
        page: renders a template.
    """

    def __init__(self, coordinator: "Coordinator", access: Access, page: Page) -> None:
        self.config = coordinator.config
        self.access = access
        self.jobs = Jobs()
        folder = self.config.recordings
        self.recordings = None if folder is None else Recordings(folder)
        self._page = page

    def routes(self) -> list[BaseRoute]:
        """The addresses of its pages, and of what they ask for."""
        page, data = self.access.page, self.access.data
        return [
            Route("/tuner", page(self.shelf), methods=["GET"]),
            Route("/tuner/recording/{name}", page(self.recording), methods=["GET"]),
            Route("/tuner/filters/{name}", data(self.filters), methods=["GET"]),
            Route("/tuner/ask", data(self.ask, "operator"), methods=["POST"]),
            Route("/tuner/draw", data(self.draw, "operator"), methods=["POST"]),
            Route("/tuner/mark", data(self.mark, "operator"), methods=["POST"]),
            Route("/tuner/job", data(self.job), methods=["GET"]),
            Route("/tuner/cancel", data(self.cancel, "operator"), methods=["POST"]),
            Route("/tuner/answer/{key}", data(self.answer), methods=["GET"]),
            Route("/tuner/filter/{name}", self.download, methods=["GET"]),
            Route("/tuner/picture/{name}/{index:int}", data(self.picture), methods=["GET"]),
        ]

    async def shelf(self, request: Request) -> Response:
        """The recordings and filters that there are."""
        models = self.config.models.name
        if self.recordings is None:
            return self._page(
                "tuner_shelf.html.j2", here="tuner", on=False, models=models, why="", shelf=None, folder="recordings"
            )
        folder = self.recordings.folder.name
        try:
            shelf = await _read(self.recordings.shelf)
        except InvalidInput as error:
            return self._page(
                "tuner_shelf.html.j2", here="tuner", on=True, models=models, why=str(error), shelf=None, folder=folder
            )
        return self._page(
            "tuner_shelf.html.j2", here="tuner", on=True, models=models, why="", shelf=shelf, folder=folder
        )

    async def recording(self, request: Request) -> Response:
        """The tuner of one recording."""
        name = request.path_params["name"]
        recordings = self._recordings()
        shelf = await _read(recordings.shelf)
        found = next((each for each in shelf.recordings if each["name"] == name), None)
        if found is None:
            what = f"“{name}” can't be tuned on"
            why = dict(shelf.bad).get(name, "There is no such recording.")
            to = {"to": "/tuner", "there": "All recordings", "command": ""}
            return self._page("gone.html.j2", 404, here="tuner", what=what, why=why, **to)
        path = recordings.path_of(name, TRACE)
        start = {
            "recording": found,
            "filters": _fitting(shelf, found),
            "suggestions": await _read(lambda: recordings.suggestions(name)),
            "stem": shelf.stem,
            "drawn": await _read(lambda: drawing(path)),
            "marks": await _read(lambda: _marked(path)),
            "may": self._may_change(request),
            "folder": recordings.folder.name,
            "free": recordings.free_name(name.removesuffix(TRACE).replace(" ", "-")),
            "job": self._job_of(name),
        }
        return self._page(
            "tuner.html.j2",
            here="tuner",
            name=name,
            stem=path.stem,
            start=json.dumps(start),
            mask_line=mask_line(path),
            marks_told=await _read(lambda: marks_told(path)),
        )

    async def filters(self, request: Request) -> Response:
        """The filters that fit a recording.

        Raises:
            InvalidInput: there is no such recording.
        """
        recordings, name = self._recordings(), request.path_params["name"]
        shelf = await _read(recordings.shelf)
        found = next((each for each in shelf.recordings if each["name"] == name), None)
        if found is None:
            raise InvalidInput(f"there is no recording {name!r}")
        return JSONResponse({"filters": _fitting(shelf, found)})

    async def ask(self, request: Request) -> Response:
        """Begins what is asked for, unless its answer is there.

        Raises:
            InvalidInput: it makes no sense.
            Overloaded: something else is under way.
        """
        question = (await _body(request, Asking)).root
        recordings = self._recordings()
        await _read(lambda: _check(recordings, question))
        key = self._key(question)
        if self.jobs.answer(key) is not None:
            return JSONResponse({"key": key, "job": None})
        job = self.jobs.start(Asked(folder=recordings.folder, question=question), key, _title(question))
        return JSONResponse({"key": key, "job": job.told()}, 202)

    async def draw(self, request: Request) -> Response:
        """Keeps the zones and masks that were drawn.

        Raises:
            InvalidInput: one is no polygon within the picture.
        """
        drawn, recordings = await _body(request, Drawing), self._recordings()
        path = recordings.path_of(drawn.recording, TRACE)
        await _read(lambda: draw(path, drawn))
        suggestions = await _read(lambda: recordings.suggestions(drawn.recording))
        return JSONResponse({"suggestions": suggestions, "mask_line": mask_line(path)})

    async def mark(self, request: Request) -> Response:
        """Notes that an answer is wrong: something was not there, or was there unsaid.

        Raises:
            InvalidInput: there is no such answer, or it can't be corrected.
        """
        marking, recordings = await _body(request, Marking), self._recordings()
        path = recordings.path_of(marking.recording, TRACE)

        def note() -> list[dict[str, Any]]:
            mark(path, marking)
            return _marked(path)

        return JSONResponse({"marks": await _read(note)})

    async def job(self, request: Request) -> Response:
        """What is under way, or was last; or the work of a number."""
        number = request.query_params.get("number", "")
        # Digits as people in other places write them are none that a page sends.
        known = self.jobs.find(int(number)) if number.isascii() and number.isdecimal() and len(number) < 20 else None
        job = known if number else self.jobs.current
        return JSONResponse({"job": None if job is None else job.told()})

    async def cancel(self, request: Request) -> Response:
        """Ends what is under way.

        Raises:
            InvalidInput: it is not any more.
        """
        self.jobs.cancel((await _body(request, _Number)).number)
        return JSONResponse({})

    async def answer(self, request: Request) -> Response:
        """What came of a question."""
        found = self.jobs.answer(request.path_params["key"])
        if found is None:
            return JSONResponse({"error": "this answer is not kept any more: ask again"}, 404)
        return Response(found, media_type="application/json")

    async def download(self, request: Request) -> Response:
        """A filter's file, for people and for devices."""
        # A device's token is no reader's; either will do.
        scope: Scope = "reader" if self.access.may(request, "reader") else "device"
        return await self.access.data(self._file, scope)(request)

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        path = self._recordings().path_of(name, FILTER)
        digest = await _read(lambda: file_digest(path))
        headers = {"content-disposition": f'attachment; filename="{name}"', "x-content-sha256": digest}
        return FileResponse(path, media_type="application/octet-stream", headers=headers)

    async def picture(self, request: Request) -> Response:
        """An input of a recording, as small as it is shown.

        Raises:
            InvalidInput: there is none, or `width` is none of those there are.
        """
        name, index = request.path_params["name"], request.path_params["index"]
        width = request.query_params.get("width", str(WIDTHS[0]))
        if width not in map(str, WIDTHS):
            raise InvalidInput(f"`width` is one of {', '.join(map(str, WIDTHS))}, not {width[:20]!r}")
        recordings = self._recordings()
        jpeg = await _read(lambda: smaller(recordings.picture(name, index), int(width)))
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def _recordings(self) -> Recordings:
        if self.recordings is None:
            raise InvalidInput("there is no folder of recordings: set `recordings` in cloud.toml")
        return self.recordings

    def _job_of(self, recording: str) -> dict[str, Any] | None:
        """The work on a recording that is under way, or was done last and still says how it is."""
        job = self.jobs.current
        if job is None or job.asked.question.recording != recording:
            return None
        is_new = job.state == "done" and job.key == self._key(job.asked.question)
        return job.told() if job.state == "running" or is_new else None

    def _may_change(self, request: Request) -> bool:
        try:
            self.access.caller(request, "operator")
        except NotAllowed:
            return False
        return True

    def _key(self, question: BaseModel) -> str:
        """What was asked, of which files as they are now."""
        recordings = self._recordings()
        told = hashlib.sha256(question.model_dump_json().encode())
        files = [getattr(question, each, "") for each in ("recording", "filter", "beside")]
        drawn = [files[0].removesuffix(TRACE) + suffix for suffix in (MARKS, ZONES)]
        for name in (*files, *getattr(question, "filters", ()), *drawn, STEM_FILE):
            path = recordings.folder / name
            stat = path.stat() if name and path.is_file() else None
            told.update(f"{name} {stat and (stat.st_size, stat.st_mtime_ns)}".encode())
        return told.hexdigest()[:32]


def _marked(recording: Path) -> list[dict[str, Any]]:
    """The answers that were corrected, by the inputs' indices, as the page has them."""
    marks = marks_of(recording)
    if not marks:
        return []
    with Trace(recording) as trace:
        index = trace.sequences.searchsorted([(each.first, each.last) for each in marks]).tolist()
    return [
        {"model": each.model, "what": each.what, "first": first, "last": last, "there": each.there}
        for each, (first, last) in zip(marks, index, strict=True)
    ]


def _fitting(shelf: Shelf, recording: dict[str, Any]) -> list[dict[str, Any]]:
    """The filters on models that a recording has."""
    return [each for each in shelf.filters if set(each["models"]) <= recording["models"].keys()]


def _title(question: Tune | Make | Compare) -> str:
    """What is done, for people."""
    if isinstance(question, Make):
        return f"learning {question.name} from {question.recording}"
    return f"{'tuning' if isinstance(question, Tune) else 'comparing filters'} on {question.recording}"


def _check(recordings: Recordings, question: Tune | Make | Compare) -> None:
    """Refuses what can be told to make no sense before a process is begun for it.

    Raises:
        InfilinkError: naming what does not.
    """
    path = recordings.path_of(question.recording, TRACE)
    if isinstance(question, Compare):
        for name in question.filters:
            recordings.path_of(name, FILTER)
        return
    named = question.filter if isinstance(question, Tune) else question.beside
    if named:
        recordings.path_of(named, FILTER)
    if isinstance(question, Tune) and question.filter:
        return
    if isinstance(question, Make) and (recordings.folder / question.name).exists():
        raise InvalidInput(f"{question.name}: is there already; give another name")
    if not question.rule.strip():
        raise InvalidInput("`rule` is empty: say what is redundant, such as count(person) == 0")
    rule = parse_rule(question.rule, zones=zones_drawn(path), typed=False)
    with Trace(path, stop=1) as trace:
        known = trace.models
    for model in [question.model] if question.model else known:
        if model not in known:
            raise UnknownModel(model, tuple(known))
        if not isinstance(rule, Unchanged):
            rule.check(known[model].output)


class _Number(BaseModel):
    """Which piece of work is meant."""

    number: int


async def _read(what: Callable[[], Made]) -> Made:
    return await asyncio.get_running_loop().run_in_executor(_READING, what)


async def _body(request: Request, model: type[Body]) -> Body:
    """What a page sends as JSON.

    Raises:
        InvalidInput: it is none, too long, or says something else.
    """
    # What a form of another site could send as well is refused, whatever the browser says of where it is from.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InvalidInput("send this as application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BODY_BYTES:
            raise InvalidInput(f"more than {_MOST_BODY_BYTES} bytes are no question")
    try:
        return checked(model, json.loads(body), where="the question")
    except (ValueError, RecursionError) as error:
        if isinstance(error, InfilinkError):
            raise
        raise InvalidInput(f"the question is no JSON: {error}") from error
