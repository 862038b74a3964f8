"""A model's spec: how an input becomes its tensors, and what its outputs mean.

The spec is a TOML file beside the model (`yolox_nano.toml` for `yolox_nano.onnx`) or JSON inside it, in the ONNX
file's own `metadata_props` under the key `infilink`. The one beside wins. docs/MODELS.md says how to write one.
"""

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import onnxruntime as ort
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..errors import InvalidInput, UnknownModel
from ..files import replacing
from ..outputs import OutputSpec
from ..protos.fields import BYTES, fields
from ..settings import checked, read_toml
from .decoding import DecoderSpec
from .external_data import external_files
from .inputs import ModelInput
from .inputs.form import InputForm
from .inputs.picture import PictureInput
from .session import open_session
from .tensors import read_signature

METADATA_KEY = "infilink"
_METADATA = 14
"""The field of a `ModelProto` that holds it."""
UNKNOWN = "?"
"""What stands in a guessed spec where a person must say: no spec with it is valid."""
_UNTOLD = {"kind": "vector", "length": 1}

COCO_CLASSES = tuple(
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush".split(",")
)


_NEVER_LABELLED = {
    12: "street sign",
    26: "hat",
    29: "shoe",
    30: "eye glasses",
    45: "plate",
    66: "mirror",
    68: "window",
    69: "desk",
    71: "door",
    83: "blender",
}


def _by_id() -> tuple[str, ...]:
    """COCO's classes by the ids of its files, 1 to 90, among them ten that were never labelled; 0 is the background."""
    labelled = iter(COCO_CLASSES)
    return ("background", *(_NEVER_LABELLED.get(i) or next(labelled) for i in range(1, 91)))


CLASS_LISTS = {"coco": COCO_CLASSES, "coco91": _by_id()}
"""The lists of classes that have a short name."""


def _named_classes(value: Any) -> Any:
    """Spells out the short forms of `classes`: the name of a list, and a number n ("0" to "n-1")."""
    if not isinstance(value, Mapping) or not isinstance(value.get("classes"), str | int):
        return value
    short = value["classes"]
    if isinstance(short, int):
        return {**value, "classes": tuple(str(i) for i in range(short))}
    if short not in CLASS_LISTS:
        known = ", ".join(f'"{name}"' for name in CLASS_LISTS)
        raise ValueError(f"`classes` must be the names in order, their number, or {known}; not {short!r}")
    return {**value, "classes": CLASS_LISTS[short]}


