"""A live preview: the newest picture of each stream with its results, for a browser on this machine."""

import html
import json
import logging
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from ...codec import encode_jpeg
from ...errors import InvalidInput
from ...settings import is_loopback
from .delivered import Delivered, EventPicture
from .drawing import draw_results, scaled
from .settings import PreviewConfig

logger = logging.getLogger(__name__)

_QUALITY = 80
_VIEWERS = 8
_BOUNDARY = "infilink"
_NEWS_WITHIN_S = 2.0
_SOCKET_TIMEOUT_S = 10.0
_POLL_S = 0.05
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{device}: live preview</title>
<style>body {{ font-family: sans-serif; background: #222; color: #ddd; }}
figure {{ display: inline-block; margin: .5em; }}
img {{ max-width: 100%; min-width: 16em; min-height: 9em; background: #000; }} a {{ color: #9cf; }}</style></head>
<body><h1>{device}</h1>
<p>Boxes by trust: green exact, blue certified, orange unsure, grey uncalibrated, red revoked; thin ones are of an
earlier input. <a href="/results.json">results.json</a></p>
{figures}
</body></html>
"""
_FIGURE = '<figure><img src="/stream/{path}.mjpeg" alt="{name}"><figcaption>{name}</figcaption></figure>'


class _Newest:
    """The newest input of a stream, drawn when somebody looks."""

    def __init__(self, delivered: Delivered, number: int) -> None:
        self.delivered = delivered
        self.number = number
        self._jpeg = b""
        self._lock = threading.Lock()

    def jpeg(self, longest_side: int) -> bytes:
        """Its picture with what is known; made once for all who look."""
        with self._lock:
            if not self._jpeg and self.delivered.picture is not None:
                picture = scaled(self.delivered.picture.pixels(), longest_side)
                draw_results(picture, self.delivered)
                self._jpeg = encode_jpeg(picture, _QUALITY)
            return self._jpeg


class Preview:
    """Serves the preview; nothing is drawn or encoded while nobody looks.

    Args:
        config: where.

    Attributes:
        address: HOST:PORT that it listens on.

    Raises:
        InvalidInput: nothing can listen there.
    """

    wants_pictures = True

    def __init__(self, config: PreviewConfig) -> None:
        self.config = config
        self._changed = threading.Condition()
        self._streams: dict[str, _Newest] = {}
        self._closed = False
        self._viewers = threading.BoundedSemaphore(_VIEWERS)
        host, _, port = config.listen.rpartition(":")
        kind = _Server6 if host.startswith("[") else _Server
        try:
            self._server = kind((host.strip("[]"), int(port)), self)
        except OSError as error:
            raise InvalidInput(f"sinks: preview: can't listen on {config.listen}: {error}") from error
        self.address = f"{host}:{self._server.server_port}"
        if is_loopback(config.listen):
            logger.info("preview: http://%s/", self.address)
        else:
            logger.warning(
                "preview: http://%s/ shows the pictures to everybody who reaches this machine, without a token and "
                'unencrypted: listen = "127.0.0.1:PORT" shows them here alone',
                self.address,
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), name="preview", daemon=True)
        self._thread.start()

    def take(self, delivered: Delivered) -> None:
        """Shows an input, until the next one of its stream."""
        if delivered.late:
            return
        with self._changed:
            before = self._streams.get(delivered.stream)
            self._streams[delivered.stream] = _Newest(delivered, 1 if before is None else before.number + 1)
            self._changed.notify_all()

    def take_event(self, event: EventPicture) -> None:
        """Of no interest here."""

    def close(self) -> None:
        """Ends the server, and whoever looks."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def newest(self, stream: str, after: int = 0) -> _Newest | None:
        """A stream's newest input, once there is a newer one than number `after`; None: it did not come in time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or ((found := self._streams.get(stream)) is not None and found.number > after),
                _NEWS_WITHIN_S if after else 0.0,
            )
            found = self._streams.get(stream)
            return found if found is not None and found.number > after and not self._closed else None

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    def enter(self) -> bool:
        """Whether one more may look; `leave` when that ends."""
        return self._viewers.acquire(blocking=False)

    def leave(self) -> None:
        """One fewer looks."""
        self._viewers.release()

    def page(self) -> bytes:
        """The page with all streams."""
        with self._changed:
            streams = {name: newest.delivered for name, newest in sorted(self._streams.items())}
        device = next((each.device for each in streams.values()), "infilink")
        figures = [
            _FIGURE.format(path=quote(name or "-", safe=""), name=html.escape(name or device)) for name in streams
        ]
        filled = {"device": html.escape(device), "figures": "\n".join(figures) or "<p>No input yet.</p>"}
        return _PAGE.format(**filled).encode()

    def results(self) -> bytes:
        """The newest results of all streams, as JSON."""
        with self._changed:
            found = {name: newest.delivered for name, newest in sorted(self._streams.items())}
        return json.dumps({name: each.as_json() for name, each in found.items()}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], preview: Preview) -> None:
        self.preview = preview
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever looks may go at any time: that is nothing to log."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "infilink"
    sys_version = ""
    timeout = _SOCKET_TIMEOUT_S

    def do_GET(self) -> None:
        """Answers."""
        preview = self.server.preview
        # A page elsewhere whose name was made to lead to this machine must not read what only this machine may see.
        if is_loopback(preview.config.listen) and not is_loopback(_with_port(self.headers.get("Host", ""))):
            self._answer(403, "text/plain", b"open it as http://127.0.0.1:PORT/\n")
            return
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(200, "text/html; charset=utf-8", preview.page())
        elif path == "/results.json":
            self._answer(200, "application/json", preview.results())
        elif path.startswith("/stream/") and path.endswith((".mjpeg", ".jpg")):
            name, _, ending = unquote(path.removeprefix("/stream/")).rpartition(".")
            self._show("" if name == "-" else name, moving=ending == "mjpeg")
        else:
            self._answer(404, "text/plain", b"there is /, /results.json, /stream/NAME.mjpeg and /stream/NAME.jpg\n")

    def _show(self, stream: str, *, moving: bool) -> None:
        preview = self.server.preview
        newest = preview.newest(stream)
        jpeg = b"" if newest is None else newest.jpeg(preview.config.longest_side)
        if newest is None or not jpeg:
            self._answer(404, "text/plain", b"there is no picture of such a stream (yet)\n")
            return
        if not moving:
            self._answer(200, "image/jpeg", jpeg)
            return
        if not preview.enter():
            self._answer(503, "text/plain", f"no more than {_VIEWERS} may look at once\n".encode())
            return
        try:
            number = newest.number
            self._head(200, {"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"})
            while not preview.is_closed:
                jpeg = b"" if newest is None else newest.jpeg(preview.config.longest_side)
                if newest is not None and jpeg:
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    number = newest.number
                newest = preview.newest(stream, after=number)
        finally:
            preview.leave()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {**_HEADERS, **headers}.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


def _with_port(host: str) -> str:
    """A `Host` header as HOST:PORT."""
    return host if host.rpartition(":")[2].isdigit() and ":" in host else f"{host}:80"
