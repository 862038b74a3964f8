"""What a packet gate's file says of itself: `PacketSpec`, JSON in the ONNX file's own metadata."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import InvalidInput
from ...files import check_format, json_format
from ...models.session import open_session
from ...outputs import OutputSpec
from ...settings import validation_text
from ..learnt_from import LearntFrom
from ..rules.parser import Rule, parse_rule
from ..rules.zones import Points, zones_of
from ..spec import CandidateResult, Certificate, Level
from .features import NAMES
from .policy import PacketCosts, PacketPolicy

METADATA_KEY = "infilink.packets"
FORMAT = 1


class PacketSpec(BaseModel):
    """Everything there is to know of a packet gate.

    Attributes:
        kind: which candidate won: "sizes", "sizes at keys", or "every K-th key", which looks at the time alone.
        rule: by which a held answer is right, as it was written.
        zones: the corners of the zones that it names, by name.
        models: name to digest of the models that it was learnt from.
        outputs: what these return.
        weights: of a packet's features, by name.
        costs: of decoding, by the type of a packet.
        keys_only: whether only key pictures are chosen.
        threshold: a packet is decoded if its doubt for its cost is above.
        accuracy: what was asked for: one minus the mean loss of holding, at least.
        decoded: the share of the inputs that is decoded, on the calibration part.
        agreement: how far held answers were right there, where they were held.
        certificate: what the calibration part proves; its rate is the share of the time of decoding that is saved.
        table: threshold by threshold, what it saves and costs.
        candidates: how each did on the calibration part.
        codec: FFmpeg's name of the codec of the clip that it was learnt from.
        learnt_from: the trace.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    kind: str
    rule: str
    zones: dict[str, Points] = {}
    models: dict[str, str]
    outputs: dict[str, OutputSpec]
    weights: dict[str, float]
    costs: dict[str, float]
    keys_only: bool
    threshold: float = Field(ge=0)
    accuracy: float = Field(gt=0, lt=1)
    decoded: float = Field(ge=0, le=1)
    agreement: float = Field(ge=0, le=1)
    certificate: Certificate
    table: tuple[Level, ...] = ()
    candidates: dict[str, CandidateResult] = {}
    codec: str = ""
    learnt_from: LearntFrom | None = None
    versions: dict[str, str] = {}
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> "PacketSpec":
        if tuple(self.weights) != NAMES:
            raise ValueError(f"weights: of {', '.join(self.weights)}; this version knows {', '.join(NAMES)}")
        if set(self.costs) != {"key", "reference", "free", "mean_s"} or min(self.costs.values()) <= 0:
            raise ValueError("costs: must be those of key, reference, free and mean_s, each above 0")
        _ = self.parsed_rule
        return self

    @property
    def parsed_rule(self) -> Rule:
        """The rule as a typed object; Python code that it names can't run."""
        return parse_rule(self.rule, zones=zones_of(self.zones))

    @property
    def policy(self) -> PacketPolicy:
        """What decides about packets."""
        weights = tuple(self.weights[name] for name in NAMES)
        return PacketPolicy(weights, PacketCosts(**self.costs), self.keys_only, self.threshold)


def load_packets(path: Path) -> PacketSpec:
    """The spec of a packet gate's file; a device needs nothing else of it.

    Raises:
        InvalidInput: no such file, no packet gate, or a newer version wrote it.
    """
    text = open_session(path).get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise InvalidInput(f"{path}: is an ONNX model but no packet gate (make one: `infilink train packets`)")
    check_format(json_format(text), (FORMAT,), path=path, what="a packet gate")
    try:
        return PacketSpec.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput(f"{path}: its spec is not readable: {validation_text(error, PacketSpec)}") from error
