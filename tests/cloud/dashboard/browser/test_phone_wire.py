"""The phone's page writes and reads the wire's messages as protobuf does."""

import base64
import json
from collections.abc import Callable

from infilink.protos import edge_pb2

from .conftest import View

ENCODES = """
async () => {
  const { encode } = await import("/static/phone/wire.js");
  const local = [{ key: "m", value: "d" }];
  const payload = new Uint8Array(300).fill(7);
  const messages = [
    { hello: { device: "tür", session: "s", version: "1", wire: 2, models: ["a", "b"], local } },
    { input: { sequence: 0, captured_ns: 1764538000123456789n, encoding: 1, payload, score: 0 } },
    { input: { sequence: 2 ** 40, captured_ns: -5n, encoding: 1, policy: 1, score: -1.5, audit: true } },
    { report: { frames: 300, kept: 7, uncertified: true, spool_oldest_s: 0.25, spool_state: "ready", audit_error: 0 } },
    { frame: { sequence: 3 } },
  ];
  return messages.map((each) => btoa(String.fromCharCode(...encode("DeviceMessage", each))));
}
"""
DECODES = """
async (texts) => {
  const { decode, mapped } = await import("/static/phone/wire.js");
  const listed = (value) => value instanceof Uint8Array ? [...value] : value;
  const plain = (key, value) => typeof value === "bigint" ? `${value}n` : listed(value);
  return texts.map((text) => {
    const message = decode("CoordinatorMessage", Uint8Array.from(atob(text), (each) => each.charCodeAt(0)));
    if (message.welcome) message.welcome.specs = mapped(message.welcome.specs);
    return JSON.stringify(message, plain);
  });
}
"""


def test_what_the_page_writes_is_read_by_protobuf(look: Callable) -> None:
    expected = [
        {"hello": edge_pb2.Hello(device="tür", session="s", version="1", wire=2, models=["a", "b"], local={"m": "d"})},
        {"input": edge_pb2.Input(captured_ns=1764538000123456789, encoding=1, payload=b"\7" * 300, score=0.0)},
        {"input": edge_pb2.Input(sequence=2**40, captured_ns=-5, encoding=1, policy=1, score=-1.5, audit=True)},
        {
            "report": edge_pb2.Report(
                frames=300, kept=7, uncertified=True, spool_oldest_s=0.25, spool_state="ready", audit_error=0.0
            )
        },
        {"frame": edge_pb2.Frame(sequence=3)},
    ]

    async def story(view: View) -> None:
        await view.page.goto("/login")
        found = await view.page.evaluate(ENCODES)
        for text, each in zip(found, expected, strict=True):
            assert edge_pb2.DeviceMessage.FromString(base64.b64decode(text)) == edge_pb2.DeviceMessage(**each)

    look(story)


def test_what_protobuf_writes_is_read_by_the_page(look: Callable) -> None:
    output = edge_pb2.Output(
        model="m",
        kind="boxes",
        shape=[2, 600],
        dtype="float32",
        value=bytes(range(8)),
        origin=edge_pb2.ORIGIN_LINKED,
        confidence=0.5,
        sources=["a", "b"],
        age_s=-1.0,
        calibration_age_s=2.5,
        region=edge_pb2.Region(form="set", bounds=[1.0, 2.5]),
    )
    messages = [
        edge_pb2.CoordinatorMessage(
            welcome=edge_pb2.Welcome(specs={"m": "{}"}, max_in_flight=16, now_ns=1764538000123456789)
        ),
        edge_pb2.CoordinatorMessage(result=edge_pb2.Result(sequence=2**40, outputs=[output], executed_s=0.25)),
        edge_pb2.CoordinatorMessage(refused=edge_pb2.Refused(code=5, message="voll", retry_after_s=1.5)),
        edge_pb2.CoordinatorMessage(pause=edge_pb2.Pause(retry_after_s=0.5)),
        edge_pb2.CoordinatorMessage(want=edge_pb2.Want(sequence=7)),
    ]

    async def story(view: View) -> None:
        await view.page.goto("/login")
        texts = [base64.b64encode(each.SerializeToString()).decode() for each in messages]
        welcome, result, refused, pause, want = map(json.loads, await view.page.evaluate(DECODES, texts))
        assert welcome["welcome"]["specs"] == {"m": "{}"} and welcome["welcome"]["max_in_flight"] == 16
        assert welcome["welcome"]["now_ns"] == "1764538000123456789n"
        assert result["result"]["sequence"] == 2**40 and result["result"]["executed_s"] == 0.25
        (found,) = result["result"]["outputs"]
        assert found["shape"] == [2, 600] and found["value"] == [*range(8)] and found["sources"] == ["a", "b"]
        assert (found["age_s"], found["calibration_age_s"], found["origin"]) == (-1.0, 2.5, edge_pb2.ORIGIN_LINKED)
        assert found["region"] == {"form": "set", "bounds": [1.0, 2.5]} and found["trust"] == ""
        assert refused["refused"] == {"sequence": 0, "code": 5, "message": "voll", "retry_after_s": 1.5}
        assert pause["pause"]["retry_after_s"] == 0.5 and want["want"]["sequence"] == 7

    look(story)
