"""A heavy model: `ModelSpec` says how to feed it and read it, `OnnxModel` runs it on one frame.

The spec is a TOML file beside the model (`yolox_nano.toml` for `yolox_nano.onnx`) or JSON inside it, in the ONNX
file's own `metadata_props` under the key `infilink`. The one beside wins. docs/MODELS.md says how to write one.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import onnxruntime as ort
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .config_file import checked, read_toml
from .decoding import DECODERS, DecoderSpec, decode
from .errors import InvalidInput, ModelFailed, UnknownModel
from .outputs import Array, OutputSpec
from .preprocessing import InputSpec, Placement, preprocess

METADATA_KEY = "infilink"

COCO_CLASSES = tuple(
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush".split(",")
)


def _named_classes(value: Any) -> Any:
    """Spells out the short forms of `classes`: "coco" (the 80 names) and a number n ("0" to "n-1")."""
    if isinstance(value, Mapping) and value.get("classes") == "coco":
        return {**value, "classes": COCO_CLASSES}
    if isinstance(value, Mapping) and isinstance(value.get("classes"), int):
        return {**value, "classes": tuple(str(i) for i in range(value["classes"]))}
    return value


class ModelSpec(BaseModel):
    """Everything there is to know of a model beside its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="what it is called on the wire and in tables"
    )
    version: str = "1"
    description: str = ""
    input: InputSpec | None = Field(
        default=None,
        description="how a frame becomes its input; a model that is run elsewhere has none",
    )
    output: Annotated[OutputSpec, BeforeValidator(_named_classes)]
    decoder: DecoderSpec = DecoderSpec()

    @property
    def picture(self) -> InputSpec:
        """How a frame becomes its input.

        Raises:
            InvalidInput: the spec does not say.
        """
        if self.input is None:
            raise InvalidInput(f"model {self.name!r}: its spec has no `input`: say how it is fed (`input.size`)")
        return self.input

    @model_validator(mode="after")
    def _keeps_what_there_is(self) -> "ModelSpec":
        for name in self.decoder.keep:
            if name not in self.output.classes:
                raise ValueError(f"`decoder.keep` names {name!r}, but the classes are {', '.join(self.output.classes)}")
        return self


class OnnxModel:
    """One loaded ONNX model on the CPU: preprocess, run, decode.

    Args:
        path: the `.onnx` file; its spec is inside or beside it.
        threads: how many threads one inference may use.
        optimized: where onnxruntime's own optimized form of the file is kept: it is written by the first to load the
            model and read by the next, which takes a third of the time. It is good on this machine only, and for this
            very file.

    Raises:
        InvalidInput: no ONNX file, no spec, or a spec that does not fit the model.
    """

    def __init__(self, path: Path | str, *, threads: int = 1, optimized: Path | None = None) -> None:
        self.path = Path(path)
        beside = _spec_beside(self.path)
        self._session = open_session(self.path, threads=threads, optimized=optimized)
        self.spec = beside or _spec_inside(self._session, self.path)
        self._input = _find_input(self._session, self.spec, self.path)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def infer(self, frame: Array) -> Array:
        """The model's output for one frame (uint8 BGR, height x width x 3), as `outputs.py` describes it per kind.

        Raises:
            InvalidInput: this is no frame.
            ModelFailed: the model or its decoder raised, or its output does not fit its spec.
        """
        try:
            tensor, placement = preprocess(frame, self.spec.picture)
        except cv2.error as error:
            raise ModelFailed(f"{self.spec.name}: a frame of {frame.shape}: {_first_line(error)}") from error
        return self._decode(self._run(tensor), placement)

    def _run(self, tensor: Array) -> dict[str, Array]:
        if self._input.type == "tensor(uint8)":
            tensor = tensor.astype(np.uint8)
        try:
            return dict(zip(self._outputs, self._session.run(None, {self._input.name: tensor}), strict=True))
        except Exception as error:  # onnxruntime raises many types of its own
            raise ModelFailed(f"{self.spec.name}: {_first_line(error)}") from error

    def _decode(self, raw: dict[str, Array], placement: Placement) -> Array:
        try:
            return self.spec.output.check(decode(raw, self.spec.decoder, self.spec.output, placement))
        except Exception as error:  # what a model returns may be of any shape and type, a list of maps too
            shapes = ", ".join(f"{name} {list(np.shape(value))}" for name, value in raw.items())
            raise ModelFailed(
                f"{self.spec.name}: decoder {self.spec.decoder.name!r} can't read its outputs ({shapes}): {error}; "
                f"correct `[decoder]` or `[output]` in the model's spec (decoders: {', '.join(DECODERS)})"
            ) from error


