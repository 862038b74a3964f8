"""Requests of the Open Inference Protocol, and what comes back, as tests write and read them."""

from collections.abc import Awaitable

import grpc
import numpy as np
import pytest
from infilink.codec import encode_jpeg
from infilink.outputs import Array
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.tensors import datatype_of, read_raw, write_raw

from .messages import grey


def fed(level: float = 100.0, shape: tuple[int, ...] = (1, 3, 16, 16), dtype: type = np.float32) -> Array:
    return np.full(shape, level, dtype)


def asking(model: str, tensors: dict[str, Array], *, parameters: dict | None = None, **fields) -> pb.ModelInferRequest:
    """A request with raw tensors."""
    request = pb.ModelInferRequest(model_name=model, **fields)
    for name, value in tensors.items():
        request.inputs.add(name=name, datatype=datatype_of(value), shape=value.shape)
        request.raw_input_contents.append(bytes(write_raw(value)))
    for name, value in (parameters or {}).items():
        kind = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}[type(value)]
        setattr(request.parameters[name], kind, value)
    return request


def picture(level: int = 100, name: str = "image") -> dict[str, Array]:
    value = np.empty(1, object)
    value[0] = encode_jpeg(grey(level), quality=100)
    return {name: value}


def outputs(response: pb.ModelInferResponse) -> dict[str, list]:
    return {
        each.name: read_raw(each.name, each.datatype, tuple(each.shape), raw).tolist()
        for each, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def origin(response: pb.ModelInferResponse) -> str:
    return response.parameters["origin"].string_param


async def refusal(call: Awaitable) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details()
