"""Outputs that another system logged as a trace: links learn from it as from a recording."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..codec import encode_jpeg, pack
from ..errors import InvalidInput, UnknownModel
from ..files import replacing
from ..models.cost import ModelCost
from ..models.spec import ModelSpec, digest, parse_spec
from ..outputs import Array
from ..settings import checked, read_toml
from ..units import parse_budget
from .log_cell import is_missing, read_cell
from .log_table import Logged
from .log_time import not_rising
from .trace import TraceInfo, TraceWriter

logger = logging.getLogger(__name__)

ASSUMED_COST = ModelCost(memory_bytes=100 << 20, infer_s=0.05, load_s=1.0)
"""What a model is taken to cost if nobody says: a plan then counts models."""

_NAMED_ROWS = 5


class CostSpec(BaseModel):
    """The section `[cost]` of the spec of a model that runs elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory: str = Field(description="what it holds while it is loaded: 900MiB, 3.7GiB")
    infer_s: float = Field(default=ASSUMED_COST.infer_s, gt=0, description="seconds for one input")
    load_s: float = Field(default=ASSUMED_COST.load_s, ge=0, description="seconds to load")


@dataclass(frozen=True)
class LoggedModels:
    """Models that run elsewhere, in the order of their names.

    Attributes:
        models: each one's spec.
        costs: what each costs.
        digests: what stands for each one's file: of the `.onnx` beside the spec, or else of the spec itself, so that
            outputs of another `version` are told apart.
        assumed: those whose cost nobody gave.
    """

    models: dict[str, ModelSpec]
    costs: dict[str, ModelCost]
    digests: dict[str, str]
    assumed: tuple[str, ...] = field(default=())

    @classmethod
    def of(
        cls, specs: Mapping[str, ModelSpec | Mapping[str, Any]], costs: Mapping[str, ModelCost] | None = None
    ) -> Self:
        """From specs in Python.

        Args:
            specs: each model's spec, or its keys as in docs/MODELS.md (`{"output": {"kind": "count"}}`).
            costs: what they cost; `ASSUMED_COST` where it is not given.

        Raises:
            InvalidInput: there is none, a spec is wrong, or its name is another than that it is given under.
            UnknownModel: a cost is of no model.
        """
        if not specs:
            raise InvalidInput("there is no model: give at least one spec")
        models: dict[str, ModelSpec] = {}
        for name, spec in sorted(specs.items()):
            given_as = f"the spec given as {name!r}"
            made = spec if isinstance(spec, ModelSpec) else parse_spec({"name": name, **spec}, where=given_as)
            if made.name != name:
                raise InvalidInput(f"{given_as} is called {made.name!r}; give it under its name")
            models[name] = made
        given = dict(costs or {})
        for name in given:
            if name not in models:
                raise UnknownModel(name, tuple(models))
        digests = {name: _digest_of(spec) for name, spec in models.items()}
        assumed = tuple(name for name in models if name not in given)
        return cls(models, {name: given.get(name, ASSUMED_COST) for name in models}, digests, assumed)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From a folder with a TOML for each model (docs/MODELS.md), and in it, if known, a section `[cost]`.

        Raises:
            InvalidInput: no such folder, no spec in it, two of one name, or a wrong one.
        """
        if not folder.is_dir():
            raise InvalidInput(f"{folder}: there is no such folder of specs")
        specs: dict[str, ModelSpec] = {}
        costs, files = {}, {}
        for path in sorted(folder.glob("*.toml")):
            data = read_toml(path)
            cost = data.pop("cost", None)
            spec = parse_spec({"name": path.stem, **data}, where=str(path))
            if spec.name in specs:
                raise InvalidInput(f"{path}: another spec is called {spec.name!r} too; give one another `name`")
            specs[spec.name] = spec
            files[spec.name] = path.with_suffix(".onnx")
            if cost is not None:
                costs[spec.name] = _cost(cost, f"{path}: cost")
        if not specs:
            raise InvalidInput(f"{folder}: holds no spec; write NAME.toml for each model (docs/MODELS.md)")
        made = cls.of(specs, costs)
        return replace(
            made,
            digests={name: digest(files[name]) if files[name].is_file() else old for name, old in made.digests.items()},
        )

    def info(self, source: str, *, fps: float, input: Literal["image", "array", "none"]) -> TraceInfo:
        """What a trace of these models says of itself."""
        notes = {"costs assumed": ", ".join(self.assumed)} if self.assumed else {}
        return TraceInfo(source, fps, self.models, self.digests, self.costs, input=input, notes=notes)


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        path: the trace.
        inputs: how many inputs it holds.
        dropped: how many rows were left out, as a model had no output there.
        constant: the models whose output never changes: nothing can be learnt of them.
        assumed: the models whose cost nobody gave.
    """

    path: Path
    inputs: int
    dropped: int
    constant: tuple[str, ...]
    assumed: tuple[str, ...]


