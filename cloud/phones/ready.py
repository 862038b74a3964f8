"""What a coordinator needs before phones can come in, made where it is missing; and kept fit."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from ...errors import InfilinkError, InvalidInput
from ...settings import is_loopback
from ..config import CloudConfig
from ..security.tokens import begin_tokens
from .authority import LocalAuthority, now_utc
from .host import this_host

logger = logging.getLogger(__name__)

_LISTEN = "0.0.0.0:7480"
_LOOKS_EVERY_S = 60.0


def ready_for_phones(config: CloudConfig) -> tuple[CloudConfig, LocalAuthority | None]:
    """The settings, with what was missing; and the authority, if the certificate is its.

    Raises:
        InvalidInput: phones can't come in with these settings, or what is there can't be used.
    """
    if config.tls_client_ca is not None:
        raise InvalidInput(
            "`phone`: a phone's browser shows no certificate, which everybody has to here (`tls_client_ca`): leave one "
            "of the two out"
        )
    missing: dict[str, Any] = {}
    authority = None
    if config.tls_cert is None:
        authority = LocalAuthority(config.authority, this_host(), now_utc())
        missing |= {"tls_cert": authority.server_cert, "tls_key": authority.server_key}
    if config.tokens is None:
        tokens = config.authority.with_name("tokens.toml")
        begin_tokens(tokens)
        missing["tokens"] = tokens
    if config.dashboard_listen is None:
        missing["dashboard_listen"] = _LISTEN
    elif is_loopback(config.dashboard_listen):
        logger.warning(
            "%s (`dashboard_listen`): no phone reaches this; leave it out: %s", config.dashboard_listen, _LISTEN
        )
    if config.phone_filters is None:
        logger.warning("phones have no filter to run: name the folder of filters, `phone_filters` in cloud.toml")
    return config.model_copy(update=missing), authority


@asynccontextmanager
async def kept_renewed(authority: LocalAuthority, *, every_s: float = _LOOKS_EVERY_S) -> AsyncIterator[None]:
    """Renews the server's certificate while the body runs, as addresses change and its end comes near."""

    async def work() -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await asyncio.to_thread(lambda: authority.renew(this_host(), now_utc()))
            except (InfilinkError, OSError) as error:
                logger.error("the certificate is not renewed: %s", error)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
