"""Why a device does not come to its coordinator, in words, and what of that another attempt would only repeat."""

import logging
import time
from typing import Any

import grpc

from ...errors import InfilinkError, InvalidInput, Unavailable
from ...protos.reach import NOTHING_LISTENS, why_unreachable
from ...settings import is_loopback
from ..config import DeviceConfig
from .connecting import is_silent

logger = logging.getLogger(__name__)

# Errors that another attempt would only repeat.
_FINAL = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
# How gRPC itself begins when it can't connect to an address, whatever the reason.
_NOBODY = "failed to connect to all addresses"
_LOOKS_WITHIN_S, _LOOKS_EVERY_S = 2.0, 20.0


class Reasons:
    """What keeps one device from its coordinator.

    Args:
        config: where that is, and how it is trusted.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self._seen, self._looks_again_s = ("", ""), 0.0

    def final(self, error: Any) -> InfilinkError | None:
        """What a connection ended with, if another attempt would only repeat it; None: it may not."""
        code = error.code()
        if code not in _FINAL:
            return None
        kind = InvalidInput if code == grpc.StatusCode.INVALID_ARGUMENT else Unavailable
        details = _details(error)
        if code == grpc.StatusCode.UNIMPLEMENTED:
            details = "what listens there is not an infilink coordinator"
        return kind(f"{self.config.coordinator}: {details}")

    def broken(self, error: Any) -> str:
        """Why a connection broke that stood."""
        if is_silent(error):
            return "nothing is heard any more"
        return _details(error) or str(error.code().name)

    def passing(self, error: Any) -> str:
        """Why an attempt failed that is to be repeated; empty: nobody is there, or nothing can be seen."""
        details = _details(error)
        if not details.startswith(_NOBODY):
            return f"{details} ({error.code().name})"
        # gRPC says again what it said a moment ago: so is what was seen then.
        now_s = time.monotonic()
        if details != self._seen[0] or now_s > self._looks_again_s:
            self._looks_again_s = now_s + _LOOKS_EVERY_S
            self._seen = (details, self.look())
        return self._seen[1]

    def look(self) -> str:
        """What keeps this device from the coordinator; empty where nobody is there, or nothing can be seen."""
        config = self.config
        tls = {"tls_ca": config.tls_ca, "tls_cert": config.tls_cert, "tls_key": config.tls_key}
        reason = why_unreachable(config.coordinator, **tls, timeout_s=_LOOKS_WITHIN_S)
        return "" if reason == NOTHING_LISTENS else reason


def tell_exposed(config: DeviceConfig) -> None:
    """Says what others could read: a token that travels as it is, a key that is not this user's alone."""
    if config.token and config.tls_ca is None and not is_loopback(config.coordinator):
        logger.warning("the token travels to %s without TLS: all on the way can read it", config.coordinator)
    if config.tls_key is not None and config.tls_key.exists() and config.tls_key.stat().st_mode & 0o077:
        logger.warning("%s: others on this machine can read the key: `chmod 600` it", config.tls_key)


def _details(error: Any) -> str:
    return " ".join(str(error.details() or "").split())[:300]
