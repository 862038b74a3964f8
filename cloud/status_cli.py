"""`infilink status`, `top` and `health`: what a running coordinator says of itself."""

import itertools
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import BaseModel
from rich.console import Console
from rich.live import Live

from ..errors import InfilinkError, InvalidInput, Unavailable
from ..protos import edge_pb2, edge_pb2_grpc
from ..protos.channel import open_channel
from ..settings import Address, checked
from .status_text import as_json, as_tables
from .status_top import Change, as_line, as_screen

_ANSWERS_WITHIN_S = 10.0
_WATCH_EVERY_S = 2.0


TokenOption = Annotated[str, typer.Option(help="The coordinator's token, if it has one.", envvar="INFILINK_TOKEN")]
TlsCaOption = Annotated[Path | None, typer.Option(help="The certificate to trust; without it no TLS.")]
TlsCertOption = Annotated[Path | None, typer.Option(help="One's own certificate, where the coordinator wants one.")]
TlsKeyOption = Annotated[Path | None, typer.Option(help="Its key.")]


class _Target(BaseModel):
    address: Address


def status_command(
    address: Annotated[str, typer.Argument(help="HOST:PORT of the coordinator.")] = "127.0.0.1:7420",
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every 2 seconds, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object; with --watch, one a line.")] = False,
) -> None:
    """Show what a running coordinator does: memory and compute beside their budgets, models, devices.

    A model has two figures beside what it did: how many losses a run on every stream that waits for it would prevent
    now, and how many a second it prevents by staying loaded. An answer that disagrees with what the model would have
    said is one loss.
    """
    target = checked(_Target, {"address": address}, where="the address").address
    with open_channel(target, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key) as channel:
        stub = edge_pb2_grpc.EdgeStub(channel)  # type: ignore[no-untyped-call]
        status = _ask(stub, target, token)
        if json:
            print(as_json(status), flush=True)
            while watch:
                time.sleep(_WATCH_EVERY_S)
                print(as_json(_ask(stub, target, token)), flush=True)
            return
        console = Console()
        if not watch:
            console.print(as_tables(status))
            return
        with Live(as_tables(status), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(_WATCH_EVERY_S)
                before, status = status, _ask(stub, target, token)
                live.update(as_tables(status, before), refresh=True)


def top_command(
    address: Annotated[str, typer.Argument(help="HOST:PORT of the coordinator.")] = "127.0.0.1:7420",
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    every_s: Annotated[float, typer.Option("--every", help="Seconds between two looks.", min=0.1, max=3600.0)] = 1.0,
    looks: Annotated[int | None, typer.Option(help="End after so many; without it, at q.", min=1)] = None,
) -> None:
    """Watch a running coordinator: streams, models, memory and compute, rates and latencies, what runs now.

    q ends it. Without a terminal it prints a line a look.
    """
    target = checked(_Target, {"address": address}, where="the address").address
    console = Console()
    with open_channel(target, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key) as channel, ExitStack() as stack:
        stub = edge_pb2_grpc.EdgeStub(channel)  # type: ignore[no-untyped-call]
        # The first look must succeed; later ones go on trying, as a coordinator may be started again.
        change, note = Change(_ask(stub, target, token)), ""
        keys = stack.enter_context(_open_keys())
        live = None
        if console.is_terminal:
            live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
        for look in itertools.count(1):
            if live is None:
                print(note or as_line(change, clock=f"{datetime.now():%H:%M:%S}"), flush=True)
            else:
                live.update(as_screen(change, height=console.height, note=note), refresh=True)
            if look == looks or keys.wait(every_s) == "q":
                return
            try:
                change, note = Change(_ask(stub, target, token), change.now), ""
            except Unavailable as error:
                note = str(error)


def health_command(
    address: Annotated[str, typer.Argument(help="HOST:PORT of the coordinator.")] = "127.0.0.1:7420",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> None:
    """Say whether a coordinator serves: exit code 0 if it does. No token is needed; container engines ask so."""
    target = checked(_Target, {"address": address}, where="the address").address
    with open_channel(target, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_ANSWERS_WITHIN_S
            )
        except grpc.RpcError as error:
            raise our_error(error, target) from error
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        raise Unavailable(f"{target}: does not serve: it is starting or stopping")
    print("serving")


def _ask(stub: Any, address: str, token: str) -> edge_pb2.StatusReply:
    metadata = [("authorization", f"Bearer {token}")] if token else []
    try:
        reply: edge_pb2.StatusReply = stub.GetStatus(
            edge_pb2.StatusRequest(), metadata=metadata, timeout=_ANSWERS_WITHIN_S
        )
    except grpc.RpcError as error:
        raise our_error(error, address) from error
    return reply


def our_error(error: Any, address: str) -> InfilinkError:
    """What a call to a coordinator failed of, as an error of ours.

    Args:
        error: gRPC's.
        address: the coordinator's.
    """
    code, details = error.code(), " ".join(str(error.details() or "").split())[:300]
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return InvalidInput(f"{address}: {details}: give the coordinator's `token` as --token")
    if code == grpc.StatusCode.PERMISSION_DENIED:
        return InvalidInput(f"{address}: {details}")
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return InvalidInput(f"{address}: what listens there is not an infilink coordinator")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable(f"{address}: no answer within {_ANSWERS_WITHIN_S:g} s: it may still be loading its models")
    return Unavailable(
        f"nobody answers at {address}: start it with `infilink cloud --config cloud.toml`, give its `listen` as the "
        f"address, and --tls-ca if it uses TLS ({details})"
    )


class _Keys:
    """What is pressed.

    Args:
        descriptor: the terminal's; None: there is none.
    """

    def __init__(self, descriptor: int | None) -> None:
        self.descriptor = descriptor

    def wait(self, seconds: float) -> str:
        """The next key, as soon as it is pressed; empty: none was in that time."""
        if self.descriptor is None:
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        # A terminal that is gone says nothing more.
        return (os.read(self.descriptor, 1).decode(errors="replace") or "q") if ready else ""


@contextmanager
def _open_keys() -> Iterator[_Keys]:
    """The keys of the terminal that this command was started from, which is as before when the body ends."""
    if not sys.stdin.isatty():
        yield _Keys(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        # Cbreak, not raw: Ctrl-C still interrupts.
        tty.setcbreak(descriptor)
        yield _Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
