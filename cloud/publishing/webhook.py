"""Posts results to a URL as JSON, in order, some at a time; what fails is tried again, and in the end given up."""

import asyncio
import json
import logging
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from ... import __version__
from ...errors import InvalidInput
from ...protos import edge_pb2
from ...protos.arrays import read_array
from ..ledger.viewer_time import iso_utc
from .deliveries import Deliveries
from .hub import Hub, News, Selection, Subscription
from .settings import WebhookConfig
from .summary import SUMMED_UP, summary_of

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 100
_FIRST_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
_TRIED_AGAIN = (408, 425, 429)
_ORIGINS = {number: name.removeprefix("ORIGIN_").lower() for name, number in edge_pb2.Origin.items()}


class Webhook:
    """Posts to one URL: one request at a time, so that results come in their order.

    While a request is tried again results wait, as many as the hub keeps for a reader; the oldest of more are left out,
    and the next result says how many. A request that fails `tries` times, or is refused as wrong (status 4xx), is given
    up.

    Args:
        config: where to, and what.
        hub: where results come from.
        retry_s: how long to wait before the first new try; twice as long before each further one.

    Attributes:
        deliveries: what became of the results.
    """

    def __init__(self, config: WebhookConfig, hub: Hub, *, retry_s: float = _FIRST_RETRY_S) -> None:
        self.config = config
        self.hub = hub
        self.retry_s = retry_s
        self.deliveries = Deliveries()
        self._failing = False
        parts = urlsplit(config.url)
        # What a URL's path or query holds may be a secret.
        self._name = f"{parts.scheme}://{parts.hostname}/..."

    async def run(self) -> None:
        """Posts until cancelled, or until the hub is closed and what waited is posted."""
        config = self.config
        subscription = self.hub.subscribe(Selection(config.devices, config.models, changes=config.changes))
        self.deliveries.begin(subscription)
        try:
            while group := await _some(subscription):
                body = json.dumps({"results": [_record(news) for news in group]}, ensure_ascii=False).encode()
                if await self._deliver(body):
                    self.deliveries.sent += len(group)
                else:
                    self.deliveries.given_up += len(group)
        finally:
            self.deliveries.end()
            self.hub.leave(subscription)

    async def _deliver(self, body: bytes) -> bool:
        wait_s = self.retry_s
        for left in range(self.config.tries - 1, -1, -1):
            failure, again = await asyncio.to_thread(_post, self.config, body)
            self.deliveries.connected = not failure
            if not failure:
                self._failing = False
                return True
            self.deliveries.failures += 1
            if not self._failing:
                logger.warning("webhook: %s: %s (told once until it works)", self._name, failure)
            self._failing = True
            if not again:
                return False
            if left:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_RETRY_S)
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere would become a GET without its body."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(config: WebhookConfig, body: bytes) -> tuple[str, bool]:
    """Why a request failed (empty: it did not), and whether it may succeed another time."""
    headers = {"Content-Type": "application/json", "User-Agent": f"infilink/{__version__}"}
    if config.token is not None:
        headers["Authorization"] = f"Bearer {config.token.get_secret_value()}"
    request = urllib.request.Request(config.url, body, headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=config.timeout_s):
            return "", False
    except HTTPError as error:
        error.close()
        return f"status {error.code}", error.code >= 500 or error.code in _TRIED_AGAIN
    except (URLError, HTTPException, OSError, ValueError) as error:
        return str(getattr(error, "reason", "") or error or type(error).__name__), True


async def _some(subscription: Subscription) -> list[News]:
    """What waits, at least one; none: there will be no more."""
    first = await subscription.next()
    group = [] if first is None else [first]
    while group and len(group) < _MOST_AT_ONCE and subscription.waiting:
        following = await subscription.next()
        assert following is not None, "something waits"
        group.append(following)
    return group


def _record(news: News) -> dict[str, Any]:
    message = news.message
    return {
        "device": message.device,
        "session": message.session,
        "sequence": message.sequence,
        "captured_s": message.captured_ns / 1e9,
        "answered": iso_utc(message.answered_us),
        "missed": message.missed,
        "models": {output.model: _model(news, output) for output in message.outputs},
    }


def _model(news: News, output: edge_pb2.Output) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": output.kind,
        "digest": output.digest,
        "origin": _ORIGINS.get(output.origin, ""),
        "confidence": round(output.confidence, 4),
        "trusted": output.trusted,
        "sources": list(output.sources),
    }
    spec = news.specs.get(output.model)
    if spec is not None and spec.output.kind in SUMMED_UP:
        told |= summary_of(output, spec)
        try:
            told["value"] = read_array(output).tolist()
        except InvalidInput:
            told["value"] = None
    return told
