"""What a trace says of itself: the source, the models, what they cost."""

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .errors import InvalidInput
from .models import ModelSpec, parse_spec
from .process import ModelCost

FORMAT = 1


@dataclass(frozen=True)
class TraceInfo:
    """What holds for the whole recording.

    Attributes:
        source: what was recorded, as the user named it.
        fps: the source's frames per second; inputs may be fewer (`every`).
        models: each model's spec, in the order of their names.
        digests: each model file's digest: links and filters learnt here serve these very models.
        costs: what each model cost on the machine that recorded.
        input: what an input is: "image" (a JPEG), "array" (a text, a sound, a signal, as numpy writes it), or "none":
            only the outputs were kept.
        every: one of how many of the source's frames was recorded.
        start_s: where in the source the recording began.
    """

    source: str
    fps: float
    models: dict[str, ModelSpec]
    digests: dict[str, str]
    costs: dict[str, ModelCost]
    every: int = 1
    input: Literal["image", "array", "none"] = "image"
    start_s: float = 0.0
    format: int = FORMAT
    notes: dict[str, str] = field(default_factory=dict)


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
    data: dict[str, Any] = json.loads(row[0])
    if data.get("format") != FORMAT:
        raise InvalidInput(f"{path}: has format {data.get('format')}, this version reads {FORMAT}; record it again")
    data["models"] = {name: parse_spec(spec, where=str(path)) for name, spec in data["models"].items()}
    data["costs"] = {name: ModelCost(**cost) for name, cost in data["costs"].items()}
    return TraceInfo(**data)


def dump_info(info: TraceInfo) -> str:
    """As it is stored: JSON."""
    models = {name: spec.model_dump(mode="json", exclude_defaults=True) for name, spec in info.models.items()}
    costs = {name: asdict(cost) for name, cost in info.costs.items()}
    plain = {f: getattr(info, f) for f in ("source", "fps", "digests", "every", "input", "start_s", "format", "notes")}
    return json.dumps({**plain, "models": models, "costs": costs})


def check_same(path: Path, found: TraceInfo, wanted: TraceInfo) -> None:
    """Raises InvalidInput if a recording can't go on as `wanted`: it was begun as something else."""
    for key in ("source", "every", "input", "start_s", "digests"):
        if getattr(found, key) != getattr(wanted, key):
            raise InvalidInput(
                f"{path}: was recorded with {key} {getattr(found, key)!r}, not {getattr(wanted, key)!r}; "
                "give another --out, or delete it to start again"
            )
