"""By what names and addresses other machines reach this one."""

import re
import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import psutil

Address = IPv4Address | IPv6Address

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
# To be looked up in the table of routes; nothing is sent there.
_ELSEWHERE = ("192.0.2.1", 9)


@dataclass(frozen=True)
class Host:
    """A machine.

    Attributes:
        names: what it is called.
        addresses: where it is; none that holds on one cable only.
    """

    names: tuple[str, ...]
    addresses: tuple[Address, ...]


def this_host() -> Host:
    """This machine, as it is now."""
    found = {ip_address("127.0.0.1")}
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family in (socket.AF_INET, socket.AF_INET6):
                with suppress(ValueError):
                    found.add(ip_address(each.address.partition("%")[0]))
    kept = [each for each in found if not (each.is_link_local or each.is_multicast or each.is_unspecified)]
    return Host(names_of(socket.gethostname()), tuple(sorted(kept, key=lambda each: (each.version, each))))


def names_of(hostname: str) -> tuple[str, ...]:
    """The names of a machine that calls itself so: `localhost`, its name in the network, and `NAME.local`.

    A name of letters alone could be a whole domain of the internet ("dev", "box"), and a certificate for it would count
    for all in it: of such a machine there is `NAME.local` only.
    """
    name = hostname.lower().rstrip(".")
    if not _NAME.fullmatch(name) or name == "localhost":
        return ("localhost",)
    own = [] if name.isalpha() else [name]
    return ("localhost", *dict.fromkeys([*own, f"{name.partition('.')[0]}.local"]))


def address_outward() -> Address | None:
    """Where this machine is for those whom it calls itself: most likely for its network, too; None: it calls nobody."""
    with suppress(OSError), closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        asking.connect(_ELSEWHERE)
        found = ip_address(asking.getsockname()[0])
        return None if found.is_unspecified else found
    return None