def import_outputs(
    logged: Logged, models: LoggedModels, out: Path | str, *, missing: Literal["refuse", "drop"] = "refuse"
) -> Imported:
    """Checks logged outputs and writes them as a trace.

    Args:
        logged: the outputs, as `read_logged` reads them or made in Python.
        models: the models.
        out: the trace to write.
        missing: what to do where a model has no output: refuse it all, or leave the row out.

    Raises:
        InvalidInput: `out` is there already, a model's outputs are missing or do not fit its spec, lengths differ, or
            times do not rise; names the model and the rows.
    """
    out = Path(out)
    if out.exists():
        raise InvalidInput(f"{out}: is there already; give another --out, or delete it")
    _check_aligned(logged, models)
    whole = _whole_rows(logged, models, missing)
    values = {name: _checked(logged, name, spec, whole) for name, spec in models.models.items()}
    steps = _steps_s(logged, whole)
    constant = tuple(name for name, each in values.items() if len(each) > 1 and _never_changes(each))
    for name in constant:
        logger.warning(
            "%s: model %r gives the same output on all %d inputs: nothing can be learnt of it, nor from it",
            logged.source,
            name,
            len(whole),
        )
    fps = 1.0 / float(np.median(steps)) if len(steps) else 1.0
    _write(out, models, logged, whole, values, fps)
    return Imported(out, len(whole), len(logged) - len(whole), constant, models.assumed)


def input_kind(value: Array) -> Literal["image", "array"]:
    """How an input is stored: uint8 (height, width, 3) is a frame, anything else an array."""
    return "image" if value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] == 3 else "array"


def _write(
    out: Path,
    models: LoggedModels,
    logged: Logged,
    whole: Sequence[int],
    values: Mapping[str, Sequence[Array]],
    fps: float,
) -> None:
    kind = "none" if logged.inputs is None else input_kind(logged.inputs[whole[0]])
    info = models.info(logged.source, fps=fps, input=kind)
    with replacing(out) as part, TraceWriter(part, info) as writer:
        for position, row in enumerate(whole):
            payload = b""
            if logged.inputs is not None:
                payload = encode_jpeg(logged.inputs[row]) if kind == "image" else pack(logged.inputs[row])
            outputs = {name: each[position] for name, each in values.items()}
            writer.append(row, float(logged.captured_s[row]), payload, outputs)


def _check_aligned(logged: Logged, models: LoggedModels) -> None:
    for name in models.models:
        if name not in logged.outputs:
            raise InvalidInput(f"{logged.source}: holds no outputs of model {name!r}; log them, or leave out its spec")
    lengths = {name: len(logged.outputs[name]) for name in models.models}
    if logged.inputs is not None:
        lengths["inputs"] = len(logged.inputs)
    for name, length in lengths.items():
        if length != len(logged):
            raise InvalidInput(
                f"{logged.source}: {name} has {length} rows and captured_s has {len(logged)}: they are not of the same "
                "inputs; give one output (or None) for each time"
            )
    if not len(logged):
        raise InvalidInput(f"{logged.source}: holds no row")


def _whole_rows(logged: Logged, models: LoggedModels, missing: str) -> list[int]:
    """The rows in which every model has an output."""
    empty = {
        name: [row for row, value in enumerate(logged.outputs[name]) if is_missing(value, spec.output)]
        for name, spec in models.models.items()
    }
    lacking = {name: rows for name, rows in empty.items() if rows}
    gone = set().union(*lacking.values())
    whole = [row for row in range(len(logged)) if row not in gone]
    if lacking and (missing != "drop" or not whole):
        told = "; ".join(
            f"model {name!r} has no output in {len(rows)} of {len(logged)} rows ({_named(logged, rows)})"
            for name, rows in lacking.items()
        )
        advice = (
            f"leave such rows out with --missing drop ({len(whole)} rows are whole)"
            if whole
            else "no row has an output of every model: outputs on the same input must carry the very same time"
        )
        raise InvalidInput(f"{logged.source}: {told}; {advice}")
    return whole


def _named(logged: Logged, rows: Sequence[int]) -> str:
    return ", ".join(logged.name(row) for row in rows[:_NAMED_ROWS]) + (", ..." if len(rows) > _NAMED_ROWS else "")


def _steps_s(logged: Logged, whole: Sequence[int]) -> Array:
    """The times between rows, all above 0."""
    times = np.asarray(logged.captured_s, np.float64)[whole]
    steps = np.diff(times)
    for i in np.flatnonzero(~np.isfinite(times)).tolist():
        raise InvalidInput(f"{logged.source}: {logged.name(whole[i])}: time {times[i]} is not finite")
    usual_s = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    for i in np.flatnonzero(steps <= 0).tolist():
        names = logged.name(whole[i]), logged.name(whole[i + 1])
        raise InvalidInput(f"{logged.source}: {not_rising(times[i], times[i + 1], names, usual_s)}")
    return steps


def _checked(logged: Logged, name: str, spec: ModelSpec, whole: Sequence[int]) -> list[Array]:
    values = []
    for row in whole:
        value = logged.outputs[name][row]
        try:
            value = value if isinstance(value, np.ndarray) else read_cell(spec.output, value)
            assert value is not None, "what is empty is None here already"
            values.append(spec.output.check(value))
        except InvalidInput as error:
            raise InvalidInput(f"{logged.source}: {logged.name(row)}: {name}: {error}") from error
    return values


def _never_changes(values: Sequence[Array]) -> bool:
    return all(np.array_equal(value, values[0]) for value in values)


def _digest_of(spec: ModelSpec) -> str:
    return hashlib.sha256(spec.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:16]


def _cost(data: Mapping[str, Any], where: str) -> ModelCost:
    spec = checked(CostSpec, data, where=where)
    try:
        memory_bytes = parse_budget(spec.memory, {})
    except InvalidInput as error:
        raise InvalidInput(f"{where}: memory {spec.memory!r}: write a size (900MiB, 3.7GiB)") from error
    if memory_bytes < 1:
        raise InvalidInput(f"{where}: memory {spec.memory!r} must be a size above 0 (900MiB, 3.7GiB)")
    return ModelCost(memory_bytes, spec.infer_s, spec.load_s)
