"""A device's stream over a WebSocket: the messages of `Edge.Connect`, each a binary message, for browsers."""

import logging
from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ...errors import InfilinkError, InvalidInput, Unavailable
from ...protos import edge_pb2
from ..security.caller import called_by
from ..security.message_size import check_device_message
from ..security.text import for_outside
from ..services.edge import EdgeService
from ..services.http_server import http_status
from .access import Access, is_from_elsewhere

logger = logging.getLogger(__name__)

_CODES = 4000
"""Where WebSocket codes begin that are an application's own: what HTTP calls 401 is 4401 here."""
_LONGEST_REASON_BYTES = 123
_FAILED = "the coordinator failed; its log says how"


class PhoneUplink:
    """`/phone/edge`: serves devices that speak from a browser.

    Args:
        edge: what serves them, as it does those that call over gRPC.
        access: knows who calls, by the cookie of the pages.
    """

    def __init__(self, edge: EdgeService, access: Access) -> None:
        self.edge = edge
        self.access = access

    async def serve(self, websocket: WebSocket) -> None:
        """Serves one stream; one that ends with an error is closed with a code and the reason in words."""
        if is_from_elsewhere(websocket):
            await websocket.close()  # Not accepted: 403.
            return
        await websocket.accept()
        try:
            with called_by(self.access.caller(websocket, "device")):
                await self.edge.converse(self._messages(websocket), _Writer(websocket).write)
        except WebSocketDisconnect:
            return
        except InfilinkError as error:
            await _end(websocket, _CODES + http_status(error), for_outside(str(error)))
        except Exception:
            logger.exception("a phone's stream failed")
            await _end(websocket, _CODES + 500, _FAILED)
        else:
            await _end(websocket, 1000, "")

    async def _messages(self, websocket: WebSocket) -> AsyncIterator[edge_pb2.DeviceMessage]:
        """What the device says; of each message it is looked at who sends it, and then at its bytes."""
        began = self.access.caller(websocket, "device")
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            now = self.access.caller(websocket, "device")
            if (now.name, now.scopes, now.bindings) != (began.name, began.scopes, began.bindings):
                raise Unavailable(f"what {began.name} may do has changed: connect again")
            data = message.get("bytes")
            if data is None:
                raise InvalidInput("a device speaks in binary messages, each a DeviceMessage of protos/edge.proto")
            yield parsed(data)
            del message, data  # Else they stay until the next one comes.


class _Writer:
    """Sends what a device hears."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def write(self, message: edge_pb2.CoordinatorMessage) -> None:
        """Sends one message."""
        if self._websocket.client_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnect(1006)
        await self._websocket.send_bytes(message.SerializeToString())


def parsed(data: bytes) -> edge_pb2.DeviceMessage:
    """A device's message.

    Raises:
        InvalidInput: these bytes are none, or may not be parsed.
    """
    check_device_message(data)
    message = edge_pb2.DeviceMessage()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise InvalidInput(f"{len(data)} bytes are no message of a device") from None
    return message


async def _end(websocket: WebSocket, code: int, text: str) -> None:
    """Closes a stream. The whole text goes before, as a Notice: a WebSocket's reason is short."""
    if WebSocketState.DISCONNECTED in (websocket.client_state, websocket.application_state):
        return
    try:
        if text:
            notice = edge_pb2.CoordinatorMessage(notice=edge_pb2.Notice(text=text))
            await websocket.send_bytes(notice.SerializeToString())
        reason = text.encode()[:_LONGEST_REASON_BYTES].decode(errors="ignore")
        await websocket.close(code, reason)
    except WebSocketDisconnect:
        return
