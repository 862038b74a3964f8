"""What whoever starts the coordinator is told of phones: how one comes in now, and others later."""

import asyncio

from ..fleet.codes import DEFAULT_MINUTES
from ..fleet.enrollment import Enrollment
from ..security.caller import Caller
from .authority import LocalAuthority
from .scanned import as_text, with_code

_STARTER = Caller("who started the coordinator", frozenset({"operator"}))


async def invite(enrollment: Enrollment, authority: LocalAuthority | None, *, listen: str, shows_code: bool) -> str:
    """What whoever starts the coordinator is told of phones.

    Args:
        enrollment: makes the code.
        authority: who has signed the certificate, if that is this machine's own.
        listen: where devices connect.
        shows_code: whether nobody keeps what is printed; else there is no code in it.

    Raises:
        InfilinkError: no code can be made.
    """
    name = await asyncio.to_thread(enrollment.unused_name, "phone")
    asking = f"infilink enroll NAME --phone --coordinator {_here(listen)}"
    asking += "" if authority is None else f" --tls-ca {authority.for_devices}"
    if shows_code:
        code = await enrollment.new_code(name, _STARTER)
        address = with_code(code.phone_page, code.text)
        told = [
            as_text(address, colours=True),
            f"{name}: scan this with the phone's camera, or open there, once and within {DEFAULT_MINUTES} minutes:",
            f"  {address}",
            f"Another code: {asking}",
        ]
    else:
        told = [f"For a phone ({name} is free): {asking}"]
    if authority is not None:
        told += [
            "The phone warns of the certificate until it trusts this machine's authority (the page says how). SHA-256:",
            f"  {authority.fingerprint}",
        ]
    trust = "TLS" if authority is None else f'TLS (`tls_ca = "{authority.for_devices}"`, `--tls-ca`)'
    told += [
        f"Whoever calls needs {trust} and a token. Devices: `infilink enroll NAME`. You:",
        f"  infilink token new ME --scope operator --tokens {enrollment.config.tokens}",
    ]
    return "\n".join(told)


def _here(listen: str) -> str:
    """How commands on this machine call a service that listens there."""
    host, _, port = listen.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]") else listen
