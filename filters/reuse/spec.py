"""What a reuse file says of itself: `ReuseSpec`, JSON in the ONNX file's own metadata."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import InvalidInput
from ...files import check_format, json_format
from ...models.session import open_session
from ...outputs import Array, OutputSpec
from ...settings import validation_text
from ..learnt_from import LearntFrom
from ..modalities import Modality
from ..rules.code import with_files
from ..rules.parser import Unchanged, parse_rule
from ..rules.predicates import Predicate
from ..rules.zones import Points, zones_of
from ..spec import FORMAT, READS, Certificate, FilterStem, Level, from_first_format
from .cache import ResultCache
from .store import CacheSettings

METADATA_KEY = "infilink.reuse"


class Competitor(BaseModel):
    """Another way to answer, without a learned embedding, on the calibration part.

    Attributes:
        rate: the greatest share of inputs that it answers while keeping the accuracy that was asked for.
        accuracy: what it keeps at that rate.
        note: what it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float
    accuracy: float
    note: str


class ReuseSpec(BaseModel):
    """Everything there is to know of a reuse file beside its weights.

    Attributes:
        model: whose results it reuses.
        digest: that model's; results of another version are not covered.
        output: what the model returns.
        modality: how an input becomes what the network is fed.
        dims: an embedding's length.
        accuracy: what was asked for: the least mean agreement with the model's own outputs.
        gate: the greatest L1 distance to the nearest neighbour at which a result is given.
        theta: the least homogeneity of the neighbours, from 0 to 1.
        cache: the cache's settings.
        rule: a SKIP rule, or "" if the file gives no score.
        zones: the corners of the zones that it names, by name.
        rule_files: the digests of the Python files that it names: they run only where a person names them.
        skip_threshold: an input is skipped if its score is not above; None: none is.
        skip_answer: a label rule: the class that answers a skipped input; "": the empty output does.
        certificate: what the calibration part proves of the whole, skipped and reused inputs together.
        answered_agreement: the mean agreement of the answers that were given there, skipped and reused, from 0 to 1.
        table: gate by gate at this `theta`, what it brings and costs.
        competitors: ways without training, and "oracle": what knowing the results beforehand would bring at most.
        stem: whose features the key is read off; None: an encoder of its own makes it.
        learnt_from: the trace; None: not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    model: str
    digest: str
    output: OutputSpec
    modality: Modality
    dims: int = Field(ge=1)
    accuracy: float = Field(gt=0, lt=1)
    gate: float = Field(ge=0, allow_inf_nan=False)
    theta: float = Field(ge=0, le=1)
    cache: CacheSettings
    rule: str = ""
    zones: dict[str, Points] = {}
    rule_files: dict[str, str] = {}
    skip_threshold: float | None = None
    skip_answer: str = ""
    certificate: Certificate
    answered_agreement: float
    table: tuple[Level, ...] = ()
    competitors: dict[str, Competitor] = {}
    stem: FilterStem | None = None
    learnt_from: LearntFrom | None = None
    versions: dict[str, str] = {}
    seed: int = 0

    _first = model_validator(mode="before")(from_first_format)

    @model_validator(mode="after")
    def _check_rule(self) -> Self:
        self.rule_with(())
        return self

    @property
    def parsed_rule(self) -> Predicate | None:
        """The SKIP rule as a typed object, whose Python code can't run; None without one."""
        return self.rule_with(())

    def rule_with(self, files: Sequence[Path]) -> Predicate | None:
        """The SKIP rule; of Python code that it names, that in these files may run.

        Raises:
            InvalidInput: files were named, and the rule is no code; or the rule compares with earlier inputs.
        """
        if not self.rule and files:
            raise InvalidInput(f"rule file {files[0]}: this file has no rule: leave it out")
        if not self.rule:
            return None
        rule = with_files(parse_rule(self.rule, zones=zones_of(self.zones)), files, self.rule_files)
        if isinstance(rule, Unchanged):
            raise InvalidInput(f"a reuse file skips by a rule on one output, not by {self.rule!r}: train it again")
        return rule

    def open_cache(self) -> ResultCache:
        """An empty cache as it was calibrated."""
        return ResultCache(
            self.output,
            dims=self.dims,
            version=self.digest,
            gate=self.gate,
            theta=self.theta,
            settings=self.cache,
        )

    def skipped(self) -> Array:
        """The answer for a skipped input."""
        value = self.output.empty()
        if self.skip_answer:
            value[:] = 0
            value[self.output.classes.index(self.skip_answer)] = 1
        return value


def load_reuse(path: Path) -> tuple[ReuseSpec, ort.InferenceSession]:
    """A reuse file's spec and its session.

    Raises:
        InvalidInput: no such file, no reuse file, or one that a newer version wrote.
    """
    session = open_session(path)
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise InvalidInput(f"{path}: is an ONNX model but no reuse file (make one: `train_reuse`)")
    check_format(json_format(text), READS, path=path, what="a reuse file")
    try:
        spec = ReuseSpec.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput(f"{path}: its reuse spec is not readable: {validation_text(error, ReuseSpec)}") from error
    return spec, session
