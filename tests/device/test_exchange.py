"""The exchange, over real gRPC: what becomes of each kept frame stands in the results file, whatever happens to it."""

import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.exchange import Exchange
from infilink.device.local_models import LocalModels, open_local
from infilink.device.messages import KeptInput
from infilink.device.result_rows import InputRow, ResultRow
from infilink.device.results import ResultsFile
from infilink.device.results_read import Results
from infilink.device.sources.base import Input
from infilink.device.uplink.payload_encoder import JpegEncoder
from infilink.errors import InvalidInput, ModelFailed, Unavailable
from infilink.models.spec import read_spec
from infilink.protos import edge_pb2

from .coordinator import TIMEOUT_S, UNAVAILABLE, refused, result


def kept(sequence, *, answers=(), deadline_ns=0, audited=False, learn=None):
    frame = Input(sequence, sequence / 10, np.full((24, 32, 3), 50, np.uint8))
    row = InputRow(sequence, frame.captured_s, True, 0.9, 0.5, 0.001, 0.002)
    return KeptInput(frame, row, tuple(answers), deadline_ns, audited, learn)


class Slow(LocalModels):
    """Stands for a model of this device whose runs wait until the test lets them go."""

    def __init__(self, spec):
        super().__init__([])
        self.models = {"bright": self}
        self.digests = {"bright": "abc"}
        self.spec = spec
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def load(self):
        pass

    def memory_bytes(self):
        return 0

    def run(self, image, names):
        self.begun.release()
        assert self.go.acquire(timeout=TIMEOUT_S)
        return {name: np.asarray([50.0], np.float32) for name in names}

    def close(self):
        self.go.release(1000)


class Damaged(JpegEncoder):
    """Stands for a head that fails on every frame."""

    def encode(self, taken):
        raise ModelFailed("the head failed")


@pytest.fixture
def specs(tiny_models):
    return {name: read_spec(tiny_models / f"{name}.onnx") for name in ("bright", "light")}


@pytest.fixture
def open_exchange(start_coordinator, specs, tmp_path):
    """Exchanges with a coordinator of their own; what they tell of answers comes to `one.told`."""
    made = []

    def make(*, models=None, encoder=None, opened=True, **settings):
        coordinator = start_coordinator(specs)
        values = {"name": "d", "source": "0", "coordinator": coordinator.address, "queue": "all"}
        config = DeviceConfig(**{**values, **settings})
        told = []
        results = ResultsFile(tmp_path / "r.sqlite", anew=True)
        one = Exchange(
            config,
            session="s1",
            encoder=encoder or JpegEncoder(90),
            local=open_local(config) if models is None else models,
            results=results,
            report=edge_pb2.Report,
            on_answer=lambda *answer: told.append(answer),
        )
        one.told = told
        made.append((one, results))
        if opened:
            assert one.open(threading.Event()) == specs
        return one, coordinator

    yield make
    for one, results in made:
        one.close()
        one.close()
        results.close()


@pytest.fixture
def read(tmp_path):
    """Closes what an exchange has written and reads it: the results, and by sequence why there are none."""
    opened = []

    def read(one):
        one.close()
        one.replies.results.close()
        with closing(sqlite3.connect(tmp_path / "r.sqlite")) as database:
            reasons = dict(database.execute("SELECT sequence, refused FROM inputs WHERE refused IS NOT NULL"))
        opened.append(Results(tmp_path / "r.sqlite"))
        return opened[-1], reasons

    yield read
    for results in opened:
        results.close()


