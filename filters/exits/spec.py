"""What an exit's file says of itself: `ExitSpec`, JSON in the ONNX file's own metadata."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import InvalidInput
from ...files import check_format, json_format
from ...models.onnx_model import OnnxModel
from ...models.session import open_session
from ...settings import validation_text
from ..learnt_from import LearntFrom
from ..spec import Certificate, Level
from .doubt import Doubt
from .mapping import ClassMap

METADATA_KEY = "infilink.exit"
DOUBT_KEY = "infilink.exit.doubt"
FORMAT = 1


class ExitSpec(BaseModel):
    """Everything there is to know of an exit beside its graph, which is the small model's.

    Attributes:
        model: the name of the big model, which it stands in for.
        digest: of that model's file.
        small: the name of the small model inside.
        small_digest: of the file that it was taken from.
        classes: from the small model's classes to the big one's.
        accuracy: what was asked for: the least mean agreement.
        threshold: the doubt up to which it answers.
        furthest: how unlike what was learnt an input may be; beyond, it does not answer.
        agreement: how far its answers agree with the big model's, on the calibration part.
        always: how far they would if it answered every input.
        certificate: what the calibration part proves of the threshold, over all inputs, where one that goes up loses
            nothing.
        table: threshold by threshold, what it brings and costs.
        learnt_from: the trace.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    model: str
    digest: str
    small: str
    small_digest: str
    classes: ClassMap
    accuracy: float = Field(gt=0, lt=1)
    threshold: float = Field(ge=0, le=1)
    furthest: float = Field(ge=0)
    agreement: float = Field(ge=0, le=1)
    always: float = Field(ge=0, le=1)
    certificate: Certificate
    table: tuple[Level, ...] = ()
    learnt_from: LearntFrom
    versions: dict[str, str] = {}


def load_exit(path: Path) -> tuple[ExitSpec, OnnxModel, Doubt]:
    """The spec of an exit, its small model, and its doubt.

    Raises:
        InvalidInput: no such file, no exit, a damaged one, or a newer version wrote it.
    """
    if path.with_suffix(".toml").is_file():
        raise InvalidInput(f"{path.with_suffix('.toml')}: an exit's spec is in its own file: move this one away")
    metadata = open_session(path).get_modelmeta().custom_metadata_map
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise InvalidInput(f"{path}: is an ONNX model but no exit (make one: `infilink train exit`)")
    check_format(json_format(text), (FORMAT,), path=path, what="an exit")
    try:
        spec = ExitSpec.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput(f"{path}: its spec is not readable: {validation_text(error, ExitSpec)}") from error
    return spec, OnnxModel(path), Doubt.unpack(metadata.get(DOUBT_KEY, ""), path=path)


def is_exit(path: Path) -> bool:
    """Whether a file is an exit.

    Raises:
        InvalidInput: it is no ONNX model.
    """
    return METADATA_KEY in open_session(path).get_modelmeta().custom_metadata_map
