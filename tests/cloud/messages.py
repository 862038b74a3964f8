"""What a device sends, as the tests of the coordinator say it."""

import numpy as np
from infilink import __version__
from infilink.codec import encode_jpeg
from infilink.outputs import Array
from infilink.protos import edge_pb2


def grey(level: int) -> Array:
    return np.full((16, 16, 3), level, np.uint8)


def hello(device: str = "camera", session: str = "1", **fields) -> edge_pb2.Hello:
    return edge_pb2.Hello(device=device, session=session, **{"version": __version__, **fields})


def an_input(sequence: int, level: int = 100, **fields) -> edge_pb2.DeviceMessage:
    """An input with a grey picture, captured `sequence` seconds after the first."""
    values = {
        "payload": encode_jpeg(grey(level), quality=100),
        "encoding": edge_pb2.ENCODING_JPEG,
        "policy": edge_pb2.POLICY_ALL,
        "captured_ns": sequence * 10**9,
        **fields,
    }
    return edge_pb2.DeviceMessage(input=edge_pb2.Input(sequence=sequence, **values))


def local_output(model: str, digest: str, value: Array, kind: str = "scalar") -> edge_pb2.Output:
    """What a model on the device gave, as its input carries it."""
    fields = {"kind": kind, "shape": value.shape, "dtype": value.dtype.name, "value": value.tobytes()}
    return edge_pb2.Output(model=model, digest=digest, origin=edge_pb2.ORIGIN_LOCAL, **fields)


def values(message: edge_pb2.CoordinatorMessage) -> dict[str, float]:
    """The first number of each model's answer."""
    return {
        each.model: float(np.frombuffer(each.value, each.dtype)[0]) for each in message.result.outputs if each.value
    }


def origins(message: edge_pb2.CoordinatorMessage) -> dict[str, str]:
    """How each model's answer came to be: "executed", "held" and so on."""
    return {
        each.model: edge_pb2.Origin.Name(each.origin).removeprefix("ORIGIN_").lower() for each in message.result.outputs
    }
