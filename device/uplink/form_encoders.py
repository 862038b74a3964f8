"""How inputs that are no single pictures travel: as text, as numbers, as sound, or several parts in one."""

from collections.abc import Callable, Mapping

import numpy as np

from ...codec import encode_jpeg
from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...models.spec import ModelSpec
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.payloads import quantized, write_array_payload, write_parts
from ..sources.base import Input
from .chains import ChainStore
from .payload_encoder import Encoded

Write = Callable[[Array], bytes]

_FULL = 2**15
_ENCODINGS = {"audio": ("flac", "opus", "raw"), "signal": ("raw", "int16", "int8"), "map": ("raw", "int16", "int8")}
"""What there is to choose for a kind, the usual one first."""


class FormEncoder:
    """Encodes the inputs of a stream of one form.

    Args:
        encoding: on the wire.
        write: makes the payload.
    """

    chains: ChainStore | None = None
    takes_long = False

    def __init__(self, encoding: edge_pb2.Encoding, write: Write) -> None:
        self.encoding = encoding
        self.write = write

    def gate_input(self, value: Array) -> Array:
        """The input itself."""
        return value

    def encode(self, taken: Input) -> Encoded:
        """What travels of an input."""
        return Encoded(self.encoding, self.write(taken.value))

    def encode_alone(self, value: Array) -> bytes:
        """The payload for an input."""
        return self.write(value)

    def check(self, specs: Mapping[str, ModelSpec]) -> None:
        """The coordinator has said already that models of it look at such inputs."""

    def log_summary(self) -> None:
        """Logs nothing."""


def form_encoder(form: InputForm, *, encoding: str, quality: int) -> FormEncoder:
    """The encoder of inputs that are no single pictures.

    Args:
        form: what they are.
        encoding: as in device.toml: "auto", "raw", "int8", "int16", "flac" or "opus".
        quality: of JPEGs.

    Raises:
        InvalidInput: no part of such inputs can travel so.
    """
    plain = list(form.parts.values()) or [form]
    known = sorted({each for part in plain for each in _ENCODINGS.get(part.modality, ())})
    if encoding != "auto" and encoding not in known:
        raise InvalidInput(
            f'`encoding = "{encoding}"`: inputs of {form.modality} travel as '
            f"{', '.join(['auto', *known]) if known else 'they are: leave it out'}"
        )
    if not form.parts:
        return _plain(form, encoding, quality)
    parts = {name: _plain(part, encoding, quality) for name, part in form.parts.items()}

    def write(value: Array) -> bytes:
        return write_parts([(name, each.encoding, each.write(value[name])) for name, each in parts.items()])

    return FormEncoder(edge_pb2.ENCODING_PARTS, write)


def _plain(form: InputForm, encoding: str, quality: int) -> FormEncoder:
    """The encoder of inputs of one kind; an encoding that is for other parts is passed over."""
    kinds = _ENCODINGS.get(form.modality, ())
    chosen = encoding if encoding in kinds else next(iter(kinds), "")
    if form.modality == "image":
        return FormEncoder(edge_pb2.ENCODING_JPEG, lambda value: encode_jpeg(value, quality))
    if form.modality == "video":
        return FormEncoder(edge_pb2.ENCODING_PARTS, lambda value: _write_window(value, quality))
    if form.modality == "text":
        return FormEncoder(edge_pb2.ENCODING_UTF8, lambda value: value.tobytes())
    if chosen == "opus" or (chosen == "flac" and form.rate_hz):
        return _sound(form.rate_hz, chosen)
    if chosen in ("int8", "int16"):
        return FormEncoder(edge_pb2.ENCODING_ARRAY, lambda value: quantized(value, chosen))
    return FormEncoder(edge_pb2.ENCODING_ARRAY, write_array_payload)


def _write_window(value: Array, quality: int) -> bytes:
    return write_parts([("", edge_pb2.ENCODING_JPEG, encode_jpeg(frame, quality)) for frame in value])


def _sound(rate_hz: float, codec: str) -> FormEncoder:
    # Late: FFmpeg takes memory that agents of other inputs need not hold.
    from ...protos.sounds import OPUS_RATES_HZ, write_flac, write_opus

    if codec == "flac":
        return FormEncoder(edge_pb2.ENCODING_FLAC, lambda value: write_flac(_whole(value), round(rate_hz)))
    if rate_hz not in OPUS_RATES_HZ:
        raise InvalidInput(
            f'`encoding = "opus"` is for {", ".join(map(str, OPUS_RATES_HZ))} samples a second, and this sound has '
            f"{rate_hz:g}: set `cut.rate_hz`, or send FLAC"
        )
    return FormEncoder(edge_pb2.ENCODING_OPUS, lambda value: write_opus(_whole(value), round(rate_hz)))


def _whole(samples: Array) -> Array:
    """Samples of 16 bits."""
    if samples.dtype == np.int16:
        return samples
    return np.asarray(np.clip(np.rint(samples * _FULL), -_FULL, _FULL - 1), np.int16)
