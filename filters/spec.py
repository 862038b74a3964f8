"""What a filter file says of itself: `FilterSpec`, JSON in the ONNX file's own metadata."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InvalidInput
from ..files import check_format, json_format
from ..models.session import open_session
from ..models.stem.spec import StemSpec
from ..outputs import Array, OutputSpec
from ..settings import validation_text
from .budget import Budget
from .event_promise import EventPromise
from .learnt_from import LearntFrom
from .modalities import Modality
from .rules.code import functions_in, with_files
from .rules.parser import Rule, parse_rule
from .rules.zones import Points, zones_of

Keeps = Literal["above", "flip"]
"""What is compared with the threshold: a score as it is, or what it makes of the time since the last kept input."""
_LEAST_AGE_S = 1e-3
METADATA_KEY = "infilink.filter"
TASKS_KEY = "infilink.filter.tasks"
FORMAT = 5
"""Format 2 had no stem, format 3 no cameras, format 4 no form of inputs; they are read as they are."""
READS = (1, 2, 3, 4, 5)


class Certificate(BaseModel):
    """What the calibration part proves of the threshold.

    Attributes:
        certified: whether it is proven that the accuracy is kept that was asked for, and whether that saves something.
        confidence: of the bound, one-sided; it holds for all candidates that competed at once.
        inputs: how many inputs the calibration part has.
        runs: how many independent runs they are worth, as what is lost comes together.
        lost: how many of those were lost.
        error: the mean loss.
        upper_bound: of the mean loss.
        method: how it was found, or why there is none.
        rate: the share of the inputs that was not kept there.
        rate_interval: of that share, at 95 %, over as many runs as keeping comes in.
        more_runs: how many more runs would probably be enough for a certificate; 0 if it is one, or if none would do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    certified: bool
    confidence: float
    inputs: int
    runs: float
    lost: float
    error: float
    upper_bound: float
    method: str
    rate: float
    rate_interval: tuple[float, float] = (0.0, 1.0)
    more_runs: int = 0

    @property
    def proof(self) -> str:
        """What is proven of the error, in words."""
        return (
            f"error {self.error:.3f} on {self.inputs} inputs (worth {self.runs:.0f} independent runs), at most "
            f"{self.upper_bound:.3f} with {self.confidence:.0%} confidence"
        )


class Level(BaseModel):
    """One row of the table: what a threshold costs and brings, on the calibration part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    rate: float
    error: float
    upper_bound: float


class CandidateResult(BaseModel):
    """The best that one candidate reached on the calibration part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float
    error: float
    threshold: float
    certified: bool


class FloorResult(BaseModel):
    """What is kept of a class or in a slice, on the calibration part.

    Attributes:
        name: of which.
        least: what was asked for.
        inputs: how many inputs there are of it.
        runs: how many independent runs they are worth.
        accuracy: what was kept there.
        lower_bound: of that, with the certificate's confidence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    least: float
    inputs: int
    runs: float = 0.0
    accuracy: float
    lower_bound: float


class CameraThreshold(BaseModel):
    """What holds at one of the cameras that a filter was learnt from.

    Attributes:
        threshold: an input is kept if its score is above.
        certificate: what the camera's own calibration part proves of it.
        table: threshold by threshold, what it brings and costs there.
        learnt_from: its trace.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    certificate: Certificate
    table: tuple[Level, ...] = ()
    learnt_from: LearntFrom


