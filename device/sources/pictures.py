"""Reading a folder of pictures in the decoder's process: each file one picture, with the time when it was taken."""

from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import InvalidInput
from ...outputs import Array
from .complaints import Complaints
from .container import Video
from .exif import HEAD_BYTES, taken_unix_s
from .folder import files_of
from .reader import MAX_PIXELS, Opened, Opening, Taken

_LONGEST_BYTES = 2**28


class PicturesReader:
    """Gives the pictures of a folder in the order of their names.

    Their times are what their cameras wrote into them (EXIF) if the first one says it and `time_column` does not refuse
    it ("-"); when their files were changed, if `time_column` is "mtime"; of a watched folder when they came; else their
    order.

    Args:
        opening: the pictures, and how they are cut.
        told: called with what the user should know.
        alive: called now and then while nothing is given.

    Raises:
        InvalidInput: there are none.
    """

    def __init__(self, opening: Opening, *, told: Callable[[str], None], alive: Callable[[], None]) -> None:
        self.opening = opening
        self._complaints = Complaints(told, strict=opening.strict)
        self._files = files_of("images", opening.text, watch=opening.cut.watch, alive=alive)
        self._files.complaints = self._complaints
        column = opening.cut.time_column
        if column not in ("", "-", "exif", "mtime"):
            raise InvalidInput(f"{opening.name}: `time_column` of pictures is exif, mtime or - (none), not {column!r}")
        self._times = self._which(column)
        order = self._times == "order"
        self.opened = Opened(1.0, self._files.count, self._files.watch, "order" if order else "read")

    def __iter__(self) -> Iterator[Taken]:
        """Every picture that can be read."""
        count, first_s, last_s = 0, None, 0.0
        for path, came_s in self._files:
            frame = self._frame(path)
            if frame is None:
                continue
            if came_s is not None:
                yield Taken(frame, came_s, None, count)
            else:
                unix_s = self._unix_s(path)
                if self._times == "order":
                    last_s = float(count)
                elif unix_s is None:
                    self._complaints.add(
                        "has no time",
                        f"{path.name}: does not say when it was taken: like the one before",
                        lost=False,
                    )
                else:
                    first_s = unix_s if first_s is None else first_s
                    if unix_s - first_s < last_s:
                        self._complaints.add(
                            "times go back",
                            f"{path.name}: was taken before the one before it: like that",
                            lost=False,
                        )
                    last_s = max(last_s, unix_s - first_s)
                yield Taken(frame, last_s, last_s, count)
            count += 1
        self._complaints.finish()
        if not count:
            raise InvalidInput(f"{self.opening.name}: holds no picture that can be read")

    def value(self, taken: Taken) -> Array:
        """The picture as uint8 BGR."""
        image: Array = taken.frame
        return image

    def _which(self, column: str) -> str:
        if self._files.watch:
            return "came"
        if column in ("-", "mtime"):
            return "order" if column == "-" else "mtime"
        path = self._files.first
        found = None if path is None else taken_unix_s(_head(path))
        if found is None and column == "exif":
            raise InvalidInput(f'{path}: does not say when it was taken (`time_column = "exif"`)')
        return "order" if found is None else "exif"

    def _unix_s(self, path: Path) -> float | None:
        if self._times == "exif":
            return taken_unix_s(_head(path))
        return path.stat().st_mtime if self._times == "mtime" else None

    def _frame(self, path: Path) -> Array | None:
        """The file's picture; None, and said, if it has none that can be read."""
        try:
            size_bytes = path.stat().st_size
            if not size_bytes:
                raise InvalidInput(f"{path.name}: is empty")
            if size_bytes > _LONGEST_BYTES:
                raise InvalidInput(f"{path.name}: is larger than {_LONGEST_BYTES // 2**20} MiB")
            video = Video(str(path), threads="SLICE", strict=True)
            try:
                frame = next(video.frames(), None)
                if frame is None:
                    more = f"it is damaged, or has more than {MAX_PIXELS} pixels"
                    raise InvalidInput(f"{path.name}: no picture can be decoded: {more}")
                return video.picture(frame).copy()
            finally:
                video.close()
        except (InvalidInput, OSError) as error:
            self._complaints.add("can't be read", f"left out: {error}")
            return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
