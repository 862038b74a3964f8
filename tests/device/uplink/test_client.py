"""The uplink over real gRPC: every input is answered once, over as many connections as it takes."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from infilink import __version__
from infilink.device.config import DeviceConfig
from infilink.device.uplink.client import Uplink
from infilink.errors import Incompatible, InvalidInput, Unavailable
from infilink.models.inputs.form import PICTURES, InputForm
from infilink.protos import edge_pb2, wire

from ..coordinator import TIMEOUT_S, UNAVAILABLE, refused, result

RUNNING = threading.Event()


def message(sequence):
    return edge_pb2.Input(sequence=sequence)


@pytest.fixture
def uplink():
    """Uplinks to a coordinator; their answers come to `one.heard`."""
    made = []

    def make(address, *, on_answer=None, stream="", form=PICTURES, **settings):
        heard = []
        values = {"name": "yard", "source": "0", "coordinator": address, "queue": "all"}
        one = Uplink(
            DeviceConfig(**{**values, **settings}),
            session="s1",
            stream=stream,
            form=form,
            local={"bright": "abc"},
            on_answer=on_answer or heard.append,
            report=lambda: edge_pb2.Report(frames=5),
            backoff_s=(0.0, 0.0),
        )
        one.heard = heard
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_hello_names_the_device_its_run_and_what_runs_on_it(coordinator, uplink):
    settings = {"token": "open sesame", "placement": Path("p.json"), "device_class": "door"}
    welcome = uplink(coordinator.address, **settings).start()
    connection = coordinator.connection()
    assert connection.hello == edge_pb2.Hello(
        device="yard",
        version=__version__,
        session="s1",
        local={"bright": "abc"},
        device_class="door",
        wire=wire.NEWEST,
        wire_oldest=wire.OLDEST,
    )
    assert connection.metadata["authorization"] == "Bearer open sesame"
    assert welcome == coordinator.welcome


def test_hello_says_which_stream_it_is_and_what_its_inputs_are(coordinator, uplink):
    coordinator.welcome.modalities.append("signal")
    form = InputForm(modality="signal", rate_hz=32, window=8, stride=8, channels=("x", "y"))
    uplink(coordinator.address, stream="wrist", form=form).start()
    hello = coordinator.connection().hello
    assert hello.stream == "wrist" and InputForm.model_validate_json(hello.form) == form


@pytest.mark.parametrize(
    ("stream", "form", "what"),
    [("wrist", PICTURES, "stream 'wrist'"), ("", InputForm(modality="text"), "inputs of text")],
)
def test_a_coordinator_that_knows_of_no_streams_is_told_from_others(coordinator, uplink, stream, form, what):
    with pytest.raises(InvalidInput, match=f"takes one stream of pictures a device, not {what}: install the same"):
        uplink(coordinator.address, stream=stream, form=form).start()


def test_every_answer_is_handed_over_once_and_in_order(coordinator, uplink):
    one = uplink(coordinator.address)
    one.start()
    connection = coordinator.connection()
    for sequence in range(3):
        one.offer(message(sequence), RUNNING)
        assert connection.input() == message(sequence)
    for reply in (result(0), result(0), refused(1, edge_pb2.REFUSED_CODE_DEADLINE, "too late"), result(2)):
        connection.reply(reply)
    one.finish()
    assert [type(answer).__name__ for answer in one.heard] == ["Result", "Refused", "Result"]
    assert [answer.sequence for answer in one.heard] == [0, 1, 2]


def test_what_was_not_answered_is_sent_again_on_the_next_connection(coordinator, uplink, caplog):
    one = uplink(coordinator.address)
    one.start()
    first = coordinator.connection()
    for sequence in range(3):
        one.offer(message(sequence), RUNNING)
        assert first.input().sequence == sequence
    first.reply(result(0))
    first.end(UNAVAILABLE, "gone")
    second = coordinator.connection()
    assert second.hello == first.hello, "the same run of the device"
    assert [second.input().sequence for _ in range(2)] == [1, 2]
    one.offer(message(3), RUNNING)
    assert second.input().sequence == 3
    for sequence in (1, 2, 3):
        second.reply(result(sequence))
    one.finish()
    assert [answer.sequence for answer in one.heard] == [0, 1, 2, 3] and one.connections == 2
    assert [record.message for record in caplog.records if "broke" in record.message] == [
        f"the connection to {coordinator.address} broke (gone); trying again"
    ]


def test_queue_latest_never_waits_for_the_network(coordinator, uplink):
    one = uplink(coordinator.address, queue="latest", window=2)
    one.start()
    replaced = [sequence for number in range(50) for sequence in one.offer(message(number), RUNNING)]
    assert replaced == list(range(2, 49)), "two are on their way, and the newest is held back"
    connection = coordinator.connection()
    for sequence in (0, 1, 49):
        assert connection.input().sequence == sequence
        connection.reply(result(sequence))
    one.finish()
    assert [answer.sequence for answer in one.heard] == [0, 1, 49]


def test_queue_all_waits_for_room_in_the_window(coordinator, uplink):
    one = uplink(coordinator.address, window=1)
    one.start()
    connection = coordinator.connection()
    offered = []

    def offer():
        for sequence in range(3):
            assert one.offer(message(sequence), RUNNING) == []
            offered.append(sequence)

    thread = threading.Thread(target=offer)
    thread.start()
    for sequence in range(3):
        assert connection.input().sequence == sequence
        # Until it is answered the next one waits, and so does its caller.
        assert offered in ([*range(sequence)], [*range(sequence + 1)])
        connection.reply(result(sequence))
    thread.join(TIMEOUT_S)
    one.finish()
    assert [answer.sequence for answer in one.heard] == [0, 1, 2]


def test_a_coordinator_that_is_overloaded_at_first_is_tried_again(coordinator, uplink):
    coordinator.refusals += [(UNAVAILABLE, "32 devices are connected already"), (UNAVAILABLE, "still")]
    one = uplink(coordinator.address)
    assert one.start() == coordinator.welcome
    assert one.connections == 1


def test_a_device_that_an_overloaded_coordinator_refuses_is_told_why(coordinator, uplink):
    coordinator.refusals.append((UNAVAILABLE, "32 devices are connected already"))
    coordinator.welcome = None
    one = uplink(coordinator.address, connect_timeout_s=TIMEOUT_S)
    with ThreadPoolExecutor() as threads:
        starting = threads.submit(one.start)
        # The second connection comes after the refusal, and is not answered at all.
        for _ in range(2):
            coordinator.connection()
        one.close()
        with pytest.raises(Unavailable, match=r"takes no connection: 32 devices are connected .*UNAVAILABLE"):
            starting.result(TIMEOUT_S)


@pytest.mark.parametrize(
    ("code", "details", "kind", "text"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "the token is wrong", Unavailable, "the token is wrong"),
        (grpc.StatusCode.FAILED_PRECONDITION, "install 0.1 on both", Unavailable, "install 0.1"),
        (grpc.StatusCode.INVALID_ARGUMENT, "no class 'door'", InvalidInput, "no class 'door'"),
        (grpc.StatusCode.UNIMPLEMENTED, "", Unavailable, "not an infilink coordinator"),
    ],
)
def test_what_another_attempt_would_only_repeat_ends_it_at_once(coordinator, uplink, code, details, kind, text):
    coordinator.refusals.append((code, details))
    one = uplink(coordinator.address)
    with pytest.raises(kind, match=text):
        one.start()
    with pytest.raises(kind, match=text):
        one.offer(message(0), RUNNING)


def test_where_nobody_listens_is_said(uplink):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unavailable, match=f"nobody answers at {address}: start it with"):
        uplink(address, connect_timeout_s=0.05).start()


def test_a_certificate_that_cannot_be_read_is_named(coordinator, uplink, tmp_path):
    with pytest.raises(InvalidInput, match=r"tls_ca: .*none.pem can't be read"):
        uplink(coordinator.address, tls_ca=tmp_path / "none.pem").start()


def test_an_error_in_handling_an_answer_ends_it_with_that_error(coordinator, uplink):
    def broken(answer):
        raise InvalidInput(f"answer {answer.sequence} can't be read")

    one = uplink(coordinator.address, on_answer=broken)
    one.start()
    one.offer(message(7), RUNNING)
    coordinator.connection().reply(result(7))
    with pytest.raises(InvalidInput, match="answer 7 can't be read"):
        one.finish()


def test_finishing_gives_up_when_no_answer_comes(coordinator, uplink):
    one = uplink(coordinator.address, answer_timeout_s=0.01)
    one.start()
    one.offer(message(0), RUNNING)
    with pytest.raises(Unavailable, match=r"1 inputs got no answer in 0.01 s"):
        one.finish()


def test_closing_sends_a_last_report_and_may_be_done_twice(coordinator, uplink):
    one = uplink(coordinator.address)
    one.start()
    connection = coordinator.connection()
    one.close()
    one.close()
    connection.wait()
    assert connection.reports[-1] == edge_pb2.Report(frames=5)


def test_what_was_never_started_may_be_closed(coordinator, uplink):
    uplink(coordinator.address).close()


def test_bytes_are_those_of_the_messages(coordinator, uplink):
    one = uplink(coordinator.address)
    one.start()
    one.offer(message(3), RUNNING)
    connection = coordinator.connection()
    connection.input()
    connection.reply(result(3, bright=1.0))
    one.finish()
    one.close()
    connection.wait()
    sent = [edge_pb2.DeviceMessage(hello=connection.hello), edge_pb2.DeviceMessage(input=message(3))]
    sent += [edge_pb2.DeviceMessage(report=report) for report in connection.reports]
    assert one.sent_bytes == sum(each.ByteSize() for each in sent)
    received = [edge_pb2.CoordinatorMessage(welcome=coordinator.welcome), result(3, bright=1.0)]
    assert one.received_bytes == sum(each.ByteSize() for each in received)


@pytest.mark.parametrize(
    ("theirs_s", "deadline_s", "behind_s", "told"),
    [
        (3600, 2.0, 3599.0, "3599.0 s behind that of"),
        (-3600, 2.0, -3600.0, "3600.0 s ahead of that of"),
        (0, 2.0, 0.0, ""),
        (0.9, 2.0, 0.0, ""),
        (3600, 0.0, 0.0, ""),
    ],
)
def test_a_clock_by_which_deadlines_mean_nothing_is_said_once(
    coordinator, uplink, caplog, theirs_s, deadline_s, behind_s, told
):
    # The device reads its clock when it says Hello, and again when it is welcomed.
    clock = iter([10**18, 10**18 + 10**9] * 2)
    coordinator.welcome.now_ns = 10**18 + round(theirs_s * 1e9)
    one = uplink(coordinator.address, deadline_s=deadline_s)
    one._clocks.clock_ns = clock.__next__
    one.start()
    first = coordinator.connection()
    first.end(UNAVAILABLE, "gone")
    second = coordinator.connection()
    one.offer(message(0), RUNNING)
    assert second.input() == message(0), "it is welcomed again"
    second.reply(result(0))
    one.finish()
    assert one.clock_behind_s == behind_s
    said = [record.message for record in caplog.records if "clock" in record.message]
    assert len(said) == bool(told) and all(told in each for each in said)


def test_what_the_coordinator_wants_its_user_to_know_is_logged(coordinator, uplink, caplog):
    one = uplink(coordinator.address)
    one.start()
    connection = coordinator.connection()
    one.offer(message(0), RUNNING)
    connection.reply(edge_pb2.CoordinatorMessage(notice=edge_pb2.Notice(text="yard: two agents")))
    connection.reply(result(0))
    one.finish()
    assert [answer.sequence for answer in one.heard] == [0]
    assert sum("yard: two agents" in record.message for record in caplog.records) == 1


def test_a_coordinator_that_asks_for_a_pause_gets_it(coordinator, uplink):
    now_s = [50.0]
    one = uplink(coordinator.address)
    one._outbox.clock = lambda: now_s[0]
    one.start()
    connection = coordinator.connection()
    one.offer(message(0), RUNNING)
    connection.reply(edge_pb2.CoordinatorMessage(pause=edge_pb2.Pause(retry_after_s=5.0)))
    connection.reply(result(0))
    one.finish()
    assert one._outbox._connection.again_s == 55.0


def test_a_coordinator_that_speaks_another_wire_is_left_alone(coordinator, uplink):
    coordinator.welcome.wire = 99
    with pytest.raises(Incompatible, match=r"the coordinator .* speaks version 99 of the wire"):
        uplink(coordinator.address).start()
