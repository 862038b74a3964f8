"""`links.json`: what a folder of links says of its models, and what was measured."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import InvalidInput
from ..files import check_format, replacing
from ..models.cost import ModelCost
from ..models.encoding.encoding import Encoding
from ..models.spec import ModelSpec, parse_spec
from ..outputs import Array
from ..traces.info import TraceInfo
from .table import Table

INDEX = "links.json"
STEM_FILE = "stem.onnx"
"""In a folder of links: the stem whose features they read, if they read any."""
CAMERAS = "cameras"
"""In a folder of links: a folder of links for each camera that they were learnt from, where they were several."""
FORMAT = 5
_READS = (1, 2, 3, 4, 5)
_RUNS_FROM = 4


@dataclass(frozen=True)
class Index:
    """The content of `links.json`.

    Attributes:
        models: each model's spec, the virtual ones among them: those that only links answer for.
        costs: what each costs, as the recording measured; of virtual models nothing.
        digests: each model file's digest, as the recording had it; virtual models have no file.
        encodings: how outputs become vectors, by model.
        tables: what was measured, by target.
        constants: the best constant output, by target.
        links: the targets that have a link.
        notes: where and on what the links were learnt.
        certified: whether its certificates count; not those of an earlier version, which took inputs for independent.
        stem: the digest of the stem that lies in the folder; empty: the links read none.
    """

    models: Mapping[str, ModelSpec]
    costs: Mapping[str, ModelCost]
    digests: Mapping[str, str]
    encodings: Mapping[str, Encoding]
    tables: Mapping[str, Table]
    constants: Mapping[str, Array]
    links: tuple[str, ...]
    notes: Mapping[str, Any]
    certified: bool = True
    stem: str = ""

    def write(self, folder: Path) -> None:
        """Writes the index into the folder."""
        specs = {name: spec.model_dump(mode="json", exclude_defaults=True) for name, spec in self.models.items()}
        data = {
            "format": FORMAT,
            "models": specs,
            "costs": {name: asdict(cost) for name, cost in self.costs.items()},
            "digests": dict(self.digests),
            "encodings": {name: encoding.as_dict() for name, encoding in self.encodings.items()},
            "tables": {name: table.as_dict() for name, table in self.tables.items()},
            "constants": {
                name: value.astype(float).round(6).ravel().tolist() for name, value in self.constants.items()
            },
            "shapes": {name: list(value.shape) for name, value in self.constants.items()},
            "links": list(self.links),
            "notes": dict(self.notes),
            "stem": self.stem,
        }
        with replacing(folder / INDEX) as part:
            part.write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what `write` wrote.

        Raises:
            InvalidInput: the folder holds no links, or its index is damaged.
        """
        path = folder / INDEX
        if not path.is_file():
            raise InvalidInput(
                f"{folder}: holds no {INDEX}: not a folder of links (train some: `infilink train links`)"
            )
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            # Format 2 knew no virtual models.
            check_format(data.get("format"), _READS, path=path, what="an index of links")
            return cls._parse(data, str(path))
        except InvalidInput:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{path}: is damaged ({error!r}); train the links again") from error

    @classmethod
    def _parse(cls, data: Mapping[str, Any], where: str) -> Self:
        models = {name: parse_spec(spec, where=where) for name, spec in data["models"].items()}
        certified = data["format"] >= _RUNS_FROM
        flat = {name: np.asarray(value, np.float32) for name, value in data["constants"].items()}
        return cls(
            models,
            {name: ModelCost(**cost) for name, cost in data["costs"].items()},
            data["digests"],
            {name: Encoding.from_dict(encoding) for name, encoding in data["encodings"].items()},
            {name: Table.from_dict(table, certified=certified) for name, table in data["tables"].items()},
            {name: models[name].output.check(value.reshape(data["shapes"][name])) for name, value in flat.items()},
            tuple(data["links"]),
            data["notes"],
            certified,
            data.get("stem", ""),
        )


def noted_inputs(info: TraceInfo) -> dict[str, Any]:
    """What `notes` say of the inputs that links are learnt from: how they were kept, and their form."""
    form = {} if info.form is None else {"form": info.form.model_dump(mode="json")}
    return {"input": info.input, **form}


def cameras_in(folder: Path) -> tuple[str, ...]:
    """The cameras that have links of their own in a folder of links, in the order of their names."""
    return tuple(sorted(path.parent.name for path in (folder / CAMERAS).glob(f"*/{INDEX}")))


def check_writable(out: Path) -> None:
    """Whether a folder of links may be written there: it is new, empty, or holds links already.

    Raises:
        InvalidInput: something else is there.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / INDEX).is_file())):
        raise InvalidInput(f"{out}: is there already and holds no links; give another --out")


@contextmanager
def replacing_links(out: Path) -> Iterator[Path]:
    """Gives a folder to write links to; when the block ends it stands at `out`, in the place of the links there.

    Where the block raises, what stood there before stays. Whoever reads meanwhile finds one of the two whole.

    Raises:
        InvalidInput: something else than links is there.
    """
    check_writable(out)
    part, old = (out.with_name(f"{out.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if out.exists():
            out.rename(old)
        try:
            part.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
