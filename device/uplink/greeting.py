"""What a device says of itself to its coordinator, and whether that understands it."""

from collections.abc import Mapping

from ... import __version__
from ...errors import InvalidInput
from ...models.inputs.form import PICTURES, InputForm
from ...protos import edge_pb2, wire
from ..config import DeviceConfig


class Greeting:
    """Writes the Hello of one stream.

    Args:
        config: the device.
        stream: the stream's name; empty: the device's only one.
        form: what its inputs are.
        local: the models that run on the device, with their files' digests.
        stem: the digest of the stem whose features are to travel instead of frames; empty: frames travel.
    """

    def __init__(
        self, config: DeviceConfig, *, stream: str, form: InputForm, local: Mapping[str, str], stem: str
    ) -> None:
        self.config = config
        self.stream = stream
        self.form = form
        self.local = dict(local)
        self.stem = stem

    def hello(self, session: str, *, said: bytes = b"") -> edge_pb2.Hello:
        """What it says at the beginning of a connection.

        Args:
            session: the session.
            said: what it said of itself when that session's inputs were taken, serialized; empty: what it says now.
        """
        hello = edge_pb2.Hello()
        if said:
            hello.ParseFromString(said)
        else:
            hello.device = self.config.name
            hello.local.update(self.local)
            hello.device_class = self.config.device_class
            hello.stem = self.stem
            hello.stream = self.stream
            hello.form = "" if self.form == PICTURES else self.form.model_dump_json(exclude_defaults=True)
        hello.session, hello.version = session, __version__
        hello.wire, hello.wire_oldest = wire.NEWEST, wire.OLDEST
        return hello

    def check(self, welcome: edge_pb2.Welcome) -> None:
        """A coordinator of before would take these inputs for the pictures of the device's only stream.

        Raises:
            InvalidInput: it is one.
        """
        if welcome.modalities or (not self.stream and self.form == PICTURES):
            return
        what = f"inputs of {self.form.modality}" if self.form != PICTURES else f"stream {self.stream!r}"
        raise InvalidInput(
            f"the coordinator at {self.config.coordinator} (infilink {welcome.version}) takes one stream of pictures a "
            f"device, not {what}: install the same version on both, the coordinator's first"
        )
