"""Results at a real web server: in order, tried again, given up, and never more than may wait."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain

import pytest
from infilink.cloud.publishing.deliveries import Deliveries
from infilink.cloud.publishing.hub import Hub, Selection, Subscription
from infilink.cloud.publishing.settings import WebhookConfig
from infilink.cloud.publishing.webhook import Webhook
from pydantic import ValidationError

from ..ledger.conftest import ONE_PERSON, answered, output


class Receiver(HTTPServer):
    """Answers with the statuses that it was given, the last of them from then on."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.requests: list[tuple[dict, dict]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?key=secret"

    def sequences(self) -> list[list[int]]:
        return [[each["sequence"] for each in body["results"]] for _, body in self.requests]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((dict(self.headers), json.loads(body)))
        status = self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0]
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def post(receiver: Receiver | str, answers, **settings) -> Webhook:
    """A webhook that has posted these, and ended."""
    url = receiver if isinstance(receiver, str) else receiver.url

    async def story() -> Webhook:
        hub = Hub(clock_ns=lambda: 0)
        webhook = Webhook(WebhookConfig(url=url, **settings), hub, retry_s=0.001)
        running = asyncio.create_task(webhook.run())
        while not hub._subscriptions:
            await asyncio.sleep(0)
        for each in answers:
            hub.publish(each)
        hub.close()
        await running
        return webhook

    return asyncio.run(story())


def test_results_come_in_order_with_what_they_say(receiver):
    webhook = post(receiver, map(answered, range(250)), changes=False, token="open sesame")
    assert [len(group) for group in receiver.sequences()] == [100, 100, 50]
    assert [*chain(*receiver.sequences())] == list(range(250)) and webhook.deliveries.sent == 250
    headers, body = receiver.requests[0]
    assert headers["Authorization"] == "Bearer open sesame" and headers["Content-Type"] == "application/json"
    first = body["results"][3]
    assert (first["device"], first["session"], first["captured_s"]) == ("camera", "s", 0.6)
    assert first["answered"] == "1970-01-01T00:00:00.000000Z" and first["missed"] == 0
    assert first["models"]["detector"]["classes"] == {"person": 1}
    assert first["models"]["scene"]["state"] == "night" and first["models"]["scene"]["origin"] == "executed"
    assert first["models"]["level"]["value"] == [3.5]


def test_only_changes_of_the_devices_and_models_that_are_named(receiver):
    boxes = (ONE_PERSON, ONE_PERSON, ONE_PERSON[:0])
    answers = [answered(number, output("detector", each), output("scene")) for number, each in enumerate(boxes)]
    post(receiver, [*answers, answered(9, device="yard")], devices=["cam*"], models=["detector"])
    assert [*chain(*receiver.sequences())] == [0, 2]
    assert set(receiver.requests[0][1]["results"][0]["models"]) == {"detector"}


def test_what_fails_is_tried_again_and_nothing_overtakes_it(receiver, caplog):
    receiver.statuses = [503, 429, 200]
    webhook = post(receiver, map(answered, range(120)), changes=False)
    first = list(range(100))
    assert receiver.sequences() == [first, first, first, list(range(100, 120))]
    told = webhook.deliveries
    assert (told.sent, told.failures, told.dropped, told.waiting, told.connected) == (120, 2, 0, 0, True)
    (text,) = caplog.messages
    assert "status 503" in text and "secret" not in text


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (400, 1), (307, 1)])
def test_what_does_not_work_is_given_up(receiver, status, tries):
    receiver.statuses = [status]
    webhook = post(receiver, [answered(1)], tries=3)
    assert len(receiver.requests) == tries and (webhook.deliveries.sent, webhook.deliveries.dropped) == (0, 1)
    assert webhook.deliveries.failures == tries and not webhook.deliveries.connected


def test_nobody_there_is_told_and_given_up(caplog):
    webhook = post("http://127.0.0.1:1/", [answered(1)], tries=2)
    assert webhook.deliveries.given_up == 1 and "refused" in caplog.text


def test_what_waits_is_counted_and_what_is_left_out_stays_counted():
    waiting, deliveries = Subscription(Selection(), most_bytes=1), Deliveries()
    deliveries.begin(waiting)
    for number in range(5):
        waiting.offer(answered(number), 0)
    assert (deliveries.waiting, deliveries.dropped) == (1, 4)
    deliveries.end()
    assert (deliveries.waiting, deliveries.dropped) == (0, 5), "nobody sends what waited"
    deliveries.begin(Subscription(Selection()))
    assert deliveries.dropped == 5
    deliveries.end()


@pytest.mark.parametrize("url", ["ftp://host/", "host/hook", "http://", "https://me:secret@host/"])
def test_what_is_no_url_to_post_to_is_refused_without_its_password(url):
    with pytest.raises(ValidationError) as raised:
        WebhookConfig(url=url)
    assert "must" in str(raised.value.errors()[0]["msg"]) and "secret" not in raised.value.errors()[0]["msg"]
