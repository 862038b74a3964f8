"""Whether a device.toml will do: its models, files, certificates, and whether its coordinator answers."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ..errors import InfilinkError
from ..models.doctor import Finding, disk, guarded
from ..models.spec import find_models, select_models
from ..models.stem.stem import Stem
from ..protos.channel import open_channel
from .config import DeviceConfig, load_config

_ANSWERS_WITHIN_S = 5.0


def check(path: Path) -> Iterator[Finding]:
    """Looks at an agent's configuration.

    Args:
        path: the TOML file.
    """
    try:
        config = load_config(path)
    except InfilinkError as error:
        yield Finding("config", "wrong", str(error))
        return
    streams = config.by_stream()
    named = f" with the streams {', '.join(streams)}" if config.streams else ""
    yield Finding("config", "ok", f"{path}: an agent's, {config.name}{named}")
    for settings in streams.values():
        yield from guarded("models", partial(_models, settings))
        yield from guarded("files", partial(_files, settings))
    yield from guarded("coordinator", lambda: _coordinator(config))
    for folder in sorted({each.results.parent for each in streams.values() if each.results is not None}):
        yield from guarded("disk", partial(disk, folder))


def _models(config: DeviceConfig) -> Iterator[Finding]:
    if config.local is not None:
        names = select_models(find_models(config.local), list(config.local_models or ()))
        yield Finding("models", "ok", f"{config.local}: {', '.join(names)} run here")
    if config.stem is not None:
        yield Finding("models", "ok", f"{config.stem}: a stem, {Stem(config.stem).digest}")


def _files(config: DeviceConfig) -> Iterator[Finding]:
    gate = Path(config.gate.partition("@")[0])
    missing = [
        path for path in (gate, config.head) if path is not None and path.suffix == ".onnx" and not path.is_file()
    ]
    for path in missing:
        yield Finding("files", "wrong", f"{path}: there is no such file", "train it, or correct its name")


def _coordinator(config: DeviceConfig) -> Iterator[Finding]:
    with open_channel(
        config.coordinator, tls_ca=config.tls_ca, tls_cert=config.tls_cert, tls_key=config.tls_key
    ) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_ANSWERS_WITHIN_S
            )
        except grpc.RpcError as error:
            details = " ".join(str(error.details() or "").split())[:200]
            yield Finding(
                "coordinator",
                "wrong",
                f"{config.coordinator}: no answer ({details})",
                "start it (`infilink cloud`), and look at `coordinator`, `tls_ca` and the network's firewall",
            )
            return
    serving = reply.status == health_pb2.HealthCheckResponse.SERVING
    text = "serves" if serving else "answers, but does not serve yet"
    yield Finding("coordinator", "ok" if serving else "note", f"{config.coordinator}: {text}")
