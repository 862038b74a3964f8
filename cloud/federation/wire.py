"""Messages of federation.proto from arrays, and back: lengths are checked before an array is made."""

import numpy as np

from ...errors import InvalidInput
from ...links.domains.moments import Moments
from ...links.domains.rounds import SiteChange
from ...links.domains.task import Pairs
from ...outputs import Array
from ...protos import federation_pb2

_MOST_ROWS = 10**12


def pack_weights(weights: Array) -> bytes:
    """Weights as they travel: float32, little-endian."""
    return weights.astype("<f4").tobytes()


def unpack_weights(data: bytes, size: int, *, field: str) -> Array:
    """Weights, float32 (size,).

    Raises:
        InvalidInput: there are not so many bytes; names `field`.
    """
    if len(data) != 4 * size:
        raise InvalidInput(f"{field}: holds {len(data)} bytes, {size} weights take {4 * size}; the link is another one")
    return np.frombuffer(data, "<f4").astype(np.float32)


def pack_moments(moments: Moments) -> federation_pb2.Moments:
    """Moments as they travel."""
    parts = [part.astype("<f8").tobytes() for part in (moments.mean, moments.squares)]
    return federation_pb2.Moments(count=moments.count, mean=parts[0], squares=parts[1])


def unpack_moments(message: federation_pb2.Moments, length: int) -> Moments:
    """Moments of `length` numbers.

    Raises:
        InvalidInput: they have another length, no row, or hold what can't be.
    """
    for name, data in (("mean", message.mean), ("squares", message.squares)):
        if len(data) != 8 * length:
            raise InvalidInput(f"moments.{name}: holds {len(data)} bytes, {length} numbers take {8 * length}")
    mean, squares = (np.frombuffer(data, "<f8").astype(np.float64) for data in (message.mean, message.squares))
    sane = np.isfinite(mean).all() and np.isfinite(squares).all() and (squares >= 0.0).all()
    if not sane or not 1 <= message.count <= _MOST_ROWS:
        raise InvalidInput(f"moments: must be finite, squares not negative, count from 1 to {_MOST_ROWS}")
    return Moments(message.count, mean, squares)


def pack_change(index: int, found: SiteChange) -> federation_pb2.SiteMessage:
    """A site's change as it travels."""
    change = federation_pb2.Change(round=index, change=pack_weights(found.change), samples=found.samples)
    return federation_pb2.SiteMessage(change=change)


def central_bytes(pairs: Pairs) -> int:
    """What a site's outputs would take on the wire, were they sent: the length of the serialised message."""
    parts = [part.astype("<f4").tobytes() for part in (pairs.inputs, pairs.targets)]
    return int(federation_pb2.Outputs(inputs=parts[0], targets=parts[1]).ByteSize())
