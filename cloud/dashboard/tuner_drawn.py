"""What people add to the recordings: zones and masks that they draw, and answers that they call wrong."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...files import replacing
from ...filters.rules.zones import Points, Zone, read_zones, zones_of
from ...filters.training.corrected import CorrectedTrace, Wrong, without
from ...settings import checked, read_toml
from ...traces.trace import Trace

ZONES, MASK, MARKS = ".zones.toml", ".mask.toml", ".marks.json"
"""How the files beside a recording end: `door.zones.toml` beside `door.trace`."""
_MOST_MARKS = 5000
_MOST_BYTES = 2**20
_Polygon = Annotated[list[tuple[float, float]], Field(max_length=200)]


class Drawing(BaseModel):
    """Zones by name, and polygons that nobody shall see.

    Attributes:
        recording: on whose page they were drawn.
        zones: corners as shares of the picture's width and height.
        mask: likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str = Field(max_length=130)
    zones: Annotated[dict[Annotated[str, Field(max_length=60)], _Polygon], Field(max_length=64)] = {}
    mask: Annotated[list[_Polygon], Field(max_length=64)] = []


class Mark(BaseModel):
    """Somebody says that an answer is wrong.

    Attributes:
        model: whose.
        what: what was not there.
        first: the sequence number of the first input.
        last: that of the last one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=200)
    what: str = Field(max_length=2000)
    first: int = Field(ge=0, lt=2**63)
    last: int = Field(ge=0, lt=2**63)


class Marking(BaseModel):
    """The same as a page says it.

    Attributes:
        recording: of which.
        model: whose answer.
        what: what was not there.
        first: the index of the first input.
        last: that of the last one.
        wrong: whether it is; false: it is taken back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str = Field(max_length=130)
    model: str = Field(max_length=200)
    what: str = Field(max_length=2000)
    first: int = Field(ge=0)
    last: int = Field(ge=0)
    wrong: bool = True


class _Marks(BaseModel):
    """The file of marks beside a recording."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    wrong: Annotated[tuple[Mark, ...], Field(max_length=_MOST_MARKS)] = ()


class _Mask(BaseModel):
    """The file with the mask."""

    mask: tuple[Points, ...] = ()


def zones_drawn(recording: Path) -> dict[str, Zone]:
    """The zones that were drawn on a recording's pictures.

    Raises:
        InvalidInput: their file can't be read.
    """
    path = recording.with_suffix(ZONES)
    return read_zones(path) if path.is_file() else {}


def drawing(recording: Path) -> dict[str, Any]:
    """What was drawn, as the page has it.

    Raises:
        InvalidInput: a file can't be read.
    """
    path = recording.with_suffix(MASK)
    mask = checked(_Mask, read_toml(path), where=path.name).mask if path.is_file() else ()
    return {"zones": {name: zone.points for name, zone in zones_drawn(recording).items()}, "mask": mask}


def draw(recording: Path, drawn: Drawing) -> None:
    """Writes zones as `--zones` reads them, and the mask as `mask` in device.toml says it.

    Raises:
        InvalidInput: one is no polygon within the picture.
    """
    zones = zones_of({name: tuple(corners) for name, corners in drawn.zones.items()})
    masks = [Zone(f"mask[{i}]", tuple(corners)) for i, corners in enumerate(drawn.mask)]
    lines = [f"{json.dumps(name, ensure_ascii=True)} = {_corners(zone.points)}" for name, zone in zones.items()]
    _write(recording.with_suffix(ZONES), "[zones]\n" + "\n".join(lines) + "\n" if lines else "")
    polygons = ", ".join(_corners(zone.points) for zone in masks)
    _write(recording.with_suffix(MASK), f"mask = [{polygons}]\n" if masks else "")


def mask_line(recording: Path) -> str:
    """The line with the mask, for a device's settings; empty: nothing is masked."""
    path = recording.with_suffix(MASK)
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def marks_of(recording: Path) -> tuple[Mark, ...]:
    """Which answers of a recording are wrong.

    Raises:
        InvalidInput: their file can't be read.
    """
    path = recording.with_suffix(MARKS)
    if not path.is_file():
        return ()
    if path.stat().st_size > _MOST_BYTES:
        raise InvalidInput(f"{path.name}: has more than {_MOST_BYTES} bytes: it is none that this page wrote")
    try:
        return checked(_Marks, json.loads(path.read_bytes()), where=path.name).wrong
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path.name}: can't be read ({error}); remove it") from error


def mark(recording: Path, marking: Marking) -> tuple[Mark, ...]:
    """Writes down that an answer is wrong, or that it is not; gives all that are.

    Raises:
        InvalidInput: there is no such answer, it can't be corrected, or too much is called wrong.
    """
    with Trace(recording) as trace:
        if marking.model not in trace.models or not marking.first <= marking.last < len(trace):
            raise InvalidInput("there is no such answer in this recording")
        first, last = (int(trace.sequences[index]) for index in (marking.first, marking.last))
        spec = trace.models[marking.model].output
    new = Mark(model=marking.model, what=marking.what, first=first, last=last)
    without(spec.empty(), spec, _wrong(new, zones_drawn(recording)))
    kept = [each for each in marks_of(recording) if each != new]
    if marking.wrong:
        kept.append(new)
    if len(kept) > _MOST_MARKS:
        raise InvalidInput(f"{_MOST_MARKS} answers of this recording are called wrong already: make another recording")
    text = _Marks(wrong=tuple(kept)).model_dump_json() if kept else ""
    _write(recording.with_suffix(MARKS), text)
    return tuple(kept)


def corrected(recording: Path) -> CorrectedTrace:
    """A recording without what is wrong in it.

    Raises:
        InvalidInput: it is none, or the marks can't be read.
    """
    zones = zones_drawn(recording)
    return CorrectedTrace(recording, [_wrong(each, zones) for each in marks_of(recording)])


def _wrong(found: Mark, zones: Mapping[str, Zone]) -> Wrong:
    zone = next((zone for name, zone in zones.items() if found.what.endswith(f" in {name}")), None)
    return Wrong(found.model, found.what, found.first, found.last, zone)


def _corners(points: Sequence[tuple[float, float]]) -> str:
    return "[" + ", ".join(f"[{x:.4f}, {y:.4f}]" for x, y in points) + "]"


def _write(path: Path, text: str) -> None:
    """Writes a file; without a text there is none."""
    if not text:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