def test_an_answer_goes_to_the_file_to_who_learns_and_to_who_audits(open_exchange, read):
    one, coordinator = open_exchange()
    learnt = []
    one.send(kept(3, deadline_ns=2**62, audited=True, learn=learnt.append))
    connection = coordinator.connection()
    message = connection.input()
    assert (message.sequence, message.deadline_ns, message.audit) == (3, 2**62, True)
    answer = result(3, bright=50.0)
    answer.result.outputs.extend(result(3, edge_pb2.ORIGIN_LINKED, light=1.0).result.outputs)
    connection.reply(answer)
    one.finish()
    ((sequence, values, exact),) = one.told
    assert sequence == 3 and {name: float(value[0]) for name, value in values.items()} == {"bright": 50.0, "light": 1.0}
    assert set(exact) == {"bright"} and exact["bright"].digest == "digest of bright", "a prediction is no exact output"
    assert learnt == [exact]
    results, reasons = read(one)
    assert results.sequences == [3] and results.sent_bytes == [message.ByteSize()] and not reasons
    assert results.origins("bright") == ["executed"] and results.origins("light") == ["linked"]
    assert one.counts == {"kept": 1, "answered": 1, "dropped": 0, "refused": 0}


def test_what_the_coordinator_refuses_stands_in_the_file_with_its_reason(open_exchange, read):
    one, coordinator = open_exchange()
    one.send(kept(0))
    coordinator.connection().reply(refused(0, edge_pb2.REFUSED_CODE_DEADLINE, "its deadline was over"))
    one.finish()
    assert one.counts == {"kept": 1, "answered": 0, "dropped": 0, "refused": 1} and not one.told
    assert read(one)[1] == {0: "its deadline was over"}


def test_queue_latest_drops_what_a_newer_frame_replaces(open_exchange, read):
    one, coordinator = open_exchange(queue="latest", window=1)
    for sequence in range(5):
        one.send(kept(sequence))
    connection = coordinator.connection()
    for sequence in (0, 4):
        assert connection.input().sequence == sequence
        connection.reply(result(sequence, bright=50.0, light=1.0))
    one.finish()
    assert one.counts == {"kept": 5, "answered": 2, "dropped": 3, "refused": 0}
    assert read(one)[1] == dict.fromkeys((1, 2, 3), "dropped")


def test_queue_all_answers_every_frame(open_exchange, read):
    one, coordinator = open_exchange(queue="all", window=1)
    sending = threading.Thread(target=lambda: [one.send(kept(sequence)) for sequence in range(5)])
    sending.start()
    connection = coordinator.connection()
    for sequence in range(5):
        assert connection.input().sequence == sequence
        connection.reply(result(sequence, bright=50.0, light=1.0))
    sending.join(TIMEOUT_S)
    one.finish()
    assert one.counts == {"kept": 5, "answered": 5, "dropped": 0, "refused": 0} and not read(one)[1]


def test_outputs_of_models_here_travel_and_stand_in_the_file_at_once(open_exchange, read, tiny_models):
    one, coordinator = open_exchange(local=tiny_models, local_models=("bright",))
    learnt = []
    one.send(kept(0, answers=[ResultRow("light", 0, 0.0, "skipped", 0.9, True)], learn=learnt.append))
    connection = coordinator.connection()
    assert dict(connection.hello.local) == one.local.digests
    message = connection.input()
    assert [output.model for output in message.outputs] == ["bright"]
    assert message.payload == b"", "nobody else looks at it"
    connection.reply(result(0))
    one.finish()
    ((_, values, exact),) = one.told
    assert float(values["bright"][0]) == 50.0 and exact["bright"].digest == one.local.digests["bright"]
    assert learnt == [exact]
    results, _ = read(one)
    assert results.origins("bright") == ["local"] and results.origins("light") == ["skipped"]
    assert [float(value[0]) for value in results.served("bright")] == [50.0]


def test_the_loop_does_not_wait_for_a_slow_model_here(open_exchange, read, specs):
    slow = Slow(specs["bright"])
    one, coordinator = open_exchange(models=slow, queue="latest")
    answers = [ResultRow("light", 4, 0.4, "reused", 0.9, True, reference=0)]
    one.send(kept(0))
    assert slow.begun.acquire(timeout=TIMEOUT_S)
    for sequence in range(1, 5):
        one.send(kept(sequence, answers=answers))
    assert one.counts == {"kept": 5, "answered": 0, "dropped": 3, "refused": 0}
    slow.go.release(2)
    connection = coordinator.connection()
    for sequence in (0, 4):
        assert connection.input().sequence == sequence
        connection.reply(result(sequence, light=1.0))
    one.finish()
    assert one.counts["answered"] == 2 and read(one)[1] == dict.fromkeys((1, 2, 3), "dropped")


