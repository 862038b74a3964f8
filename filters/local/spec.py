"""What a file of light answers says of itself: `HeadsSpec`, JSON in the ONNX file's own metadata."""

from pathlib import Path

import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import InvalidInput
from ...files import check_format, json_format
from ...models.session import open_session
from ...outputs import OutputSpec
from ...settings import validation_text
from ..learnt_from import LearntFrom
from ..spec import Certificate, FilterStem, Level

METADATA_KEY = "infilink.heads"
FORMAT = 2
"""Format 1 had no form of inputs; it is read as it is."""
_READS = (1, 2)


class HeadSpec(BaseModel):
    """One model's head.

    Attributes:
        model: the model's name.
        digest: of its file.
        output: what it returns.
        threshold: the doubt up to which the head answers; None: it never does.
        agreement: how far its answers agree with the model, on the calibration part; 0 without any.
        constant: how far one answer for all inputs would agree there: what costs nothing.
        certificate: what the calibration part proves of the threshold, over all inputs, where an input that is asked of
            the model loses nothing.
        table: threshold by threshold, what it brings and costs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    digest: str
    output: OutputSpec
    threshold: float | None
    agreement: float = Field(ge=0, le=1)
    constant: float = Field(ge=0, le=1)
    certificate: Certificate
    table: tuple[Level, ...] = ()


class HeadsSpec(BaseModel):
    """Everything there is to know of a file of light answers beside its weights.

    Attributes:
        stem: the stem inside.
        accuracy: what was asked for: the least mean agreement with each model.
        heads: of each model.
        furthest: how unlike what was learnt an input may be, by the variance of the answers; beyond, none is given.
        learnt_from: the trace; None: not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    stem: FilterStem
    accuracy: float = Field(gt=0, lt=1)
    heads: tuple[HeadSpec, ...] = Field(min_length=1)
    furthest: float = Field(ge=0)
    learnt_from: LearntFrom | None = None
    versions: dict[str, str] = {}

    @property
    def answering(self) -> dict[str, HeadSpec]:
        """The heads that answer at all, by their models."""
        return {head.model: head for head in self.heads if head.threshold is not None}


def load_heads(path: Path) -> tuple[HeadsSpec, ort.InferenceSession]:
    """The spec of a file of light answers, and its session.

    Raises:
        InvalidInput: no such file, no light answers, or a newer version wrote it.
    """
    session = open_session(path)
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise InvalidInput(f"{path}: is an ONNX model but holds no heads (make them: `infilink train heads`)")
    check_format(json_format(text), _READS, path=path, what="a file of heads")
    try:
        return HeadsSpec.model_validate_json(text), session
    except ValidationError as error:
        raise InvalidInput(f"{path}: its spec is not readable: {validation_text(error, HeadsSpec)}") from error


def is_heads(path: Path) -> bool:
    """Whether a file holds light answers.

    Raises:
        InvalidInput: it is no ONNX model.
    """
    return METADATA_KEY in open_session(path).get_modelmeta().custom_metadata_map
