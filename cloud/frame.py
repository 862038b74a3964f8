"""An input's frame, off the wire: a picture or a map, as large as allowed; none where only outputs came."""

import asyncio
from functools import partial

import numpy as np

from ..errors import InvalidInput
from ..filters.partition.spec import PartitionSpec, check_map
from ..outputs import Array
from ..protos import edge_pb2
from .config import CloudConfig
from .pictures import decode_picture


async def read_frame(message: edge_pb2.Input, tail: PartitionSpec | None, config: CloudConfig) -> Array | None:
    """What the models see of an input: uint8 BGR, or a map's bytes; None if it carries nothing but outputs.

    Args:
        message: the input.
        tail: where the model here is the second part of one: which cut its inputs are maps of.
        config: the limits.

    Raises:
        InvalidInput: it is too large, or no such thing.
    """
    size_bytes = len(message.payload) + sum(len(output.value) for output in message.outputs)
    if size_bytes > config.max_input_bytes:
        raise InvalidInput(f"the input has {size_bytes} bytes; at most {config.max_input_bytes} are taken")
    if message.outputs and not message.payload:
        return None
    wanted = edge_pb2.ENCODING_JPEG if tail is None else edge_pb2.ENCODING_MAP
    if message.encoding != wanted:
        known = "a JPEG" if tail is None else f"the maps of {tail.model} at {tail.tensor!r}"
        raise InvalidInput(f"encoding {message.encoding} is not known here; send {known}")
    if tail is not None:
        check_map(message.payload, tail)
        return np.frombuffer(message.payload, np.uint8)
    decode = partial(decode_picture, message.payload, max_pixels=config.max_input_pixels)
    return await asyncio.get_running_loop().run_in_executor(None, decode)