class ModelSpec(BaseModel):
    """Everything about a model that is not in its graph."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="what it is called on the wire and in tables"
    )
    version: str = "1"
    description: str = ""
    serve: Literal["site", "tensors"] = Field(
        default="site",
        description="site: devices and links speak of its outputs; tensors: only who calls it by the Open Inference "
        "Protocol knows what its tensors mean, and `input` and `output` say nothing",
    )
    input: ModelInput | None = Field(
        default=None,
        description="how an input of its `modality` becomes its tensors; a model that is run elsewhere has none",
    )
    output: Annotated[OutputSpec, BeforeValidator(_named_classes)]
    decoder: DecoderSpec = DecoderSpec()
    virtual: bool = Field(
        default=False, description="there is no file that runs: its outputs were people's labels, links answer for it"
    )

    @property
    def modality(self) -> str:
        """Of the inputs that it looks at; "": it is not said, as it is run elsewhere."""
        return "" if self.input is None else self.input.modality

    @property
    def fed(self) -> ModelInput:
        """How an input becomes its tensors.

        Raises:
            InvalidInput: the spec does not say.
        """
        if self.virtual:
            raise InvalidInput(f"model {self.name!r}: is `virtual`, which only links are: leave that key out")
        if self.input is None:
            raise InvalidInput(f"model {self.name!r}: its spec has no `input`: say how it is fed (`input.size`)")
        return self.input

    def fits(self, form: InputForm) -> str:
        """Why it can't look at inputs of this form; "": it can, or its spec does not say what it looks at.

        Args:
            form: of a stream's inputs.
        """
        return "" if self.input is None or self.serve != "site" else self.input.fits(form)

    @property
    def picture(self) -> PictureInput:
        """How a frame becomes its input.

        Raises:
            InvalidInput: the spec does not say, or it looks at no frames.
        """
        if not isinstance(self.fed, PictureInput):
            raise InvalidInput(f"model {self.name!r}: looks at inputs of the kind {self.modality}, not at pictures")
        return self.fed

    @model_validator(mode="after")
    def _keeps_what_there_is(self) -> "ModelSpec":
        for name in self.decoder.keep:
            if name not in self.output.classes:
                raise ValueError(f"`decoder.keep` names {name!r}, but the classes are {', '.join(self.output.classes)}")
        if self.decoder.name == "softmax" and self.output.kind == "mask":
            raise ValueError("`decoder.name` is softmax: a mask needs raw or sigmoid")
        return self


def read_spec(path: Path) -> ModelSpec:
    """The spec beside the model (`NAME.toml`), or else the one inside it.

    Raises:
        InvalidInput: there is none, or it is wrong; the message names the key and what is allowed.
    """
    return spec_beside(path) or spec_in_file(path)


def spec_in_file(path: Path) -> ModelSpec:
    """The spec inside a model; its graph is not opened, which takes as much memory as running it.

    Raises:
        InvalidInput: there is none, or it is wrong.
    """
    if not path.is_file() or METADATA_KEY not in (metadata := read_metadata(path)):
        # What is wrong with the file is said first.
        return spec_inside(open_session(path), path)
    return _parse_inside(metadata, path)


def read_metadata(path: Path) -> dict[str, str]:
    """What stands in a model's `metadata_props`, read from the file itself; nothing of what is no ONNX file."""
    if not path.stat().st_size:
        return {}
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as whole,
    ):
        entries = [bytes(whole[each.start : each.end]) for each in fields(whole) if each[:2] == (_METADATA, BYTES)]
    found = {}
    for entry in entries:
        parts = {each.number: entry[each.start : each.end].decode("utf-8", "replace") for each in fields(entry)}
        found[parts.get(1, "")] = parts.get(2, "")
    return found


def spec_beside(path: Path) -> ModelSpec | None:
    """The spec in a model's `NAME.toml`; None if there is no such file.

    Raises:
        InvalidInput: it is wrong.
    """
    beside = path.with_suffix(".toml")
    if not beside.is_file():
        return None
    return filled(parse_spec({"name": path.stem, **read_toml(beside)}, where=str(beside)), path)


def spec_inside(session: ort.InferenceSession, path: Path) -> ModelSpec:
    """The spec in an opened model's metadata.

    Raises:
        InvalidInput: there is none, or it is wrong.
    """
    metadata = session.get_modelmeta().custom_metadata_map
    return _parse_inside(metadata, path)


def _parse_inside(metadata: Mapping[str, str], path: Path) -> ModelSpec:
    if METADATA_KEY not in metadata:
        raise InvalidInput(
            f"{path}: has no spec: write {path.with_suffix('.toml').name} beside it (docs/MODELS.md, or start from "
            f"`infilink init model {path.name}`)"
        )
    try:
        found: Any = json.loads(metadata[METADATA_KEY])
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{path}: its metadata {METADATA_KEY!r} is not valid JSON: {error}") from error
    return filled(parse_spec(found, where=f"{path} (metadata)"), path)


def filled(spec: ModelSpec, path: Path) -> ModelSpec:
    """A spec with the sizes that its `input` leaves to the graph; what is no ONNX file says none.

    Args:
        spec: as it was written.
        path: the model.
    """
    if spec.input is None or spec.serve != "site" or not path.is_file():
        return spec
    try:
        shapes = {
            each.name: each.shape for each in read_signature(path).inputs if each.name not in spec.input.constants
        }
        return spec.model_copy(update={"input": spec.input.filled(shapes)})
    except InvalidInput:
        # Whoever opens the model says it better.
        return spec


