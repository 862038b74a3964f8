"""`infilink fleet`: the devices of a running coordinator, and what becomes of them."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import InvalidInput
from ..protos import fleet_pb2, fleet_pb2_grpc
from .asking_cli import HERE, AddressOption, Caller, JsonOption, plain
from .security.text import printable
from .status_cli import TlsCaOption, TlsCertOption, TlsKeyOption, TokenOption

DeviceArgument = Annotated[str, typer.Argument(help="The device.")]
_DONE = {
    "paused": "holds its inputs from now on; `infilink fleet resume {name}` lets it go on",
    "drained": "finishes what is on its way and stays away; `infilink fleet resume {name}` lets it come back",
    "revoked": "is connected no more, and what it proves itself with holds no more",
    "": "goes on",
}


def list_command(
    address: AddressOption = HERE,
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the devices that a running coordinator knows: connected or not, what was said of each, what is wrong."""
    caller = Caller(address, token, tls_ca, tls_cert, tls_key)
    reply = caller.ask(fleet_pb2_grpc.FleetStub, "List", fleet_pb2.ListFleet())
    if as_json:
        print(json.dumps(plain(reply)))
        return
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for column in ("device", "now", "last seen", "version", "streams", "enrolled", "what is wrong"):
        table.add_column(column, overflow="fold")
    for device in reply.devices:
        said = f"{device.state} by {device.by}" if device.state else ""
        now = ", ".join(filter(None, ["connected" if device.connected else "", said])) or "not connected"
        table.add_row(
            escape(printable(device.name)),
            escape(printable(now)),
            _clock(device.heard_us),
            escape(printable(device.version)),
            str(len(device.streams)),
            device.enrolled,
            escape(printable("; ".join(device.faults))),
        )
    Console().print(table if reply.devices else "no device has connected yet")


def _changes(action: "fleet_pb2.FleetAction", told: str) -> Callable[..., None]:
    """A command that says one thing of a device; `told` is its help."""

    def command(
        name: DeviceArgument,
        address: AddressOption = HERE,
        token: TokenOption = "",
        tls_ca: TlsCaOption = None,
        tls_cert: TlsCertOption = None,
        tls_key: TlsKeyOption = None,
    ) -> None:
        request = fleet_pb2.ChangeDevice(name=name, action=action)
        device = Caller(address, token, tls_ca, tls_cert, tls_key).ask(fleet_pb2_grpc.FleetStub, "Change", request)
        print(f"{device.name}: {_DONE.get(device.state, device.state).format(name=device.name)}")

    command.__doc__ = told
    return command


pause_command = _changes(
    fleet_pb2.FLEET_ACTION_PAUSE,
    "Have a device hold its inputs: with a spool they wait on its disk. It stays so until it is resumed.",
)
drain_command = _changes(
    fleet_pb2.FLEET_ACTION_DRAIN,
    "Have a device finish what is on its way, end its connections, and stay away until it is resumed.",
)
resume_command = _changes(fleet_pb2.FLEET_ACTION_RESUME, "Let a device go on that was paused or drained.")
revoke_command = _changes(
    fleet_pb2.FLEET_ACTION_REVOKE,
    "End a device's connections now; its certificate or token holds no more. Only a new enrollment brings it back.",
)


def enroll_command(
    name: Annotated[str, typer.Argument(help="What the new device is called.")],
    minutes: Annotated[int, typer.Option(help="How long the code holds.", min=1, max=1440)] = 15,
    phone: Annotated[bool, typer.Option("--phone", help="For a phone: show what it scans.")] = False,
    address: AddressOption = HERE,
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a code by which one new device becomes known to a running coordinator, and print it, this once.

    The device gets a certificate of its own, or a token where the coordinator knows devices by tokens. What another
    device of that name has holds no more then.
    """
    request = fleet_pb2.NewCodeRequest(name=name, minutes=minutes)
    reply = Caller(address, token, tls_ca, tls_cert, tls_key).ask(fleet_pb2_grpc.FleetStub, "NewCode", request)
    if as_json:
        print(json.dumps(plain(reply)))
        return
    if phone:
        _show_phone(name, reply, minutes)
        return
    print(f"infilink device enroll --coordinator {address.rpartition(':')[0]}:{reply.port} --code {reply.code}")
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(
        f"run that on the device within {minutes} minutes, with the coordinator's address as the device knows it; it "
        f"gets a {reply.gives} of its own"
    )


def _show_phone(name: str, reply: "fleet_pb2.NewCodeReply", minutes: int) -> None:
    # Late: it needs a package that whoever asks for help has no use for.
    from .phones.scanned import as_text, with_code

    if not reply.phone_page:
        raise InvalidInput(
            "phones can't come in there: start the coordinator with `infilink cloud --phone`, or give it `tls_cert`, "
            "`tokens` and `dashboard_listen` (docs/DASHBOARD.md)"
        )
    address = with_code(reply.phone_page, reply.code)
    print(f"{as_text(address, colours=sys.stdout.isatty())}\n{address}")
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(
        f"scan it with the phone that is to be {name}, or open it there, within {minutes} minutes; it counts once"
    )


def init_authority_command(
    out: Annotated[Path, typer.Option(help="The folder to write ca.pem and ca.key to.")] = Path("authority"),
) -> None:
    """Make who signs the certificates of devices: ca.pem, and its key, which only you can read."""
    from .fleet.authority import make_authority

    cert, key = make_authority(out)
    print(f'wrote {cert} and {key}; in cloud.toml: tls_client_ca = "{cert}", tls_client_ca_key = "{key}"')


def _clock(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6):%Y-%m-%d %H:%M:%S}" if at_us else "-"