def open_session(path: Path, *, threads: int = 1, optimized: Path | None = None) -> ort.InferenceSession:
    """An onnxruntime session on the CPU. Its arena is on: what it holds is there after the first inference and stays.

    `optimized` is written if it is not there, and read instead of `path` if it is.

    Raises:
        InvalidInput: the file is not there or is no ONNX model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    part = None
    if optimized is not None and optimized.is_file():
        path = optimized
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    elif optimized is not None:
        part = optimized.with_name(f"{optimized.name}.{os.getpid()}.part")
        options.optimized_model_filepath = str(part)
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        if part is not None and optimized is not None:
            part.replace(optimized)
        return session
    except Exception as error:
        raise InvalidInput(f"{path}: not an ONNX model that onnxruntime can load ({_first_line(error)})") from error


def read_spec(path: Path) -> ModelSpec:
    """The spec beside the model (`NAME.toml`), or else the one inside it.

    Raises:
        InvalidInput: there is none, or it is wrong; the message names the key and what is allowed.
    """
    return _spec_beside(path) or _spec_inside(open_session(path), path)


def _spec_beside(path: Path) -> ModelSpec | None:
    beside = path.with_suffix(".toml")
    if not beside.is_file():
        return None
    return parse_spec({"name": path.stem, **read_toml(beside)}, where=str(beside))


def _spec_inside(session: ort.InferenceSession, path: Path) -> ModelSpec:
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise InvalidInput(
            f"{path}: has no spec: write {path.with_suffix('.toml').name} beside it (docs/MODELS.md, or start from "
            f"`infilink init model {path.name}`)"
        )
    try:
        found: Any = json.loads(metadata[METADATA_KEY])
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{path}: its metadata {METADATA_KEY!r} is not valid JSON: {error}") from error
    return parse_spec(found, where=f"{path} (metadata)")


def parse_spec(data: Mapping[str, Any], *, where: str) -> ModelSpec:
    """A spec from its parsed TOML or JSON.

    Raises:
        InvalidInput: naming `where`, the key, and what is wrong with it.
    """
    return checked(ModelSpec, data, where=where)


def write_spec(path: Path, spec: ModelSpec) -> None:
    """Writes `spec` into the ONNX file's own metadata (needs the `onnx` package, in `infilink[train]`)."""
    import onnx

    model = onnx.load(str(path))
    kept = [prop for prop in model.metadata_props if prop.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=spec.model_dump_json(exclude_defaults=True))
    beside = path.with_suffix(".onnx.part")
    onnx.save(model, str(beside))
    beside.replace(path)


def find_models(folder: Path) -> dict[str, Path]:
    """Every model in a folder, by its spec's name, in the order of the names.

    Raises:
        InvalidInput: no such folder, no model in it, two of one name, or a model without a valid spec.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: there is no such folder of models")
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.onnx")):
        name = read_spec(path).name
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
    """SHA-256 of a file, its first 16 hex digits: what a result names as the version of what made it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _find_input(session: ort.InferenceSession, spec: ModelSpec, path: Path) -> Any:
    inputs = {node.name: node for node in session.get_inputs()}
    # Those with a default are not among them: onnxruntime lists them as initializers.
    if len(inputs) != 1:
        raise InvalidInput(
            f"{path}: needs {len(inputs)} inputs ({', '.join(inputs)}), and only a frame can be fed: models with "
            "several are not supported yet; export it with one, or give the others default initializers"
        )
    name = spec.picture.name or next(iter(inputs))
    if name not in inputs:
        raise InvalidInput(f"{path}: has no input {name!r}: `input.name` must be one of {', '.join(inputs)}")
    expected, actual = spec.picture.tensor_shape, inputs[name].shape
    fits = len(actual) == 4 and all(not isinstance(a, int) or a == e for a, e in zip(actual, expected, strict=True))
    if not fits:
        raise InvalidInput(
            f"{path}: its input {name!r} is {actual}, but its spec makes {list(expected)} "
            f"(`input.size` is width, height; `input.layout` is {spec.picture.layout})"
        )
    return inputs[name]


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]