def parse_spec(data: Mapping[str, Any], *, where: str) -> ModelSpec:
    """A spec from its parsed TOML or JSON.

    Raises:
        InvalidInput: naming `where`, the key, and what is wrong with it.
    """
    left = [f"{section}.{key}" for section, values in data.items() for key in _left_open(values)]
    if left:
        raise InvalidInput(f'{where}: {", ".join(left)}: still "?", which stands for what only you can tell: write it')
    if data.get("serve") == "tensors":
        data = {"output": _UNTOLD, **data}
    return checked(ModelSpec, data, where=where)


def _left_open(values: Any) -> list[str]:
    """The keys of a section that a guess has left open."""
    return (
        [key for key, value in values.items() if value in (UNKNOWN, [UNKNOWN])] if isinstance(values, Mapping) else []
    )


def write_spec(path: Path, spec: ModelSpec) -> None:
    """Writes `spec` into the ONNX file's own metadata (needs the `onnx` package, in `infilink[train]`)."""
    import onnx

    model = onnx.load(str(path))
    kept = [prop for prop in model.metadata_props if prop.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=spec.model_dump_json(exclude_defaults=True))
    with replacing(path) as part:
        onnx.save(model, str(part))


def find_models(folder: Path) -> dict[str, Path]:
    """Every model in a folder that looks at inputs, by its spec's name, in the order of the names.

    Raises:
        InvalidInput: no such folder, no model in it, two of one name, or a model without a valid spec.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: there is no such folder of models")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.onnx")):
        spec = read_spec(path)
        name = spec.name
        if spec.serve == "tensors":
            continue
        if name in found:
            raise InvalidInput(f"{path} and {found[name]} are both called {name!r}; give one another `name`")
        found[name] = path
    if not found:
        raise InvalidInput(f"{folder}: holds no .onnx file")
    return dict(sorted(found.items()))


def select_models(models: dict[str, Path], names: list[str] | tuple[str, ...]) -> dict[str, Path]:
    """Those of `models` that are named; all, if none is.

    Raises:
        UnknownModel: one of the names is not there.
    """
    for name in names:
        if name not in models:
            raise UnknownModel(name, tuple(models))
    return {name: models[name] for name in names} if names else models


def digest(path: Path) -> str:
    """SHA-256 of a file, its first 16 hex digits: what a result names as the version of what made it.

    A model's covers the files beside it: those that hold its weights, and its tokenizer's.

    Raises:
        InvalidInput: such a file is not there, or not in the model's folder.
    """
    whole = _sha256(path)
    beside = files_beside(path, path.with_suffix(".toml")) if path.suffix == ".onnx" else []
    if beside:
        named = [f"{file.relative_to(path.parent).as_posix()}\0{_sha256(file)}" for file in beside]
        whole = hashlib.sha256("\n".join([whole, *named]).encode()).hexdigest()
    return whole[:16]


def files_beside(path: Path, toml: Path | None) -> list[Path]:
    """The files beside a model that make it up: those that hold its weights, and those that its spec names.

    Args:
        path: the ONNX file; it may be a filter or a link, too, which has no such spec.
        toml: the file that its spec may stand in, if it is not inside the model.

    Raises:
        InvalidInput: one is not there, or not in the model's folder.
    """
    found = external_files(path)
    for name in _named_files(path, toml):
        if not (path.parent / name).is_file():
            raise InvalidInput(f"{path}: its spec names {name}, which is not there; put it beside the model")
        found.append(path.parent / name)
    return found


def _named_files(path: Path, toml: Path | None) -> tuple[str, ...]:
    """The names of the files that a model's spec says it needs; none if it has no valid one."""
    try:
        if toml is not None and toml.is_file():
            spec = parse_spec({"name": path.stem, **read_toml(toml)}, where=str(toml))
        else:
            spec = parse_spec(json.loads(read_metadata(path)[METADATA_KEY]), where=str(path))
    except (InvalidInput, KeyError, ValueError):
        return ()
    return () if spec.input is None or spec.serve != "site" else spec.input.files()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
