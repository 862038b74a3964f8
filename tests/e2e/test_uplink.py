"""The uplink counts what really travels."""

import threading

from infilink import __version__
from infilink.device.config import DeviceConfig
from infilink.device.uplink.client import Uplink
from infilink.protos import edge_pb2, wire

from .conftest import TIMEOUT_S, TOKEN
from .test_wire import an_input


def size(**message):
    kind = edge_pb2.CoordinatorMessage if message.keys() & {"welcome", "result"} else edge_pb2.DeviceMessage
    return len(kind(**message).SerializeToString())


def test_bytes_are_those_of_the_serialised_messages(daemon):
    answers, reports = [], []

    def report():
        reports.append(edge_pb2.Report(frames=5))
        return reports[-1]

    config = DeviceConfig(
        name="counts", source="0", coordinator=daemon.address, token=TOKEN, queue="all", connect_timeout_s=TIMEOUT_S
    )
    uplink = Uplink(config, session="counted", on_answer=answers.append, report=report)
    welcome = uplink.start()
    inputs = [an_input(sequence).input for sequence in range(5)]
    for message in inputs:
        uplink.offer(message, threading.Event())
    uplink.finish()
    uplink.close()
    uplink.close()
    assert [answer.sequence for answer in answers] == list(range(5)) and reports
    hello = edge_pb2.Hello(
        device="counts", version=__version__, session="counted", wire=wire.NEWEST, wire_oldest=wire.OLDEST
    )
    sent = size(hello=hello) + sum(size(input=m) for m in inputs) + sum(size(report=r) for r in reports)
    assert uplink.sent_bytes == sent
    assert uplink.received_bytes == size(welcome=welcome) + sum(size(result=r) for r in answers)
