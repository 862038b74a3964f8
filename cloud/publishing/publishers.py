"""Those whom the configuration names to publish to."""

import asyncio
import logging

from ...errors import InvalidInput
from .deliveries import Publisher
from .hub import Hub
from .settings import MqttConfig, WebhookConfig
from .webhook import Webhook

logger = logging.getLogger(__name__)

_AGAIN_S = 10.0


def make_publishers(hub: Hub, mqtt: MqttConfig | None, webhook: WebhookConfig | None) -> dict[str, Publisher]:
    """Each by what it publishes to.

    Raises:
        InvalidInput: a package for it is missing.
    """
    made: dict[str, Publisher] = {}
    if webhook is not None:
        made["webhook"] = Webhook(webhook, hub)
    if mqtt is not None:
        try:
            from .mqtt import MqttPublisher
        except ModuleNotFoundError as error:
            raise InvalidInput(f"[mqtt] needs the package {error.name!r}: pip install 'infilink[mqtt]'") from error
        made["mqtt"] = MqttPublisher(mqtt, hub)
    return made


async def keep_up(name: str, publisher: Publisher) -> None:
    """Publishes until it is cancelled or the hub is closed: what nobody expected ends it not for good."""
    while True:
        try:
            await publisher.run()
            return
        except Exception:
            logger.exception("%s: failed; begun anew", name)
            await asyncio.sleep(_AGAIN_S)
