"""What the pages show of each stream: its newest answer, and the newest picture that was sent with its answer."""

from collections import OrderedDict
from dataclasses import dataclass

from ...models.inputs.payload import Payload
from ...protos import edge_pb2
from ..ledger.rows import Answered

_MOST_STREAMS = 4096
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was kept.

    Attributes:
        answered: what was said, and by which models.
        at_us: Unix time.
        jpeg: the picture as it came; empty: none travelled, or it came as something else.
        still: a picture that came as H.264; None: none did.
    """

    answered: Answered
    at_us: int
    jpeg: bytes = b""
    still: Payload | None = None

    @property
    def size_bytes(self) -> int:
        """What its picture takes; that of one that refers to others is counted where these are."""
        return len(self.jpeg)


class Shown:
    """The newest answer and picture of each stream, within bounds on streams and on the pictures' bytes.

    Args:
        most_streams: of more the one that was silent for longest is forgotten.
        most_bytes: of more pictures the oldest are.
    """

    def __init__(self, *, most_streams: int = _MOST_STREAMS, most_bytes: int = _MOST_BYTES) -> None:
        self.most_streams = most_streams
        self.most_bytes = most_bytes
        self.size_bytes = 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._pictures: OrderedDict[str, Answer] = OrderedDict()

    def take(
        self,
        answered: Answered,
        message: edge_pb2.Input,
        picture: Payload | None,
        at_us: int,
        *,
        payload: bytes | None = None,
    ) -> None:
        """Takes an answer, once it is kept; `payload` is the message's, where that was copied already."""
        name, jpeg = answered.key.device, b""
        if message.encoding == edge_pb2.ENCODING_JPEG:
            jpeg = message.payload if payload is None else payload
        answer = Answer(answered, at_us, jpeg, picture)
        self._answers[name] = answer
        self._answers.move_to_end(name)
        if len(self._answers) > self.most_streams:
            self._answers.popitem(last=False)
        if (not jpeg and picture is None) or answer.size_bytes > self.most_bytes:
            return
        before = self._pictures.pop(name, None)
        self.size_bytes += answer.size_bytes - (0 if before is None else before.size_bytes)
        self._pictures[name] = answer
        while self.size_bytes > self.most_bytes or len(self._pictures) > self.most_streams:
            self.size_bytes -= self._pictures.popitem(last=False)[1].size_bytes

    def answer(self, stream: str) -> Answer | None:
        """The newest answer; None: there was none."""
        return self._answers.get(stream)

    def picture(self, stream: str) -> Answer | None:
        """The newest answer to a picture, with it; None: there was none, or it is forgotten."""
        return self._pictures.get(stream)
