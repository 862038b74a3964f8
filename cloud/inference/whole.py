"""An input as a whole: what a request may send instead of a graph's tensors, to be answered as the spec has it.

A picture is sent as `image`, an input of another kind by the kind's name, one of several kinds as its parts by theirs.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.audio import AudioInput
from ...models.inputs.form import PICTURES, InputForm
from ...models.inputs.joint import JointInput, Part
from ...models.inputs.payload import Limits, Payload, join_payloads, open_payload, payload_of
from ...models.inputs.signal import SignalInput
from ...models.inputs.video import VideoInput
from ...models.spec import ModelSpec
from ...models.tensors import STRINGS, TensorSpec
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.payloads import MOST_PARTS
from ..sessions.jpeg import open_picture
from .request import InferRequest

_SAID = {
    "image": "a JPEG as one element of BYTES, or pixels as UINT8 [height, width, 3]",
    "video": "the frames of a window: JPEGs as BYTES [frames], or pixels as UINT8 [frames, height, width, 3]",
    "audio": "samples as INT16 or FP32 (-1 to 1) [samples], or a FLAC or Opus file as one element of BYTES",
    "signal": "samples as FP32 [steps, channels]",
    "text": "a text as one element of BYTES, UTF-8",
    "map": "a feature map as FP32 [channels, height, width]",
}
_FILES = {b"fLaC": edge_pb2.ENCODING_FLAC, b"OggS": edge_pb2.ENCODING_OPUS}


def form_for(spec: ModelSpec) -> InputForm | None:
    """The form of the inputs that a model looks at; None: its spec does not say how one becomes its tensors."""
    if spec.serve != "site" or spec.input is None:
        return None
    if not isinstance(spec.input, JointInput):
        return _form_of(spec.input)
    parts = {name: _form_of(part) for name, part in spec.input.parts.items()}
    return InputForm(modality=spec.modality, parts=parts)


def whole_of(form: InputForm) -> Mapping[str, InputForm]:
    """The tensors that an input of this form is sent as, by name, with the form of each."""
    return form.parts or {form.modality: form}


def told_of(form: InputForm) -> dict[str, str]:
    """How each of these is sent, in words."""
    beside = "" if not form.parts else f" (with {', '.join(form.parts)})"
    return {name: f"instead of the inputs{beside}: {_SAID[each.modality]}" for name, each in whole_of(form).items()}


def tensor_specs(form: InputForm) -> tuple[TensorSpec, ...]:
    """The same as tensors, in the one way that is there for all kinds."""
    kinds = {"signal": ("float32", (-1, -1)), "map": ("float32", (-1, -1, -1)), "audio": ("int16", (-1,))}
    kinds |= {"image": (STRINGS, (1,)), "text": (STRINGS, (1,)), "video": (STRINGS, (-1,))}
    return tuple(TensorSpec(name, *kinds[each.modality]) for name, each in whole_of(form).items())


def is_whole(form: InputForm, name: str, tensor: Array) -> bool:
    """Whether a tensor is the input, or the part of it, that has this name."""
    each = whole_of(form).get(name)
    if each is None:
        return False
    if tensor.dtype == object:
        return tensor.size == 1 if each.modality in ("image", "audio", "text") else each.modality == "video"
    pixels = tensor.dtype == np.uint8 and tensor.shape[-1:] == (3,) and tensor.size > 0
    return {
        "image": pixels and tensor.ndim == 3,
        "video": pixels and tensor.ndim == 4,
        "audio": tensor.dtype in (np.int16, np.float32) and tensor.ndim == 1,
        "signal": tensor.dtype == np.float32 and tensor.ndim == 2,
        "map": tensor.dtype == np.float32 and tensor.ndim == 3,
    }.get(each.modality, False)


def open_whole(request: InferRequest, form: InputForm, limits: Limits) -> Payload:
    """The input in a request's tensors, not in the models' memory yet.

    Raises:
        InvalidInput: a part of it is missing, can't be read, or is too large.
    """
    opened = {}
    for name, each in whole_of(form).items():
        tensor = request.tensors.get(name)
        if tensor is None or not is_whole(form, name, tensor):
            raise InvalidInput(f"input {name!r}: {'is missing' if tensor is None else 'is'} not {_SAID[each.modality]}")
        try:
            opened[name] = _open(tensor, each, request, limits)
        except InvalidInput as error:
            raise InvalidInput(f"input {name!r}: {error}") from None
    return join_payloads(opened) if form.parts else next(iter(opened.values()))


def _open(tensor: Array, form: InputForm, request: InferRequest, limits: Limits) -> Payload:
    if tensor.dtype != object:
        return _open_pixels(tensor, request, limits) if tensor.dtype == np.uint8 else payload_of(tensor)
    elements = tensor.reshape(-1).tolist()
    if form.modality == "video":
        if not 0 < len(elements) <= MOST_PARTS:
            raise InvalidInput(f"has {len(elements)} frames; 1 to {MOST_PARTS} are taken")
        parts = [edge_pb2.Part(encoding=edge_pb2.ENCODING_JPEG, payload=each) for each in elements]
        window = edge_pb2.Parts(parts=parts).SerializeToString()
        return open_payload(edge_pb2.ENCODING_PARTS, window, form, limits, open_picture)
    if form.modality == "audio":
        encoding = _FILES.get(elements[0][:4])
        if encoding is None:
            raise InvalidInput("its bytes are neither FLAC nor Opus in Ogg")
    else:
        encoding = edge_pb2.ENCODING_UTF8 if form.modality == "text" else edge_pb2.ENCODING_JPEG
    return open_payload(encoding, elements[0], form, limits, open_picture)


def _open_pixels(tensor: Array, request: InferRequest, limits: Limits) -> Payload:
    height, width = tensor.shape[-3:-1]
    if tensor.size > 3 * limits.pixels:
        raise InvalidInput(f"the picture is {width}x{height}, more than {limits.pixels} pixels (`max_input_pixels`)")
    pixels = tensor[..., ::-1] if request.color() == "RGB" else tensor
    return Payload(tensor.shape, tensor.dtype, partial(np.copyto, src=pixels))


def _form_of(section: Part) -> InputForm:
    """The form of what one section of a spec takes."""
    if isinstance(section, AudioInput):
        return InputForm(modality="audio", rate_hz=section.rate_hz)
    if isinstance(section, SignalInput):
        steps = section.steps
        return InputForm(
            modality="signal", rate_hz=section.rate_hz, channels=section.channels, window=steps, stride=steps
        )
    if isinstance(section, VideoInput):
        return InputForm(modality="video", window=section.frames, stride=section.frames)
    return PICTURES if section.modality == PICTURES.modality else InputForm(modality=section.modality)
