"""One connection to the coordinator to see whether it takes this device: as a stream begins, and nothing more."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import grpc

from ... import __version__
from ...errors import InvalidInput, Unavailable
from ...models.inputs.form import PICTURES, InputForm
from ...protos import edge_pb2, edge_pb2_grpc, wire
from ...protos.channel import open_channel
from ...protos.reach import NOTHING_LISTENS, why_unreachable
from ..config import DeviceConfig


@dataclass(frozen=True)
class Greeting:
    """What a coordinator answered.

    Attributes:
        welcome: what it says of itself.
        took_s: from the first packet to its answer: name, connection, TLS and Hello.
        behind_s: how far this device's clock is behind its; negative: ahead; 0: as far as can be seen they agree.
    """

    welcome: edge_pb2.Welcome
    took_s: float
    behind_s: float


def greet(
    config: DeviceConfig,
    *,
    stream: str = "",
    form: InputForm = PICTURES,
    local: Mapping[str, str] = MappingProxyType({}),
    stem: str = "",
    timeout_s: float,
) -> Greeting:
    """Says Hello as a stream of this device, hears the answer, and ends the connection.

    Args:
        config: where the coordinator is, and by what it knows this device.
        stream: the stream's name.
        form: what its inputs are.
        local: the models that run here, with their files' digests.
        stem: the digest of the stem whose features travel.
        timeout_s: how long the answer may take.

    Raises:
        Unavailable: it is not there, does not answer or refuses this device: the message says why.
        InvalidInput: it can't do with what this device has.
    """
    hello = edge_pb2.Hello(
        device=config.name,
        version=__version__,
        session=f"check-{time.time_ns()}",
        local=dict(local),
        device_class=config.device_class,
        stem=stem,
        stream=stream,
        form="" if form == PICTURES else form.model_dump_json(exclude_defaults=True),
        wire=wire.NEWEST,
        wire_oldest=wire.OLDEST,
    )
    metadata = [("authorization", f"Bearer {config.token}")] if config.token else []
    began_s, sent_ns = time.monotonic(), time.time_ns()
    try:
        with open_channel(
            config.coordinator,
            tls_ca=config.tls_ca,
            tls_cert=config.tls_cert,
            tls_key=config.tls_key,
            options=[("grpc.use_local_subchannel_pool", 1)],
        ) as channel:
            stub = edge_pb2_grpc.EdgeStub(channel)  # type: ignore[no-untyped-call]
            call = stub.Connect(iter([edge_pb2.DeviceMessage(hello=hello)]), metadata=metadata, timeout=timeout_s)
            first = next(iter(call), None)
            here_ns, took_s = time.time_ns(), time.monotonic() - began_s
            call.cancel()
    except grpc.RpcError as error:
        code, details = error.code(), " ".join(str(error.details() or "").split())[:300]
        if code == grpc.StatusCode.UNIMPLEMENTED:
            raise Unavailable("what listens there is not an infilink coordinator") from error
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            reason = why_unreachable(
                config.coordinator, tls_ca=config.tls_ca, tls_cert=config.tls_cert, tls_key=config.tls_key
            )
            why = "nobody answers: nothing listens there" if reason == NOTHING_LISTENS else reason
            raise Unavailable(why or details or f"no answer within {timeout_s:g} s") from error
        kind = InvalidInput if code == grpc.StatusCode.INVALID_ARGUMENT else Unavailable
        raise kind(details or code.name) from error
    if first is None or not first.HasField("welcome"):
        raise Unavailable("what listens there answers Hello with something else than a coordinator does")
    theirs_ns = first.welcome.now_ns
    # It was read between Hello and its answer: within that time nothing can be seen.
    behind_s = (max(0, theirs_ns - here_ns) - max(0, sent_ns - theirs_ns)) / 1e9 if theirs_ns else 0.0
    return Greeting(first.welcome, took_s, behind_s)
