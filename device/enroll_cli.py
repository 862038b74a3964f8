"""`infilink device enroll`: a new device gets a certificate or a token of its own, by a code."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InfilinkError, InvalidInput, NotAllowed, Overloaded, Unavailable
from ..files import write_secret
from ..settings import is_loopback
from .default_toml import DEFAULT_TOML
from .settings_text import with_settings

_ANSWERS_WITHIN_S = 30.0


def enroll_command(
    coordinator: Annotated[str, typer.Option(help="HOST:PORT where new devices ask; the code came with it.")],
    code: Annotated[str, typer.Option(help="The code, as `infilink enroll` or the fleet page has shown it.")],
    config: Annotated[
        Path, typer.Option(help="The agent's TOML file: changed where it is there, else written.")
    ] = Path("device.toml"),
    tls_ca: Annotated[
        Path | None, typer.Option(help="The certificate to trust; without it the one that the code is for.")
    ] = None,
) -> None:
    """Make this device known to a coordinator, by a code that counts once.

    Where the coordinator gives certificates, a private key is made here and stays here; else it gives a token. What
    comes back is written beside the settings, for nobody but this user, and the settings name it.
    """
    secret, _, pin = code.strip().partition(".")
    text = config.read_text(encoding="utf-8") if config.exists() else DEFAULT_TOML
    with_settings(text, {}, where=str(config))
    folder = config.parent
    trusted = tls_ca if tls_ca is not None else _trusted(coordinator, pin, folder)
    # Late: keys and gRPC are nothing for whoever asks for help.
    from .certificate import make_key, make_request

    try:
        key = make_key()
        request = make_request(key)
    except ModuleNotFoundError:
        key = request = b""
    reply = _ask(coordinator, secret, request, trusted)
    # Late, as below.
    from .config import NAME

    # Files are named by it, and who has answered may be anyone where there is no TLS.
    if re.fullmatch(NAME, reply.name) is None:
        raise InvalidInput(f"{coordinator}: names this device {reply.name[:100]!r}, which is no name of a device")
    if trusted is not None and tls_ca is None and reply.trusted:
        # The certificate will be renewed by who has signed it.
        trusted.write_bytes(reply.trusted)
    settings: dict[str, str] = {"name": reply.name, "coordinator": f"{coordinator.rpartition(':')[0]}:{reply.port}"}
    if trusted is not None:
        settings["tls_ca"] = _named(trusted, folder)
    if reply.certificate:
        cert_path, key_path = folder / f"{reply.name}.pem", folder / f"{reply.name}.key"
        write_secret(key_path, key)
        cert_path.write_bytes(reply.certificate)
        settings |= {"tls_cert": cert_path.name, "tls_key": key_path.name}
        got = f"a certificate of its own ({cert_path.name}; its key {key_path.name} stays here)"
    else:
        settings["token"] = reply.token
        got = f"a token of its own, which stands in {config.name}"
    write_secret(config, with_settings(text, settings, where=str(config)).encode())
    print(f"{reply.name}: has {got}; {config} names it and the coordinator at {settings['coordinator']}")
    if trusted is None and not is_loopback(coordinator):
        print("without TLS all on the way could read the token, now and whenever it is used (docs/SECURITY.md)")
    print(f"start it with: infilink device --config {config}")


def _trusted(coordinator: str, pin: str, folder: Path) -> Path | None:
    """The coordinator's certificate as a file, if it is the one that the code is for; None: there is no TLS."""
    # Late: gRPC and TLS are nothing for whoever asks for help.
    from ..protos.pin import fetch_pinned

    if not pin:
        return None
    path = folder / "coordinator.pem"
    path.write_text(fetch_pinned(coordinator, pin), encoding="ascii")
    return path


def _ask(coordinator: str, secret: str, request: bytes, trusted: Path | None) -> Any:
    """What the coordinator gives.

    Raises:
        InfilinkError: it gives nothing; the message says why.
    """
    import grpc

    from .. import __version__
    from ..protos import fleet_pb2, fleet_pb2_grpc
    from ..protos.channel import open_channel
    from ..protos.reach import why_unreachable

    message = fleet_pb2.EnrollRequest(code=secret, certificate_request=request, version=__version__)
    with open_channel(coordinator, tls_ca=trusted) as channel:
        stub = fleet_pb2_grpc.EnrollmentStub(channel)  # type: ignore[no-untyped-call]
        try:
            return stub.Enroll(message, timeout=_ANSWERS_WITHIN_S)
        except grpc.RpcError as error:
            raise _our_error(error, coordinator, trusted, has_request=bool(request), why=why_unreachable) from error


def _our_error(error: Any, coordinator: str, trusted: Path | None, *, has_request: bool, why: Any) -> InfilinkError:
    import grpc

    code, told = error.code(), f"{coordinator}: {' '.join(str(error.details() or '').split())[:300]}"
    if code == grpc.StatusCode.INVALID_ARGUMENT and not has_request:
        return InvalidInput(f"{told}. That takes a package: pip install 'infilink[enroll]'")
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return InvalidInput(f"{coordinator}: no device can enroll there: give the address that came with the code")
    kinds = {
        grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
        grpc.StatusCode.UNAUTHENTICATED: NotAllowed,
        grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
    }
    if code in kinds:
        return kinds[code](told)
    if code == grpc.StatusCode.UNAVAILABLE and "failed to connect" not in told:
        return Overloaded(told)
    reason = why(coordinator, tls_ca=trusted)
    return Unavailable(f"nobody answers at {coordinator}{f': {reason}' if reason else ''}")


def _named(path: Path, folder: Path) -> str:
    """A path as the settings name it: beside them by its name alone."""
    return path.name if path.parent == folder else str(path.absolute())
