"""How a recording keeps an input: as it would travel, so that models learn from what they see at work.

| `TraceInfo.input` | what is kept                                                                                   |
|-------------------|------------------------------------------------------------------------------------------------|
| image             | a JPEG                                                                                         |
| array             | what numpy writes (.npy): a text's bytes, a sound, a signal, a feature map                     |
| parts             | the frames of a window, or the parts of a joint input, as .npz; each picture in it as its JPEG |
| none              | nothing                                                                                        |
"""

import io
from collections.abc import Iterator
from typing import Literal
from zipfile import BadZipFile, ZipFile

import numpy as np

from ..codec import decode_jpeg, encode_jpeg, pack, unpack
from ..errors import InvalidInput
from ..models.inputs.form import InputForm
from ..models.inputs.joint import join
from ..outputs import Array

Kept = Literal["image", "array", "parts", "none"]
_JPEG, _ARRAY = "jpeg", "array"


def kept_as(form: InputForm) -> Kept:
    """How inputs of a form are kept."""
    if form.parts or form.modality == "video":
        return "parts"
    return "image" if form.modality == "image" else "array"


def store(value: Array, form: InputForm) -> bytes:
    """An input as it is kept."""
    kept = kept_as(form)
    if kept == "image":
        return encode_jpeg(value)
    if kept == "array":
        return pack(value)
    members = dict(_members(value, form, "") if not form.parts else _of_parts(value, form))
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as file:
        for key, member in members.items():
            file.writestr(f"{key}.npy", pack(member))
    return buffer.getvalue()


def restore(payload: bytes, kept: Kept) -> Array:
    """The input that was kept; of pictures, as JPEG made it.

    Raises:
        InvalidInput: the bytes are none, or nothing was kept.
    """
    if kept == "none":
        raise InvalidInput("no inputs were kept, outputs alone")
    if kept == "image":
        return decode_jpeg(payload)
    if kept == "array":
        return unpack(payload)
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as members:
            return _restored({key: members[key] for key in members.files})
    except (ValueError, EOFError, OSError, KeyError, BadZipFile) as error:
        raise InvalidInput(f"{len(payload)} bytes are no readable parts of an input ({error})") from error


def _of_parts(value: Array, form: InputForm) -> Iterator[tuple[str, Array]]:
    for name, part in form.parts.items():
        yield from _members(value[name], part, name)


def _members(value: Array, form: InputForm, name: str) -> Iterator[tuple[str, Array]]:
    """Each array of the file, by its kind, its number in a window, and the part's name."""
    if form.modality == "image":
        yield f"{_JPEG}//{name}", np.frombuffer(encode_jpeg(value), np.uint8)
    elif form.modality == "video":
        for number, frame in enumerate(value):
            yield f"{_JPEG}/{number}/{name}", np.frombuffer(encode_jpeg(frame), np.uint8)
    else:
        yield f"{_ARRAY}//{name}", np.asarray(value)


def _restored(members: dict[str, Array]) -> Array:
    parts: dict[str, Array] = {}
    windows: dict[str, list[Array]] = {}
    for key, member in members.items():
        kind, number, name = key.split("/", 2)
        found = decode_jpeg(member.tobytes()) if kind == _JPEG else member
        if number:
            windows.setdefault(name, []).append(found)
        parts.setdefault(name, found)  # A window's first frame keeps its place.
    parts |= {name: np.stack(frames) for name, frames in windows.items()}
    if list(parts) == [""]:
        return parts[""]
    return join(**parts)
