"""Files of a stretch of a stream's time: a trace, COCO, MOT or a clip; made on disk, then streamed."""

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from ...errors import InvalidInput, Overloaded
from ...files import room_for
from ..ledger.viewer_time import iso_utc
from ..sent.boxes import write_coco_zip, write_mot_text
from ..sent.clip import write_clip
from ..sent.decoding import SentPictures
from ..sent.recording import write_trace
from ..sent.stretch import Material
from .access import Access
from .stream_data import stretch_of

if TYPE_CHECKING:
    from ..coordinator import Coordinator

_PIECE_BYTES = 2**18
_LONGEST_NAME = 200


def _give_way() -> None:
    with suppress(OSError, AttributeError):  # Linux alone knows how urgent a single thread is.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)


# One at a time, behind all other work.
_MAKING = ThreadPoolExecutor(1, "exports", initializer=_give_way)


@dataclass(frozen=True)
class Form:
    """A kind of file.

    Attributes:
        ending: of its name.
        media_type: as HTTP has it.
        most: so many pictures one may have, or results where it has none.
        has_pictures: whether it does.
        write: writes it.
    """

    ending: str
    media_type: str
    most: int
    has_pictures: bool
    write: Callable[[Material, Path], None]


class Exports:
    """Makes files of what was sent and said.

    Args:
        coordinator: whose ledger it is.
        pictures: what was sent; None: none is kept.
        access: who may have them: whoever may read.
    """

    def __init__(self, coordinator: "Coordinator", pictures: SentPictures | None, access: Access) -> None:
        self.coordinator = coordinator
        self.pictures = pictures
        self.access = access
        self.forms: Mapping[str, Form] = {
            "trace": Form(".trace", "application/vnd.sqlite3", 20_000, True, self._write_trace),
            "coco": Form(".zip", "application/zip", 20_000, True, write_coco_zip),
            "mot": Form(".txt", "text/plain; charset=utf-8", 500_000, False, write_mot_text),
            "clip": Form(".mp4", "video/mp4", 5_000, True, write_clip),
        }
        self._is_making = False

    def routes(self) -> list[BaseRoute]:
        """The addresses."""
        return [Route("/export/{name:path}", self.access.data(self.export), methods=["GET"])]

    async def export(self, request: Request) -> Response:
        """A file of a stretch.

        Raises:
            InvalidInput: there is no such kind of file, or nothing to put into it.
            Overloaded: another one is being made.
        """
        name = request.query_params.get("as", "")
        form = self.forms.get(name)
        if form is None:
            raise InvalidInput(f"`as` is one of {', '.join(self.forms)}, not {name[:40]!r}")
        if self.pictures is None:
            raise InvalidInput("no pictures are kept: `keep_bytes` of `[pictures]` in cloud.toml is 0")
        stretch = stretch_of(request)
        model = request.query_params.get("model", "")[:_LONGEST_NAME]
        if "*" in model or "?" in model:
            raise InvalidInput(f"`model` is one model's name, not {model!r}")
        material = Material(stretch, model, self.coordinator.ledger.database, self.pictures)
        if self._is_making:
            raise Overloaded("another file is being made: try again when it is there")
        self._is_making = True
        making = asyncio.get_running_loop().run_in_executor(_MAKING, self._make, form, material)
        # Whoever asked may go: it is over only when the thread is done.
        making.add_done_callback(self._made)
        file, size_bytes = await asyncio.shield(making)
        began = re.sub(r"[^0-9TZ]", "", iso_utc(stretch.since_us)[:19]) + "Z"
        called = f"{re.sub(r'[^A-Za-z0-9._-]+', '_', stretch.stream)}-{began}{form.ending}"
        return StreamingResponse(
            _pieces(file),
            media_type=form.media_type,
            headers={"content-length": str(size_bytes), "content-disposition": f'attachment; filename="{called}"'},
        )

    def _make(self, form: Form, material: Material) -> tuple[IO[bytes], int]:
        """The file, open and without a name: it is gone once it is closed."""
        if form.has_pictures:
            material.check_pictures(form.most)
        else:
            material.check_results(form.most)
        with TemporaryDirectory(prefix="infilink-export-", dir=material.sent.sent.path.parent) as folder:
            path = Path(folder, f"export{form.ending}")
            with room_for(path):
                form.write(material, path)
            return path.open("rb"), path.stat().st_size

    def _made(self, making: "asyncio.Future[tuple[IO[bytes], int]]") -> None:
        self._is_making = False
        if not making.cancelled():
            making.exception()  # Retrieved: whoever asked may be gone.

    def _write_trace(self, material: Material, path: Path) -> None:
        write_trace(material, path, self.coordinator.initial.costs)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(partial(file.read, _PIECE_BYTES)):
            yield piece
