"""What people add to the recordings: zones and masks that they draw, and answers that they correct."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...files import replacing
from ...filters.rules.parser import Unchanged, parse_rule
from ...filters.rules.zones import Points, Zone, read_zones, zones_of
from ...filters.training.corrected import CorrectedTrace, Correction, place_in, with_it, without, zone_is_gone
from ...outputs import Array, OutputSpec
from ...settings import checked, read_toml
from ...traces.trace import Trace

ZONES, MASK, MARKS = ".zones.toml", ".mask.toml", ".marks.json"
"""How the files beside a recording end: `door.zones.toml` beside `door.trace`."""
_MOST_MARKS = 5000
_MOST_BYTES = 2**20
_SLACK_S = 1e-6
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
        what: what was not there, or was there unsaid.
        first: the sequence number of the first input.
        last: that of the last one.
        there: whether it was there and the model did not say it; else the model said it and it was not there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=200)
    what: str = Field(max_length=2000)
    first: int = Field(ge=0, lt=2**63)
    last: int = Field(ge=0, lt=2**63)
    there: bool = False


class Marking(BaseModel):
    """The same as a page says it.

    Attributes:
        recording: of which.
        model: whose answer.
        what: what was not there, or was there unsaid.
        first: the index of the first input.
        last: that of the last one.
        around_s: inputs that were captured so shortly before or after are meant, too.
        there: whether it was there and the model did not say it; else the model said it and it was not there.
        wrong: whether the answer is wrong; false: that is taken back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str = Field(max_length=130)
    model: str = Field(max_length=200)
    what: str = Field(max_length=2000)
    first: int = Field(ge=0)
    last: int = Field(ge=0)
    around_s: float = Field(default=0.0, ge=0, le=60)
    there: bool = False
    wrong: bool = True


class _Marks(BaseModel):
    """The file of marks beside a recording.

    Attributes:
        format: of the file.
        recording: the recording's first input by its SHA-256, as another one may get its name; empty: not told.
        wrong: the marks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    recording: str = ""
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
    """Which answers of a recording are wrong; none, if the file is of another recording.

    Raises:
        InvalidInput: their file can't be read.
    """
    found = _read_marks(recording)
    return () if _is_of_another(found, recording) else found.wrong


def marks_told(recording: Path) -> str:
    """Why marks beside a recording count for nothing, in words; empty: all count.

    Raises:
        InvalidInput: their file can't be read.
    """
    path = recording.with_suffix(MARKS)
    if not _is_of_another(_read_marks(recording), recording):
        return ""
    return (
        f"{path.name} is of another recording that had this name, and counts for nothing here: the next correction "
        "takes its place"
    )


def _read_marks(recording: Path) -> _Marks:
    path = recording.with_suffix(MARKS)
    if not path.is_file():
        return _Marks()
    if path.stat().st_size > _MOST_BYTES:
        raise InvalidInput(f"{path.name}: has more than {_MOST_BYTES} bytes: it is none that this page wrote")
    try:
        return checked(_Marks, json.loads(path.read_bytes()), where=path.name)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path.name}: can't be read ({error}); remove it") from error


def _is_of_another(found: _Marks, recording: Path) -> bool:
    return bool(found.recording) and found.recording != _first_input(recording)


def _first_input(recording: Path) -> str:
    """By what a recording is known from others: its first input, which stays as it goes on."""
    with Trace(recording, stop=1) as trace:
        return hashlib.sha256(next(trace.payloads())).hexdigest()


def mark(recording: Path, marking: Marking) -> tuple[Mark, ...]:
    """Writes down that an answer is wrong, or that it is not; gives all that are.

    Raises:
        InvalidInput: there is no such answer, it can't be corrected, or too much is called wrong.
    """
    with Trace(recording) as trace:
        if marking.model not in trace.models or not marking.first <= marking.last < len(trace):
            raise InvalidInput("there is no such answer in this recording")
        spec = trace.models[marking.model].output
        first, last = _widened(trace, marking)
    new = Mark(model=marking.model, what=marking.what, first=first, last=last, there=marking.there)
    kept = [each for each in marks_of(recording) if each != new]
    if marking.wrong:
        zones = zones_drawn(recording)
        said = _corrections([new], tuple(zones.values()))[0]
        if zone_is_gone(spec, said):
            raise InvalidInput(f"the zone of {marking.what!r} is not drawn on this recording: draw and save it first")
        corrected = (with_it if marking.there else without)(spec.empty(), spec, said)
        if not marking.there:
            _check_redundant(marking.what, zones, spec, corrected)
        kept.append(new)
    text = _Marks(recording=_first_input(recording), wrong=tuple(kept)).model_dump_json() if kept else ""
    if len(kept) > _MOST_MARKS or len(text.encode()) > _MOST_BYTES:
        raise InvalidInput(
            f"{len(kept) - 1} answers of this recording are called wrong already: make another recording"
        )
    _write(recording.with_suffix(MARKS), text)
    return tuple(kept)


def corrected(recording: Path) -> CorrectedTrace:
    """A recording as people have corrected it.

    Raises:
        InvalidInput: it is none, or the marks can't be read.
    """
    return CorrectedTrace(recording, _corrections(marks_of(recording), tuple(zones_drawn(recording).values())))


def _check_redundant(what: str, zones: Mapping[str, Zone], spec: OutputSpec, corrected: Array) -> None:
    """Refuses that a rule's event was not there, where an answer without anything states that event, too.

    Raises:
        InvalidInput: it does.
    """
    try:
        rule = parse_rule(what, zones=zones, typed=False)
        if what in spec.classes or isinstance(rule, Unchanged):
            return
        rule.check(spec)
    except InvalidInput:
        return  # It is a class.
    if rule.redundant(corrected, spec):
        return
    raise InvalidInput(
        f"that {what!r} is wrong does not tell what is right: an answer that says nothing is needed, too"
    )


def _widened(trace: Trace, marking: Marking) -> tuple[int, int]:
    """The sequence numbers of the first and the last input that are meant."""
    times_s = (trace.captured_s[marking.first] - marking.around_s, trace.captured_s[marking.last] + marking.around_s)
    # Times are sums of steps; and where they do not rise, at least what was named is meant.
    first, last = np.searchsorted(trace.captured_s, (times_s[0] - _SLACK_S, times_s[1] + _SLACK_S)).tolist()
    return int(trace.sequences[min(first, marking.first)]), int(trace.sequences[max(last - 1, marking.last)])


def _corrections(marks: Sequence[Mark], zones: Sequence[Zone]) -> list[Correction]:
    """What marks say, with the zones as they are drawn now."""
    meant = [next((zone for zone in zones if each.what.endswith(f" in {zone.name}")), None) for each in marks]
    places = {zone: place_in(zone, zones) for zone in set(meant)}
    return [
        Correction(each.model, each.what, each.first, each.last, zone, each.there, places[zone])
        for each, zone in zip(marks, meant, strict=True)
    ]


def _corners(points: Sequence[tuple[float, float]]) -> str:
    return "[" + ", ".join(f"[{x:.4f}, {y:.4f}]" for x, y in points) + "]"


def _write(path: Path, text: str) -> None:
    """Writes a file; without a text there is none."""
    if not text:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
