"""Pictures that come as H.264: which packets are whose, from reading a message until its picture is decoded."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ...errors import InvalidInput
from ...models.inputs.form import PICTURES, InputForm
from ...models.inputs.payload import Payload
from ...models.split.spec import PartitionSpec
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.payloads import MOST_VIDEO_PIXELS
from ..runtime.video_decoders import BrokenChain, Chain, VideoDecoders
from ..security.message_size import check_fields

_MOST_FIELDS = 1024
_MOST_CHAINS = 4
"""Of a connection, as the wire says (edge.proto, `Chunk`): what is new, and what waited, may come by turns."""


def takes_video(form: InputForm, tail: PartitionSpec | None) -> bool:
    """Whether a stream's inputs are taken as H.264, too: they are single pictures, and the models here see them whole.

    Args:
        form: what its inputs are.
        tail: the cut whose feature maps are taken instead of pictures; None: pictures are.
    """
    return form.modality == PICTURES.modality and tail is None


@dataclass(frozen=True)
class ChainPicture:
    """What decodes one picture of a chain, in another process: called with where it goes.

    Attributes:
        decoders: do it.
        chain: has its packets.
        place: the picture's, from 0.
    """

    decoders: VideoDecoders
    chain: Chain
    place: int

    def __call__(self, out: Array) -> None:
        """Decodes it; raises what `VideoDecoders.read` does."""
        self.decoders.read(self.chain, self.place, out)


class Chains:
    """The last chains of one connection.

    Args:
        decoders: keep its packets and decode them.
        takes: whether such pictures are taken on it.
        max_bytes: the most that a message's may take.
        max_pixels: the most that a picture may have.
    """

    def __init__(self, decoders: VideoDecoders, *, takes: bool, max_bytes: int, max_pixels: int) -> None:
        self.decoders = decoders
        self.takes = takes
        self.max_bytes = max_bytes
        self.max_pixels = min(max_pixels, MOST_VIDEO_PIXELS)
        self._chains = OrderedDict[int, Chain]()

    def take(self, message: edge_pb2.Input) -> Payload | None:
        """Takes the packets of an input, whatever becomes of it, as others refer to them; in the order of the inputs.

        Args:
            message: the input.

        Returns:
            Its picture, to be decoded later; None: it comes in another encoding, or not at all.

        Raises:
            InvalidInput: it is no such message, or too large.
            BrokenChain: what it refers to is not here.
        """
        if message.encoding != edge_pb2.ENCODING_H264 or not message.payload:
            return None
        if not self.takes:
            raise InvalidInput("no H.264 is taken here: Welcome says what is (`encodings`)")
        payload = message.payload
        if len(payload) > self.max_bytes:
            raise InvalidInput(f"the input has {len(payload)} bytes; at most {self.max_bytes} are taken")
        chunk: Any = edge_pb2.Chunk()
        check_fields(payload, edge_pb2.Chunk.DESCRIPTOR, _MOST_FIELDS)
        try:
            chunk.ParseFromString(payload)
        except DecodeError:
            raise InvalidInput(f"`payload`: its {len(payload)} bytes are no Chunk") from None
        width, height = chunk.width, chunk.height
        if not all(chunk.packets):
            raise InvalidInput("`payload.packets`: one is empty")
        if not 0 < width * height <= self.max_pixels:
            raise InvalidInput(f"the picture is {width}x{height}: as H.264 it must have 1 to {self.max_pixels} pixels")
        chain = self._find(chunk)
        if (width, height) != (chain.width, chain.height):
            raise InvalidInput(f"`payload.width`, `payload.height`: a chain has one size, {chain.width}x{chain.height}")
        if chunk.packets:
            self.decoders.add(chain, chunk.packets)
        if chunk.place >= len(chain.packets):
            raise BrokenChain(f"the packets of chain {chunk.chain} up to place {chunk.place} are not here")
        read = ChainPicture(self.decoders, chain, chunk.place)
        return Payload((height, width, 3), np.dtype(np.uint8), read, is_elsewhere=True)

    def _find(self, chunk: Any) -> Chain:
        """The chain of a chunk, to which its packets can be added."""
        chain = self._chains.pop(chunk.chain, None)
        if chunk.packets and not chunk.first:
            chain = self.decoders.open(chunk.width, chunk.height)
        if chain is None or (chunk.packets and chunk.first != len(chain.packets)):
            raise BrokenChain(f"the packets of chain {chunk.chain} before place {chunk.first} are not here")
        self._chains[chunk.chain] = chain
        while len(self._chains) > _MOST_CHAINS:
            self._chains.popitem(last=False)
        return chain
