"""New devices come to be known: for a code, which counts once, they get a certificate or a token of their own."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ...errors import InvalidInput
from ...protos.pin import pin_of
from ..config import CloudConfig
from ..phones.address import page_address
from ..security.caller import Caller
from ..security.tokens import add_token, read_tokens
from ..sessions.bounds import is_name
from .authority import Authority, read_request
from .codes import DEFAULT_MINUTES, MOST_MINUTES, Code, Codes
from .entries import FleetEntry
from .fleet import Fleet

Gives = Literal["certificate", "token"]


@dataclass(frozen=True)
class NewCode:
    """A code, to be shown once.

    Attributes:
        text: the code, and behind a dot what the device knows this coordinator by, if it has a certificate.
        expires_s: Unix time.
        gives: what the device gets.
        port: where it asks; 0: not known.
        phone_page: the address of the page where a phone takes it; empty: none can.
    """

    text: str
    expires_s: float
    gives: Gives
    port: int
    phone_page: str


@dataclass(frozen=True)
class Enrolled:
    """What a device got.

    Attributes:
        device: what it is called.
        certificate: in PEM; empty: it got a token.
        token: likewise.
        expires_s: Unix time; 0: it holds until it is revoked.
    """

    device: str
    certificate: bytes
    token: str
    expires_s: float


class Enrollment:
    """Makes codes, and takes them.

    Args:
        config: the coordinator's.
        fleet: its devices.
        unix_s: Unix time.
        codes: those that hold; None: none do yet.

    Attributes:
        port: where new devices ask, once that is known.
        devices_port: where devices connect, likewise.
        pages_port: where the web pages are, likewise.
        trusted: what devices are to trust, in PEM, where that is not the certificate itself but who has signed it.
        on_token: is called when the file of tokens has another one.

    Raises:
        InvalidInput: the authority can't be used.
    """

    def __init__(
        self, config: CloudConfig, fleet: Fleet, *, unix_s: Callable[[], float] = time.time, codes: Codes | None = None
    ) -> None:
        self.config = config
        self.fleet = fleet
        self.unix_s = unix_s
        self.codes = codes or Codes(unix_s=unix_s)
        self.port = self.devices_port = self.pages_port = 0
        self.trusted = b""
        self.on_token: Callable[[], None] = lambda: None
        self._taking = asyncio.Lock()
        fleet.on_revoked, fleet.enrolls = self.codes.cancel, self.can_give
        self._authority: Authority | None = None
        if config.tls_client_ca is not None and config.tls_client_ca_key is not None:
            self._authority = Authority(config.tls_client_ca, config.tls_client_ca_key)

    @property
    def gives(self) -> Gives:
        """What new devices get.

        Raises:
            InvalidInput: nothing that they could prove themselves with.
        """
        if self._authority is not None:
            return "certificate"
        if self.config.tls_client_ca is not None:
            raise InvalidInput(
                "devices show certificates here (`tls_client_ca`), and there is no key to sign new ones with: give "
                "`tls_client_ca_key`, and `enroll_listen`"
            )
        if self.config.tokens is None:
            raise InvalidInput(
                "there is nothing to give a new device: set `tokens` (a token each), or `tls_client_ca` with "
                "`tls_client_ca_key` (a certificate each; docs/SECURITY.md)"
            )
        return "token"

    def can_give(self) -> bool:
        """Whether there is something to give to new devices."""
        try:
            return bool(self.gives)
        except InvalidInput:
            return False

    async def new_code(self, device: str, by: Caller, *, minutes: int = 0) -> NewCode:
        """A code by which a device of this name enrolls.

        Raises:
            InvalidInput: that can be no device, no such time, or there is nothing to give it.
            Overloaded: too many codes wait to be used.
        """
        if not is_name(device):
            raise InvalidInput("`name`: 1 to 100 letters, digits, '.', '_', '-', beginning with a letter or digit")
        minutes = minutes or DEFAULT_MINUTES
        if minutes > MOST_MINUTES:
            raise InvalidInput(f"`minutes`: at most {MOST_MINUTES}, not {minutes}")
        gives, pin = self.gives, await asyncio.to_thread(self._pin)
        page = await asyncio.to_thread(self._phone_page)
        text, code = self.codes.new(device, by.name, minutes)
        self.fleet.note(device, f"may enroll within {minutes} minutes (code by {by.name})")
        return NewCode(f"{text}.{pin}" if pin else text, code.expires_s, gives, self.port, page)

    def unused_name(self, kind: str) -> str:
        """A name that no device has yet: "phone-1".

        Args:
            kind: what it begins with.

        Raises:
            InvalidInput: the file of tokens can't be read.
        """
        used = {*self.fleet.entries.all, *(key.device for key in self.fleet.coordinator.sessions)}
        if self.config.tokens is not None:
            used.update(read_tokens(self.config.tokens))
        return next(name for number in count(1) if (name := f"{kind}-{number}") not in used)

    async def enroll(self, text: str, request: bytes, address: str) -> Enrolled:
        """Takes a code.

        Args:
            text: the code, without what follows its dot.
            request: for a certificate, in PEM.
            address: who asks.

        Raises:
            NotKnown: there is no such code any more.
            Overloaded: too many wrong codes came, or it can't be kept now.
            InvalidInput: the request is none.
        """
        async with self._taking:
            code = self.codes.find(text[:100], address)
            if self._authority is not None:
                read_request(request)
            # What was shown before is over, and all times are in whole seconds.
            revoked_s = max(self.fleet.entries.of(code.device).revoked_s, int(self.unix_s()) - 1)
            while int(self.unix_s()) <= revoked_s:
                await asyncio.sleep(0.05)
            enrolled = await self._give(code, request)
            now_us = int(self.unix_s() * 1e6)
            entry = FleetEntry(
                code.device,
                by=code.by,
                since_us=now_us,
                revoked_s=revoked_s,
                enrolled=self.gives,
                enrolled_us=now_us,
                expires_us=int(enrolled.expires_s * 1e6),
            )
            # Where that fails nobody gets what was made; the code still holds.
            await self.fleet.enrolled(entry)
            self.codes.use(text[:100])
        return enrolled

    async def renew(self, device: str, request: bytes, *, since_s: float) -> Enrolled:
        """The next certificate of a device that has shown its present one; that one holds until it ends.

        Args:
            device: the name in it; empty: none was shown.
            request: for a certificate, in PEM.
            since_s: Unix time when the present one was made.

        Raises:
            InvalidInput: no certificate was shown, the request is none, or no certificates are given here.
            NotAllowed: the device was revoked since.
            Overloaded: it can't be kept now.
        """
        if not is_name(device):
            raise InvalidInput("who shows no certificate of a device can't have it renewed: enroll it")
        if self._authority is None:
            raise InvalidInput("no certificates are given here (`tls_client_ca_key` in cloud.toml): make it by hand")
        now = datetime.fromtimestamp(int(self.unix_s()), UTC)
        days = self.config.enroll_days
        signed, ends = await asyncio.to_thread(self._authority.sign, request, device, days=days, now=now)
        # Where that fails nobody gets what was made.
        await self.fleet.renewed(device, since_s=since_s, expires_s=ends.timestamp())
        return Enrolled(device, signed, "", ends.timestamp())

    async def _give(self, code: Code, request: bytes) -> Enrolled:
        now = datetime.fromtimestamp(int(self.unix_s()), UTC)
        if self._authority is not None:
            days = self.config.enroll_days
            signed, ends = await asyncio.to_thread(self._authority.sign, request, code.device, days=days, now=now)
            return Enrolled(code.device, signed, "", ends.timestamp())
        assert self.config.tokens is not None, "gives"
        token = await asyncio.to_thread(
            add_token,
            self.config.tokens,
            code.device,
            scopes=("device",),
            devices=(code.device,),
            days=None,
            replaces=True,
        )
        self.on_token()
        return Enrolled(code.device, b"", token, 0.0)

    def _phone_page(self) -> str:
        config = self.config
        if not self.pages_port or config.dashboard_listen is None or config.tls_cert is None:
            return ""
        return page_address(config, self.pages_port) if self.gives == "token" else ""

    def _pin(self) -> str:
        """What devices know this coordinator's certificate by; empty: it has none."""
        if self.config.tls_cert is None:
            return ""
        own = x509.load_pem_x509_certificates(self.config.tls_cert.read_bytes())[0]
        return pin_of(own.public_bytes(Encoding.DER))
