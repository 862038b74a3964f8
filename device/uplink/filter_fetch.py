"""Fetches the file of a filter from the coordinator, over the connection that there is, and goes on where it broke."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from ...errors import InvalidInput, Unavailable
from ...protos import edge_pb2
from ...protos.filter_file import check_content, check_size

Pieces = Callable[[edge_pb2.FilterRequest], Iterator[Any]]
"""Asks the coordinator for a file, on the present connection."""
# What another attempt would only repeat.
_FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}


class FilterFetch:
    """Fetches for one stream.

    Args:
        device: the device's name.
        stream: the stream's; empty: its only one.
    """

    def __init__(self, device: str, stream: str) -> None:
        self.device = device
        self.stream = stream
        self._digest = ""
        self._came = bytearray()

    def fetch(self, wanted: edge_pb2.WantedFilter, ask: Pieces) -> bytes:
        """A filter's file, as it was said: no larger, and with that SHA-256.

        Raises:
            InvalidInput: it is none such, or the coordinator gives none.
            Unavailable: the connection broke; what came so far is kept for the next attempt.
        """
        check_size(wanted.size_bytes)
        if wanted.digest != self._digest:
            self._digest, self._came = wanted.digest, bytearray()
        request = edge_pb2.FilterRequest(
            device=self.device, stream=self.stream, digest=wanted.digest, offset_bytes=len(self._came)
        )
        try:
            for piece in ask(request):
                self._came += piece.content
                if len(self._came) > wanted.size_bytes:
                    raise InvalidInput(f"more came than the {wanted.size_bytes} bytes that were said: it is not used")
        except grpc.RpcError as error:
            code, told = error.code(), " ".join(str(error.details() or "").split())[:200]
            if code in _FINAL:
                raise InvalidInput(f"the coordinator does not give it: {told}") from error
            raise Unavailable(f"it did not come whole: {told or code.name}") from error
        finally:
            came = bytes(self._came)
            if len(came) >= wanted.size_bytes:
                self._digest, self._came = "", bytearray()
        if len(came) < wanted.size_bytes:
            raise Unavailable(f"it did not come whole: {len(came)} of {wanted.size_bytes} bytes")
        check_content(came, wanted.digest)
        return came