def test_queue_all_waits_for_a_slow_model_here(open_exchange, read, specs):
    slow = Slow(specs["bright"])
    one, coordinator = open_exchange(models=slow, queue="all")
    sent = []

    def loop():
        for sequence in range(4):
            one.send(kept(sequence))
            sent.append(sequence)

    sending = threading.Thread(target=loop)
    sending.start()
    connection = coordinator.connection()
    for sequence in range(4):
        assert slow.begun.acquire(timeout=TIMEOUT_S)
        assert len(sent) <= sequence + 2, "one more waits behind the one that the model runs on"
        slow.go.release()
        assert connection.input().sequence == sequence
        connection.reply(result(sequence, light=1.0))
    sending.join(TIMEOUT_S)
    one.finish()
    assert one.counts == {"kept": 4, "answered": 4, "dropped": 0, "refused": 0} and not read(one)[1]


def test_a_frame_that_a_model_here_fails_on_counts_as_refused(open_exchange, read, caplog):
    one, _ = open_exchange(encoder=Damaged(90))
    for sequence in range(2):
        one.send(kept(sequence))
    one.fail(kept(2).row, ModelFailed("the head failed"))
    one.finish()
    assert one.counts == {"kept": 3, "answered": 0, "dropped": 0, "refused": 3}
    assert read(one)[1] == dict.fromkeys(range(3), "the head failed")
    assert sum("the head failed (logged once" in record.message for record in caplog.records) == 1


def test_an_answer_that_cannot_be_read_counts_as_refused_with_its_reason(open_exchange, read):
    one, coordinator = open_exchange()
    one.send(kept(0))
    answer = result(0, bright=50.0)
    answer.result.outputs[0].dtype = "float16"
    coordinator.connection().reply(answer)
    one.finish()
    assert one.counts["refused"] == 1 and "'float16' is none of float32, int64" in read(one)[1][0]


def test_finishing_gives_up_when_answers_stop(open_exchange, read):
    one, _ = open_exchange(answer_timeout_s=0.01)
    one.send(kept(0))
    with pytest.raises(Unavailable, match="1 inputs got no answer"):
        one.finish()
    results, _ = read(one)
    assert results.sequences == [0] and results.kept == [True], "that it was sent is known all the same"


def test_a_coordinator_that_does_not_fit_is_refused(open_exchange, specs):
    one, coordinator = open_exchange(models=Slow(specs["bright"]), opened=False)
    del coordinator.welcome.local[:]
    with pytest.raises(InvalidInput, match="takes no outputs of models that run on devices"):
        one.open(threading.Event())
    tail = specs["light"].model_copy(update={"input": None})
    other, coordinator = open_exchange(opened=False)
    coordinator.welcome.specs["light"] = tail.model_dump_json(exclude_defaults=True)
    with pytest.raises(InvalidInput, match="the second part of light"):
        other.open(threading.Event())


def test_what_was_never_opened_may_be_closed(open_exchange):
    one, _ = open_exchange(opened=False)
    one.close()


def test_the_models_are_compared_on_every_connection(open_exchange):
    """A coordinator that comes back with another file of a model is another one."""
    one, coordinator = open_exchange(opened=False)
    heard = []

    def check(served):
        heard.append({name: each.digest for name, each in served.items()})
        if served["bright"].digest == "d1":
            raise InvalidInput("another bright")

    one._agreement.check_served = check
    coordinator.welcome.digests.update({"bright": "d0", "light": "d0"})
    one.open(threading.Event())
    first = coordinator.connection()
    coordinator.welcome.digests["bright"] = "d1"
    one.send(kept(0))
    first.end(UNAVAILABLE, "gone")
    with pytest.raises(InvalidInput, match="another bright"):
        one.finish()
    assert heard == [{"bright": "d0", "light": "d0"}, {"bright": "d1", "light": "d0"}]
