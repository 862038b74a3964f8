"""Where a phone finds its page: by a name or an address that the certificate is for."""

from pathlib import Path

from cryptography import x509

from ..config import CloudConfig
from .host import Host, address_outward, this_host

PAGE = "/phone/start"
"""The page by which phones come in."""


def page_address(config: CloudConfig, port: int) -> str:
    """The address to open on a phone.

    Args:
        config: the coordinator's, with pages that travel by TLS.
        port: theirs.
    """
    assert config.dashboard_listen is not None and config.tls_cert is not None, "pages by TLS"
    host = config.dashboard_listen.rpartition(":")[0]
    if host in ("0.0.0.0", "[::]"):
        host = reached_by(config.tls_cert, this_host())
    return f"https://{host}:{port}{PAGE}"


def reached_by(cert: Path, host: Host) -> str:
    """How others name this machine, so that its certificate fits.

    By an address, if it is for one: a name needs somebody who knows it.
    """
    own = x509.load_pem_x509_certificates(cert.read_bytes())[0]
    try:
        named = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        named = x509.SubjectAlternativeName([])
    certified = set(named.get_values_for_type(x509.IPAddress))
    outward = address_outward()
    here = [each for each in (outward, *host.addresses) if each is not None and not each.is_loopback]
    for each in here:
        if each in certified:
            return f"[{each}]" if each.version == 6 else str(each)
    for name in named.get_values_for_type(x509.DNSName):
        if name != "localhost" and not name.startswith("*"):
            return name
    return str(outward or host.names[-1])