class FilterStem(BaseModel):
    """The stem inside a filter's file.

    Attributes:
        spec: what it says of itself: the model that its layers come from, that model's digest and licence.
        digest: of the stem's own file: features with this digest are what the filter sees and gives.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: StemSpec
    digest: str


def from_first_format(data: Any) -> Any:
    """The fields of a spec of format 1 as those of today: nothing in it counts as proven.

    It took the inputs for independent but for an estimated time constant, and that promised too much.
    """
    certificate = data.get("certificate") if isinstance(data, dict) else None
    if not isinstance(certificate, dict) or "effective_inputs" not in certificate:
        return data
    known = {name: value for name, value in certificate.items() if name in Certificate.model_fields}
    why = "none: format 1 took inputs for independent, and what it proved does not hold; train it anew"
    found = {
        **data,
        "format": FORMAT,
        "certificate": known | {"certified": False, "upper_bound": 1.0, "runs": 0.0, "lost": 0.0, "method": why},
    }
    for name, unproven in (("table", {"upper_bound": 1.0}), ("floors", {"lower_bound": 0.0})):
        if name in data:
            found[name] = [each | unproven for each in data[name]]
    if "candidates" in data:
        found["candidates"] = {name: each | {"certified": False} for name, each in data["candidates"].items()}
    return found


class FilterSpec(BaseModel):
    """Everything there is to know of a filter beside its weights.

    Attributes:
        kind: which candidate won (`training/contest.py` has their names).
        rule: the redundancy rule as it was written.
        zones: the corners of the zones that it names, by name.
        rule_files: the digests of the Python files that it names: they run only where a person names them.
        models: name to digest of the models that it was learned from: it serves those alone.
        outputs: what these models returned, by name.
        reference: what the third channel compares with: "previous" frame or "last kept" frame.
        threshold: an input is kept if its score is above.
        accuracy: what was asked for: the least mean agreement with the models' own outputs; 0: events were asked for.
        keeps: by what an input is kept: "flip": by the logarithm of the seconds since the last kept one, plus and minus
            `state_weights` times its own score and the last kept one's.
        state_weights: of these two scores.
        events: what is promised of events; None: nothing.
        budget: what it may send, so that its threshold moves; None: that stays where it is.
        step_s: the least time to the previous frame, in seconds of capture.
        longest_s: an input is kept at the latest after so many seconds without one; None: there is no latest.
        answers: SKIP with a label rule: the class that answers a skipped input, per model; else the empty output.
        modality: how an input becomes what the network is fed; None: it is a frame of a stream.
        stem: whose features it reads; None: it has no stem.
        compared: with a stem: of each model's answers as numbers, which it compares with the last kept one's; none: it
            looks at each input by itself, or compares features.
        table: threshold by threshold, what it brings and costs.
        candidates: how each candidate did on the calibration part.
        floors: what is kept besides: of a class, or in a slice.
        learnt_from: the trace; None: not known, or there were several (`cameras`).
        cameras: what holds at each of several cameras that it was learnt from, by name; the rest of the file is for one
            that nobody has seen.
        free: the free gates' thresholds on what is learnt from, at the filter's own rate there, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    kind: str
    rule: str
    zones: dict[str, Points] = {}
    rule_files: dict[str, str] = {}
    models: dict[str, str]
    outputs: dict[str, OutputSpec] = {}
    reference: str
    threshold: float
    accuracy: float
    keeps: Keeps = "above"
    state_weights: tuple[float, float] = (0.0, 0.0)
    events: EventPromise | None = None
    budget: Budget | None = None
    step_s: float = Field(ge=0)
    longest_s: float | None = Field(default=None, gt=0)
    answers: dict[str, str] = {}
    modality: Modality | None = None
    stem: FilterStem | None = None
    compared: dict[str, tuple[int, ...]] = {}
    certificate: Certificate
    table: tuple[Level, ...] = ()
    candidates: dict[str, CandidateResult] = {}
    floors: tuple[FloorResult, ...] = ()
    learnt_from: LearntFrom | None = None
    cameras: dict[str, CameraThreshold] = {}
    free: dict[str, float] = {}
    versions: dict[str, str] = {}
    seed: int = 0

    _first = model_validator(mode="before")(from_first_format)

    @model_validator(mode="after")
    def _check_rule(self) -> Self:
        self.rule_with(())
        return self

    def of_camera(self, name: str) -> "FilterSpec":
        """The filter as it is for a camera: with its own threshold and certificate, if it was learnt from that one."""
        found = self.cameras.get(name)
        if found is None:
            return self
        own = {field: getattr(found, field) for field in CameraThreshold.model_fields}
        return self.model_copy(update=own | {"cameras": {}, "floors": ()})

    @property
    def pairwise(self) -> bool:
        """Whether an input is compared with the last kept one."""
        return self.reference == "last kept"

    @property
    def asked(self) -> tuple[str, float]:
        """What was asked for, in words, and the least share of it."""
        return ("accuracy", self.accuracy) if self.events is None else ("event recall", self.events.recall)

    @property
    def held(self) -> bool:
        """Whether the answer for the last kept input stands in for one that is not kept; else the rule's own does."""
        return self.pairwise or self.keeps == "flip"

    @property
    def parsed_rule(self) -> Rule:
        """The rule as a typed object; Python code that it names can't run."""
        return self.rule_with(())

    def rule_with(self, files: Sequence[Path]) -> Rule:
        """The rule as a typed object; of Python code that it names, that in these files may run.

        Raises:
            InvalidInput: files were named, and the rule is no code.
        """
        return with_files(parse_rule(self.rule, zones=zones_of(self.zones)), files, self.rule_files)

    def flipped(self, age_s: Array | float, now: Array | float, kept: Array | float) -> Array:
        """What "flip" compares with the threshold: the sooner the more an input's learned state is above the last's.

        Args:
            age_s: since the last kept input.
            now: the score of the input.
            kept: that of the last kept one.
        """
        return flipped(age_s, now, kept, self.state_weights)

    def level(self, accuracy: float) -> Level:
        """The threshold that brings the most of those proven to keep an accuracy, trained for it or not.

        The table's thresholds are tested from the most careful on, up to the first one that fails.

        Raises:
            InvalidInput: none is proven to; the message says which accuracies are.
        """
        proven = list(takewhile(lambda level: level.upper_bound <= 1.0 - accuracy, self.table))
        if not any(level.rate > 0 for level in proven):
            best = max((1.0 - level.upper_bound for level in self.table if level.rate > 0), default=0.0)
            raise InvalidInput(
                f"no threshold of this filter is proven to keep an accuracy of {accuracy:g}; the most that one is "
                f"proven to keep is {best:.3f}: ask for that, or train on more inputs"
            )
        return max(proven, key=lambda level: level.rate)

    def answer(self, model: str, output: OutputSpec) -> Array:
        """SKIP: the answer for `model` on a skipped input."""
        value = output.empty()
        if model in self.answers:
            value[:] = 0
            value[output.classes.index(self.answers[model])] = 1
        return value


