"""Those whom the configuration names to publish to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ...errors import InvalidInput
from .hub import Hub
from .settings import MqttConfig, WebhookConfig
from .webhook import Webhook

logger = logging.getLogger(__name__)

_AGAIN_S = 10.0


def start_publishing(hub: Hub, mqtt: MqttConfig | None, webhook: WebhookConfig | None) -> list[asyncio.Task[None]]:
    """A task for each, which ends when it is cancelled or the hub is closed.

    Raises:
        InvalidInput: a package for it is missing.
    """
    runs: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    if webhook is not None:
        runs.append(("webhook", Webhook(webhook, hub).run))
    if mqtt is not None:
        try:
            from .mqtt import MqttPublisher
        except ModuleNotFoundError as error:
            raise InvalidInput(f"[mqtt] needs the package {error.name!r}: pip install 'infilink[mqtt]'") from error
        runs.append(("mqtt", MqttPublisher(mqtt, hub).run))
    return [asyncio.create_task(_kept_up(name, run)) for name, run in runs]


async def _kept_up(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """What nobody expected ends no publishing for good."""
    while True:
        try:
            await run()
            return
        except Exception:
            logger.exception("%s: failed; begun anew", name)
            await asyncio.sleep(_AGAIN_S)
