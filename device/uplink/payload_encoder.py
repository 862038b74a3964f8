"""What makes of an input what travels of it, and the usual one for pictures: JPEGs."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ...codec import encode_jpeg
from ...errors import InvalidInput
from ...models.spec import ModelSpec
from ...outputs import Array
from ...protos import edge_pb2
from ..sources.base import Input
from .chains import ChainStore


class Encoded(NamedTuple):
    """What travels of an input: its `Encoding` on the wire, and its bytes."""

    encoding: edge_pb2.Encoding
    payload: bytes


class PayloadEncoder(Protocol):
    """Encodes the inputs of one stream."""

    @property
    def chains(self) -> ChainStore | None:
        """The packets of pictures that refer to one another; None: each input's payload stands alone."""

    @property
    def takes_long(self) -> bool:
        """Whether encoding an input can take longer than the next one may wait for."""

    def gate_input(self, value: Array, /) -> Array:
        """What the gate decides on, for an input."""

    def encode(self, taken: Input, /) -> Encoded:
        """What travels of an input; of one after another, as what travels of one may refer to those before it."""

    def encode_alone(self, value: Array, /) -> bytes:
        """What travels of an input that may never be sent: nothing refers to it."""

    def check(self, specs: Mapping[str, ModelSpec]) -> None:
        """Checks that the coordinator's models take such payloads."""

    def log_summary(self) -> None:
        """Logs what was sent, where that is of interest."""


class JpegEncoder:
    """Frames travel as JPEGs.

    Args:
        quality: of them, 1 to 100.
    """

    chains: ChainStore | None = None

    def __init__(self, quality: int) -> None:
        self.quality = quality

    @property
    def takes_long(self) -> bool:
        """It does not."""
        return False

    def gate_input(self, image: Array) -> Array:
        """The frame itself."""
        return image

    def encode(self, taken: Input) -> Encoded:
        """A JPEG."""
        return Encoded(edge_pb2.ENCODING_JPEG, self.encode_alone(taken.value))

    def encode_alone(self, image: Array) -> bytes:
        """A JPEG."""
        return encode_jpeg(image, self.quality)

    def check(self, specs: Mapping[str, ModelSpec]) -> None:
        """Checks that every model takes pictures.

        Raises:
            InvalidInput: one is the second part of a model.
        """
        tails = [name for name, spec in specs.items() if spec.input is None and not spec.virtual]
        if tails:
            raise InvalidInput(
                f"the coordinator serves the second part of {', '.join(tails)}, which takes no pictures: give this "
                "device the first part (`head`), or the coordinator the whole model"
            )

    def log_summary(self) -> None:
        """Logs nothing: JPEGs are the usual case."""