def flipped(age_s: Array | float, now: Array | float, kept: Array | float, weights: tuple[float, float]) -> Array:
    """`FilterSpec.flipped` for any weights."""
    return np.asarray(np.log(np.maximum(age_s, _LEAST_AGE_S)) + weights[0] * now - weights[1] * kept)


class TasksSpec(BaseModel):
    """What a file says of itself that decides for several models at once: one encoder, a head for each.

    Attributes:
        tasks: one filter per model, in the order of the scores.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    tasks: tuple[FilterSpec, ...] = Field(min_length=1)

    @property
    def models(self) -> tuple[str, ...]:
        """The model of each task."""
        return tuple(next(iter(task.models)) for task in self.tasks)

    def rules_with(self, files: Sequence[Path]) -> dict[str, Rule]:
        """Per model its rule; of Python code that they name, that in these files may run.

        Raises:
            InvalidInput: files were named, and no rule is code.
        """
        code = [bool(functions_in(task.parsed_rule)) for task in self.tasks]
        if files and not any(code):
            raise InvalidInput(f"rule file {files[0]}: none of the rules is Python code: leave the file out")
        found = [task.rule_with(files if is_code else ()) for task, is_code in zip(self.tasks, code, strict=True)]
        return dict(zip(self.models, found, strict=True))


def load_filter(path: Path, *, task: str = "") -> tuple[FilterSpec, ort.InferenceSession]:
    """A filter's spec and its session; of a file with several tasks, that of the model `task`.

    Raises:
        InvalidInput: no such file, no filter, one that a newer version wrote, or no such task.
    """
    found, session = load_tasks(path)
    if not task and len(found.tasks) == 1:
        return found.tasks[0], session
    if task not in found.models:
        raise InvalidInput(f"{path}: say which task: {', '.join(f'{path.name}#{model}' for model in found.models)}")
    return found.tasks[found.models.index(task)], session


def load_tasks(path: Path) -> tuple[TasksSpec, ort.InferenceSession]:
    """Everything a filter's file decides, and its session; a plain filter is one task.

    Raises:
        InvalidInput: no such file, no filter, or one that a newer version wrote.
    """
    session = open_session(path)
    known = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in known and TASKS_KEY not in known:
        raise InvalidInput(f"{path}: is an ONNX model but no filter (make one: `infilink train filter`)")
    check_format(json_format(known.get(TASKS_KEY, known.get(METADATA_KEY, ""))), READS, path=path, what="a filter")
    try:
        if TASKS_KEY in known:
            found = TasksSpec.model_validate_json(known[TASKS_KEY])
        else:
            spec = FilterSpec.model_validate_json(known[METADATA_KEY])
            found = TasksSpec(format=spec.format, tasks=(spec,))
    except ValidationError as error:
        raise InvalidInput(f"{path}: its filter spec is not readable: {validation_text(error, FilterSpec)}") from error
    return found, session
