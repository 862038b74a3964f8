"""What holds for a whole recording, as it is kept in its file."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import InvalidInput
from ..files import check_format
from ..models.cost import ModelCost
from ..models.inputs.form import InputForm
from ..models.spec import ModelSpec, parse_spec
from .source_name import is_always_live, without_secrets
from .stored import Kept

MASKED = "mask"
"""The note that says which polygons are black in all pictures, as JSON; none: nothing is."""
FORMAT = 3
"""Format 2 had no forms of inputs: it is read as it is."""
READS = (1, 2, 3)


@dataclass(frozen=True)
class TraceInfo:
    """What holds for the whole recording.

    Attributes:
        source: what was recorded, as the user named it, without passwords.
        fps: the source's frames per second; inputs may be fewer (`every`).
        models: each model's spec, in the order of their names.
        digests: each model file's digest: links and filters learnt here serve these very models.
        costs: what each model cost on the machine that recorded.
        input: how inputs are kept (`stored.py`): "image", "array", "parts", or "none": only the outputs were kept.
        every: one of how many of the source's frames was recorded.
        start_s: where in the source the recording began.
        times: "read" from the source, or "invented" from a frame rate: such times may be wrong, so nothing is certified
            from them. Recordings of videos in the first format are of that kind. "order": inputs have no time, only an
            order, as the lines of a file; they count as a second apart, and there are no events among them.
        form: what an input is and how it was cut from its source; None: it is not said, or only outputs were kept.
        format: the version of the file's format.
        notes: what else is worth knowing of it, by a word for each.
    """

    source: str
    fps: float
    models: dict[str, ModelSpec]
    digests: dict[str, str]
    costs: dict[str, ModelCost]
    every: int = 1
    input: Kept = "image"
    start_s: float = 0.0
    times: Literal["read", "invented", "order"] = "read"
    form: InputForm | None = None
    format: int = FORMAT
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def modality(self) -> str:
        """The kind of its inputs; "": it is not known, or they were not kept."""
        if self.form is not None:
            return self.form.modality
        return "image" if self.input == "image" else ""

    @property
    def told_input(self) -> str:
        """What its inputs are, for people."""
        if self.input == "none":
            return "not kept"
        return {"": "arrays", "image": "pictures"}.get(self.modality, f"of the kind {self.modality}")


def read_info(database: sqlite3.Connection, path: Path) -> TraceInfo | None:
    """What is stored; None if nothing is yet.

    Raises:
        InvalidInput: the database is no trace, or has a format that this version does not read.
    """
    try:
        row = database.execute("SELECT value FROM meta WHERE key = 'info'").fetchone()
    except sqlite3.Error as error:
        raise InvalidInput(f"{path}: is not an infilink trace ({error})") from error
    if row is None:
        return None
    try:
        data: dict[str, Any] = json.loads(row[0])
        check_format(data.get("format"), READS, path=path, what="a trace")
        if data["format"] == 1:
            data["times"] = "invented" if _is_of_video(data) else "read"
        data["models"] = {name: parse_spec(spec, where=str(path)) for name, spec in data["models"].items()}
        data["costs"] = {name: ModelCost(**cost) for name, cost in data["costs"].items()}
        if data.get("form") is not None:
            data["form"] = InputForm.model_validate(data["form"])
        return TraceInfo(**{**data, "source": without_secrets(data["source"])})
    except InvalidInput:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(f"{path}: is damaged (what it says of itself can't be read); record it again") from error


def dump_info(info: TraceInfo) -> str:
    """As it is stored: JSON."""
    models = {name: spec.model_dump(mode="json", exclude_defaults=True) for name, spec in info.models.items()}
    costs = {name: asdict(cost) for name, cost in info.costs.items()}
    plain = {
        f: getattr(info, f)
        for f in ("source", "fps", "digests", "every", "input", "start_s", "times", "format", "notes")
    }
    form = None if info.form is None else info.form.model_dump(mode="json", exclude_defaults=True)
    return json.dumps({**plain, "form": form, "models": models, "costs": costs})


def check_same(path: Path, found: TraceInfo, wanted: TraceInfo) -> None:
    """Makes sure that a recording can go on as `wanted`.

    Raises:
        InvalidInput: it was begun as something else.
    """
    # An older recording of the same source does not say of which form its inputs are.
    form = () if found.form is None else ("form",)
    for key in ("source", "every", "input", "start_s", "times", *form, "digests"):
        if getattr(found, key) != getattr(wanted, key):
            raise InvalidInput(
                f"{path}: was recorded with {key} {getattr(found, key)!r}, not {getattr(wanted, key)!r}; "
                "give another --out, or delete it to start again"
            )
    if found.notes.get(MASKED) != wanted.notes.get(MASKED):
        raise InvalidInput(f"{path}: was recorded with another mask; give another --out, or delete it to start again")
    changed = [name for name, spec in wanted.models.items() if found.models.get(name) != spec]
    if changed:
        raise InvalidInput(
            f"{path}: was recorded with another spec of {', '.join(changed)} than it has now; give another --out, or "
            "delete it to start again"
        )


def _is_of_video(info: Mapping[str, Any]) -> bool:
    """Whether a recording of the first format is of a video, whose times were the frame's number over a rate.

    Live streams had the clock's. What a program handed over, with times of its own, has no name with an ending.
    """
    source = str(info["source"])
    pictures = info.get("input", "image") == "image" or "cut" in info.get("notes", {})
    return pictures and not is_always_live(source) and ("://" in source or bool(Path(source).suffix))
