"""Commands that ask a running coordinator: where it is, who asks, and its refusals as errors of ours."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from pydantic import BaseModel

from ..errors import InvalidInput
from ..protos.channel import open_channel
from ..settings import Address, checked
from .status_cli import our_error

HERE = "127.0.0.1:7420"
AddressOption = Annotated[str, typer.Option("--coordinator", help="HOST:PORT of the coordinator.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_ANSWERS_WITHIN_S = 10.0
# Its own words say what is wrong and what to do.
_SAID = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INTERNAL,
)


class _Target(BaseModel):
    address: Address


@dataclass(frozen=True)
class Caller:
    """Who asks which coordinator.

    Attributes:
        address: HOST:PORT.
        token: what it proves itself with; empty: nothing.
        tls_ca: the certificate to trust; None: no TLS.
        tls_cert: its own certificate.
        tls_key: the key of that.
    """

    address: str
    token: str
    tls_ca: Path | None
    tls_cert: Path | None
    tls_key: Path | None

    def ask(
        self, service: Callable[[Any], Any], method: str, request: Any, *, within_s: float = _ANSWERS_WITHIN_S
    ) -> Any:
        """What the coordinator answers.

        Args:
            service: makes the stub of a service on a channel.
            method: of it.
            request: a message, or an iterator of messages.
            within_s: how long that may take.

        Raises:
            InfilinkError: it refuses, or nobody answers.
        """
        target = checked(_Target, {"address": self.address}, where="--coordinator").address
        metadata = [("authorization", f"Bearer {self.token}")] if self.token else []
        with open_channel(target, tls_ca=self.tls_ca, tls_cert=self.tls_cert, tls_key=self.tls_key) as channel:
            try:
                return getattr(service(channel), method)(request, metadata=metadata, timeout=within_s)
            except grpc.RpcError as error:
                if error.code() in _SAID:
                    raise InvalidInput(f"{target}: {error.details()}") from error
                raise our_error(error, target) from error


def plain(message: Any) -> Any:
    """A message as JSON has it."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
