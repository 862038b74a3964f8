"""What heads have learnt as text in an ONNX file's metadata, so that a device goes on learning from there.

A device has no `onnx` package to read a graph's weights with. What takes the room is the covariance, (d + 1)^2 numbers:
all but its strongest directions are much alike, so that of those only the mean is kept.
"""

import base64
import binascii
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...models.heads.binary import Binary
from ...models.heads.head import Head
from ...models.heads.linear import Linear
from ...models.heads.readout import Readout
from ...outputs import Array

METADATA_KEY = "infilink.learnt"
_COVARIANCE = ".covariance"
_WEIGHTS = ".weights"
_LARGE = 10_000
_DIRECTIONS = 96
_PARTS = ("rest", "values", "vectors")
_PLAIN = "plain"
_SHARED = "shared"


def pack_heads(heads: Mapping[str, Head]) -> str:
    """Heads that share one map, by their models, as text."""
    plain: dict[str, Any] = {}
    arrays: dict[str, Array] = {}
    for number, (model, head) in enumerate(heads.items()):
        encoding, own = head.readout.as_arrays(f"head{number}")
        plain[model] = encoding
        arrays |= own | head.linear.as_arrays(_SHARED)
    return _pack(arrays, plain)


def unpack_heads(text: str, *, path: Path) -> dict[str, Head]:
    """The heads that were packed.

    Args:
        text: what `pack_heads` gave.
        path: the file that it stands in.

    Raises:
        InvalidInput: it is damaged.
    """
    arrays, plain = _unpack(text, path)
    linear, start = Linear.from_arrays(arrays, _SHARED), 0
    heads = {}
    for number, (model, encoding) in enumerate(plain.items()):
        readout = Readout.from_arrays(encoding, arrays, f"head{number}")
        columns = slice(start, start + readout.encoding.length)
        start = columns.stop
        heads[model] = Head(readout, linear, columns)
    if start != linear.weights.shape[1]:
        raise InvalidInput(f"{path}: its heads read {start} numbers of {linear.weights.shape[1]}: train it again")
    return heads


def pack_binary(heads: Mapping[str, Binary]) -> str:
    """Yes/no heads by their models, as text."""
    arrays: dict[str, Array] = {}
    for number, head in enumerate(heads.values()):
        arrays |= head.as_arrays(f"head{number}")
    return _pack(arrays, dict.fromkeys(heads))


def unpack_binary(text: str, *, path: Path) -> dict[str, Binary]:
    """The yes/no heads that were packed.

    Args:
        text: what `pack_binary` gave.
        path: the file that it stands in.

    Raises:
        InvalidInput: it is damaged.
    """
    arrays, plain = _unpack(text, path)
    return {model: Binary.from_arrays(arrays, f"head{number}") for number, model in enumerate(plain)}


def _pack(arrays: Mapping[str, Array], plain: Mapping[str, Any]) -> str:
    small: dict[str, Any] = {_PLAIN: np.asarray(json.dumps(plain))}
    for name, value in arrays.items():
        if name.endswith(_COVARIANCE):
            small |= {f"{name}.{part}": each for part, each in _strongest(value).items()}
        else:
            large = name.endswith(_WEIGHTS) and value.size > _LARGE
            small[name] = np.asarray(value, np.float16 if large else np.float32)
    file = io.BytesIO()
    np.savez_compressed(file, **small)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _unpack(text: str, path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    try:
        with np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False) as found:
            small = {name: np.asarray(found[name]) for name in found.files}
        plain = json.loads(str(small.pop(_PLAIN)))
        arrays = {name: value for name, value in small.items() if _COVARIANCE not in name}
        for name in small:
            if name.endswith(f"{_COVARIANCE}.rest"):
                whole = name.removesuffix(".rest")
                arrays[whole] = _whole(*(small[f"{whole}.{part}"] for part in _PARTS))
    except (
        binascii.Error,
        ValueError,
        KeyError,
        OSError,
        zipfile.BadZipFile,
        EOFError,
        np.linalg.LinAlgError,
    ) as error:
        raise InvalidInput(f"{path}: what its heads have learnt is damaged: train it again ({error})") from error
    return arrays, plain


def _strongest(covariance: Array) -> dict[str, Array]:
    """The directions in which most was learnt, and the mean variance of all others."""
    values, vectors = np.linalg.eigh(covariance)
    return {
        "rest": np.asarray(values[_DIRECTIONS:].mean() if len(values) > _DIRECTIONS else values[-1], np.float32),
        "values": values[:_DIRECTIONS].astype(np.float32),
        "vectors": vectors[:, :_DIRECTIONS].astype(np.float16),
    }


def _whole(rest: Array, values: Array, vectors: Array) -> Array:
    """A covariance of what was kept of it; the directions are made orthogonal again, so that it stays positive."""
    turned, _ = np.linalg.qr(vectors.astype(np.float64))
    first = float(rest)
    found = first * np.eye(len(vectors)) - (turned * (first - values)) @ turned.T
    return np.asarray((found + found.T) / 2)
