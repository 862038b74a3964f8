"""A device or a coordinator as version 1 of the wire has them: `edge.proto` beside this file is all that it knows.

It runs in a process of its own, with the folder of the code generated from that file as its first argument, as two
versions of one message can't be known to one process. `device ADDRESS TOKEN` sends pictures from the standard input
(lines of base64) and prints each answer; `coordinator SPECS` answers each input with 7.0 for every model.
"""

import base64
import json
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

sys.path.insert(0, sys.argv[1])
import edge_pb2
import edge_pb2_grpc
from google.protobuf.json_format import MessageToDict


def device(address: str, token: str) -> None:
    def messages():
        yield edge_pb2.DeviceMessage(hello=edge_pb2.Hello(device="old", version="0.1.0", session="1"))
        for sequence, line in enumerate(sys.stdin):
            fields = {"encoding": edge_pb2.ENCODING_JPEG, "policy": edge_pb2.POLICY_ALL, "captured_ns": sequence}
            payload = base64.b64decode(line)
            yield edge_pb2.DeviceMessage(input=edge_pb2.Input(sequence=sequence, payload=payload, **fields))
        yield edge_pb2.DeviceMessage(report=edge_pb2.Report(frames=10, kept=4))

    with grpc.insecure_channel(address) as channel:
        stub = edge_pb2_grpc.EdgeStub(channel)
        metadata = [("authorization", f"Bearer {token}")]
        for message in stub.Connect(messages(), metadata=metadata, timeout=300.0):
            print(json.dumps(MessageToDict(message, preserving_proto_field_name=True)))
        status = stub.GetStatus(edge_pb2.StatusRequest(), metadata=metadata, timeout=300.0)
        print(json.dumps(MessageToDict(status, preserving_proto_field_name=True)))


class Coordinator(edge_pb2_grpc.EdgeServicer):
    def __init__(self, specs: dict[str, str]) -> None:
        self.specs = specs

    def Connect(self, messages, context):  # noqa: N802
        hello = next(messages).hello
        # As version 1 did it: by the release.
        if hello.version.split(".")[:2] != ["0", "1"]:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"install 0.1 on both, not {hello.version}")
        welcome = edge_pb2.Welcome(version="0.1.0", specs=self.specs, max_in_flight=4)
        yield edge_pb2.CoordinatorMessage(welcome=welcome)
        for message in messages:
            if not message.HasField("input"):
                continue
            outputs = [
                edge_pb2.Output(
                    model=name,
                    kind="scalar",
                    shape=[1],
                    dtype="float32",
                    value=struct.pack("<f", 7.0),
                    origin=edge_pb2.ORIGIN_EXECUTED,
                    confidence=1.0,
                    trusted=True,
                )
                for name in self.specs
            ]
            result = edge_pb2.Result(sequence=message.input.sequence, outputs=outputs)
            yield edge_pb2.CoordinatorMessage(result=result)


def coordinator(specs: str) -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    edge_pb2_grpc.add_EdgeServicer_to_server(Coordinator(json.loads(specs)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    {"device": device, "coordinator": coordinator}[sys.argv[2]](*sys.argv[3:])
