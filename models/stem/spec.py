"""What a stem's file says of itself: `StemSpec`, JSON in the ONNX file's own metadata."""

from pydantic import BaseModel, ConfigDict, Field

METADATA_KEY = "infilink.stem"
FORMAT = 1


class StemSpec(BaseModel):
    """Everything there is to know of a stem beside its weights.

    Attributes:
        model: the name of the model that its layers come from.
        digest: of that model's file.
        licence: of that model, as far as anybody wrote it.
        source: where that model comes from, as far as anybody wrote it.
        size: of the picture that it takes, width and height.
        maps: the tensors inside the model whose values it gives, by name, from the first to the deepest.
        pooled: how each map becomes numbers: "max" and "mean" over all places, or over the cells of a coarse "grid".
        grid: rows and columns of that grid.
        length: how many features it gives.
        places: channels, rows and columns of the deepest map, which it gives as it is.
        multiplications: what one picture takes, in multiplications with their additions; milliseconds would make two
            files of the same stem differ.
        versions: of the packages that made it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    model: str
    digest: str
    licence: str = ""
    source: str = ""
    size: tuple[int, int]
    maps: tuple[str, ...] = Field(min_length=1)
    pooled: tuple[str, ...] = ("max", "mean")
    grid: tuple[int, int] = (1, 1)
    length: int = Field(ge=1)
    places: tuple[int, int, int]
    multiplications: int = Field(default=0, ge=0)
    versions: dict[str, str] = {}
