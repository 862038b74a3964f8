"""Messages as strangers may send them: valid ones of each kind, changed in a field or in a byte, by a seed."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from infilink import __version__
from infilink.protos import edge_pb2
from infilink.protos import open_inference_pb2 as pb
from infilink.protos.video import PictureWriter

_WHOLE = (0, 1, -1, 2, 127, 128, 255, 2**31 - 1, -(2**31), 2**32 - 1, 2**53, 2**63 - 1, -(2**63), 2**64 - 1)
_REAL = (0.0, -0.0, 1.0, -1.0, 1e-40, 1e30, 1e308, math.inf, -math.inf, math.nan)
_TEXTS = (
    "",
    "a",
    "camera",
    "../../etc/passwd",
    "a\nb\x1b[2J\x00",
    "ü" * 50,
    "x" * 200,
    "x" * 20_000,
    "'; DROP TABLE x",
)
_REPEATS = (0, 1, 2, 100, 5000)
_LARGEST = 2**22
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class Mutations:
    """Makes messages, the same by the same seed.

    Args:
        seed: of what is drawn.
        digests: the coordinator's models, with their files' digests.
        streams: the forms of the streams that there are (JSON), each with inputs as they travel; pictures are sent too.
    """

    def __init__(
        self, seed: int, digests: Mapping[str, str], streams: Mapping[str, Sequence[tuple[int, bytes]]] | None = None
    ) -> None:
        self.random = random.Random(seed)
        self.digests = dict(digests)
        self._inputs: Sequence[tuple[int, bytes]] = []
        noise = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
        options = ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
        self._streams = list((streams or {}).items())
        self._pictures = [cv2.imencode(".jpg", noise, option)[1].tobytes() for option in options]
        writer = PictureWriter(32, 24)
        packets = [writer.write(np.roll(noise, each, axis=1)) for each in range(4)]
        forms = [(0, packets[:1]), (0, packets), (3, packets[3:]), (1, packets[1:2]), (4, [])]
        self._chunks = [
            (edge_pb2.ENCODING_H264, _chunk(chain, first, held)) for chain in (0, 7) for first, held in forms
        ]

    def hello(self) -> edge_pb2.Hello:
        """A valid one, of one of a few devices and runs; the inputs after it are of its stream's kind."""
        draw = self.random
        number = draw.randrange(len(self._streams) + 1)
        stream, form = "", ""
        self._inputs = [(edge_pb2.ENCODING_JPEG, each) for each in self._pictures] + self._chunks
        if number:
            stream, (form, self._inputs) = f"stream-{number}", self._streams[number - 1]
        name, run = f"fuzz-{draw.randrange(8)}", str(draw.randrange(4))
        local = dict(draw.sample(sorted(self.digests.items()), draw.randrange(2)))
        return edge_pb2.Hello(device=name, session=run, version=__version__, local=local, stream=stream, form=form)

    def input(self, sequence: int) -> edge_pb2.Input:
        """A valid one of the stream of the last Hello."""
        draw = self.random
        encoding, payload = draw.choice(self._inputs)
        return edge_pb2.Input(
            sequence=sequence,
            captured_ns=draw.randrange(10**12),
            encoding=encoding,
            payload=payload,
            policy=draw.choice([edge_pb2.POLICY_ALL, edge_pb2.POLICY_LATEST]),
            models=draw.sample(sorted(self.digests), draw.randrange(2)),
            outputs=[self._output() for _ in range(draw.randrange(2))],
        )

    def message(self) -> bytes:
        """A message after Hello: changed."""
        draw = self.random
        kind = draw.choice(["input", "input", "input", "frame", "report", "hello"])
        message = edge_pb2.DeviceMessage()
        if kind == "input":
            message.input.CopyFrom(self.input(draw.randrange(1000)))
            if draw.random() < 0.5:
                message.input.payload = self._changed_payload(message.input.encoding, message.input.payload)
                return message.SerializeToString()
        elif kind == "frame":
            frame = edge_pb2.Frame(sequence=draw.randrange(9), encoding=1, payload=draw.choice(self._pictures))
            message.frame.CopyFrom(frame)
        elif kind == "report":
            message.report.CopyFrom(edge_pb2.Report(frames=9, kept=3, audit_error=0.1, rate_far="above", audited=2))
        else:
            message.hello.CopyFrom(self.hello())
        return self.changed(message)

    def request(self) -> bytes:
        """A ModelInferRequest: changed."""
        shape = [1, 3, 16, 16]
        request = pb.ModelInferRequest(
            model_name=self.random.choice(sorted(self.digests)),
            inputs=[pb.ModelInferRequest.InferInputTensor(name="image", datatype="FP32", shape=shape)],
            raw_input_contents=[np.full(shape, 0.5, np.float32).tobytes()],
        )
        return self.changed(request)

    def changed(self, message: Message) -> bytes:
        """A message's bytes, with some of its fields changed, or some of the bytes."""
        draw = self.random
        if draw.random() < 0.6:
            for _ in range(draw.choice([1, 1, 2, 4])):
                self._change_field(message)
            return message.SerializeToString()
        return self._changed_bytes(message.SerializeToString())

    def _changed_payload(self, encoding: int, payload: bytes) -> bytes:
        """What an input holds, changed: in a field, where it is a message itself."""
        kinds = {
            edge_pb2.ENCODING_ARRAY: edge_pb2.ArrayPayload,
            edge_pb2.ENCODING_PARTS: edge_pb2.Parts,
            edge_pb2.ENCODING_H264: edge_pb2.Chunk,
        }
        return self.changed(kinds[encoding].FromString(payload)) if encoding in kinds else self._changed_bytes(payload)

    def _output(self) -> edge_pb2.Output:
        model = self.random.choice(sorted(self.digests))
        value = np.asarray([0.5], np.float32)
        fields = {"kind": "scalar", "shape": [1], "dtype": "float32", "value": value.tobytes()}
        return edge_pb2.Output(model=model, digest=self.digests[model], **fields)

    def _change_field(self, message: Message) -> None:
        draw = self.random
        field = draw.choice(message.DESCRIPTOR.fields)
        inner = field.message_type
        is_map = inner is not None and inner.GetOptions().map_entry
        if inner is not None and not is_map and draw.random() < 0.8:
            if field.is_repeated:
                each = getattr(message, field.name)
                self._change_field(draw.choice(each) if len(each) else each.add())
            else:
                self._change_field(getattr(message, field.name))
        elif draw.random() < 0.1:
            message.ClearField(field.name)
        elif is_map:
            self._fill_map(message, field)
        elif field.is_repeated:
            self._repeat(getattr(message, field.name), field)
        elif inner is None:
            setattr(message, field.name, self._value(field))

    def _fill_map(self, message: Message, field: FieldDescriptor) -> None:
        values = field.message_type.fields_by_name["value"]
        if values.message_type is None:
            for _ in range(self.random.choice(_REPEATS[:4])):
                getattr(message, field.name)[self.random.choice(_TEXTS[1:])] = self._value(values)

    def _repeat(self, values: Any, field: FieldDescriptor) -> None:
        times = self.random.choice(_REPEATS)
        if field.message_type is not None:
            for _ in range(times):
                values.add()
        else:
            value = self._value(field)
            size = len(value) if isinstance(value, str | bytes) else 1
            values.extend([value] * min(times, _LARGEST // max(size, 1)))

    def _value(self, field: FieldDescriptor) -> Any:
        draw = self.random
        if field.cpp_type in _INTEGERS:
            least, most = _INTEGERS[field.cpp_type]
            return min(max(draw.choice(_WHOLE), least), most)
        if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return draw.choice(_REAL)
        if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
            return draw.choice([0, 1, 2, 3, 4, 5, 6, 7, 99])
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return draw.random() < 0.5
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._changed_bytes(draw.choice([b"", bytes(4), *self._pictures]))
        return draw.choice([*_TEXTS, *sorted(self.digests)])

    def _changed_bytes(self, data: bytes) -> bytes:
        """Some bytes of it turned, taken out, put in or said twice."""
        draw, changed = self.random, bytearray(data)
        for _ in range(draw.choice([1, 1, 2, 8])):
            at = draw.randrange(len(changed) + 1)
            length = draw.choice([1, 2, 8, 64])
            way: Sequence[int] = range(5)
            kind = draw.choice(way)
            if kind == 0 and at < len(changed):
                changed[at] ^= 1 << draw.randrange(8)
            elif kind == 1 and at < len(changed):
                changed[at] = draw.choice([0, 1, 127, 128, 255])
            elif kind == 2:
                del changed[at : at + length]
            elif kind == 3:
                changed[at:at] = draw.randbytes(length)
            else:
                changed[at:at] = changed[at : at + length]
        return bytes(changed)


def _chunk(chain: int, first: int, packets: Sequence[bytes]) -> bytes:
    place = max(0, first + len(packets) - 1)
    chunk = edge_pb2.Chunk(chain=chain, first=first, place=place, packets=packets, width=32, height=24)
    return chunk.SerializeToString()
