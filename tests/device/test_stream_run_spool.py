"""A stream with a spool: it works without a coordinator, goes on where it was, and nothing that was taken is lost."""

import sqlite3
import threading
from contextlib import closing

import pytest
from infilink.codec import decode_jpeg
from infilink.device.config import DeviceConfig
from infilink.device.results_read import Results
from infilink.device.stream_run import StreamRun
from infilink.errors import InvalidInput
from infilink.models.spec import read_spec
from infilink.protos import edge_pb2

from .conftest import FRAMES, brightness
from .coordinator import refused, result


def brightness_of(message):
    return result(message.sequence, bright=float(decode_jpeg(message.payload).mean()))


@pytest.fixture
def bright(tiny_models):
    return {"bright": read_spec(tiny_models / "bright.onnx")}


@pytest.fixture
def make_run(video, tmp_path):
    def make(address, **settings):
        values = {
            "name": "yard",
            "source": str(video),
            "pace": "max",
            "coordinator": address,
            "results": tmp_path / "r.sqlite",
            "connect_timeout_s": 0.2,
            "answer_timeout_s": 0.2,
            "spool": {"folder": tmp_path / "spool", "sync_every_s": 0.01},
        }
        return StreamRun(DeviceConfig.model_validate({**values, **settings}))

    return make


def table(path, what):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT {what} FROM inputs ORDER BY sequence").fetchall()


def test_without_a_coordinator_everything_waits_and_goes_out_in_the_next_run(
    make_run, start_coordinator, bright, tmp_path
):
    nobody = start_coordinator()
    nobody.close()
    summary = make_run(nobody.address).run()
    assert (summary.frames, summary.kept, summary.answered, summary.spooled) == (FRAMES, FRAMES, 0, FRAMES)
    assert table(tmp_path / "r.sqlite", "sequence, kept, received_s") == [(i, 1, None) for i in range(FRAMES)]
    coordinator = start_coordinator(bright, answer=brightness_of)
    summary = make_run(coordinator.address, answer_timeout_s=30.0).run()
    assert (summary.frames, summary.answered, summary.late, summary.spooled) == (0, FRAMES, FRAMES, 0)
    with Results(tmp_path / "r.sqlite") as results:
        levels = [float(value[0]) for value in results.served("bright")]
    assert levels == pytest.approx([brightness(index) for index in range(FRAMES)], abs=2.0)
    assert table(tmp_path / "r.sqlite", "late") == [(1,)] * FRAMES
    sent = coordinator.connection()
    assert [sent.input().sequence for _ in range(FRAMES)] == list(range(FRAMES)), "in their order"
    assert not (tmp_path / "r.1.sqlite").exists()
    summary = make_run(coordinator.address, answer_timeout_s=30.0).run()
    assert summary.answered == FRAMES and summary.late == 0, "a run that ended begins anew"
    assert len(table(tmp_path / "r.1.sqlite", "sequence")) == FRAMES
    assert coordinator.connection().hello.session != sent.hello.session


def test_a_recording_s_input_that_a_kill_left_out_is_taken_in_the_next_run(
    make_run, start_coordinator, bright, tmp_path
):
    nobody = start_coordinator()
    nobody.close()
    make_run(nobody.address, encoding="jpeg").run()
    # As if the rows after it had been written, and itself not: neither there nor in the spool.
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as database, database:
        database.execute("DELETE FROM inputs WHERE sequence = 3")
    with closing(sqlite3.connect(tmp_path / "spool" / "_only.spool")) as database, database:
        assert database.execute("DELETE FROM inputs WHERE sequence = 3").rowcount == 1
    coordinator = start_coordinator(bright, answer=brightness_of)
    summary = make_run(coordinator.address, answer_timeout_s=30.0, encoding="jpeg").run()
    assert (summary.frames, summary.kept, summary.spooled) == (1, 1, 0)
    assert [sequence for (sequence,) in table(tmp_path / "r.sqlite", "sequence")] == list(range(FRAMES))
    with Results(tmp_path / "r.sqlite") as results:
        level = float(results.served("bright")[3][0])
    assert level == pytest.approx(brightness(3), abs=2.0)


def test_what_is_overloaded_comes_again_and_what_is_refused_is_told(make_run, start_coordinator, bright, tmp_path):
    tried = []

    def answer(message):
        tried.append(message.sequence)
        assert message.policy == edge_pb2.POLICY_ALL
        if message.sequence == 3 and tried.count(3) < 3:
            full = refused(3, edge_pb2.REFUSED_CODE_OVERLOADED, "full")
            full.refused.retry_after_s = 0.01
            return full
        if message.sequence == 5:
            return refused(5, edge_pb2.REFUSED_CODE_INVALID, "no picture")
        return brightness_of(message)

    summary = make_run(start_coordinator(bright, answer=answer).address, answer_timeout_s=30.0).run()
    assert (summary.answered, summary.refused, summary.dropped) == (FRAMES - 1, 1, 0)
    assert tried.count(3) == 3 and sorted({*tried}) == list(range(FRAMES))
    reasons = [(sequence, why) for sequence, why in table(tmp_path / "r.sqlite", "sequence, refused") if why]
    assert reasons == [(5, "no picture")]


def test_an_answer_that_cannot_be_read_counts_as_refused_and_the_rest_goes_on(
    make_run, start_coordinator, bright, tmp_path, monkeypatch
):
    monkeypatch.setattr("infilink.device.uplink.client._REFUSED_S", (0.01, 0.01))

    def answer(message):
        answered = brightness_of(message)
        if message.sequence == 2:
            answered.result.outputs[0].dtype = "float16"
        return answered

    summary = make_run(start_coordinator(bright, answer=answer).address, answer_timeout_s=30.0).run()
    assert (summary.answered, summary.refused) == (FRAMES - 1, 1)
    (why,) = [why for (why,) in table(tmp_path / "r.sqlite", "refused") if why]
    assert "can't be read" in why and "float16" in why


def test_what_a_coordinator_refuses_is_told_once_and_does_not_end_it(
    make_run, start_coordinator, bright, caplog, monkeypatch
):
    import grpc

    monkeypatch.setattr("infilink.device.uplink.client._REFUSED_S", (0.01, 0.01))
    coordinator = start_coordinator(bright, answer=brightness_of)
    coordinator.refusals += [(grpc.StatusCode.UNAUTHENTICATED, "the token is wrong")] * 3
    summary = make_run(coordinator.address, answer_timeout_s=30.0, connect_timeout_s=0.05).run()
    assert summary.answered == FRAMES
    assert sum("the token is wrong" in record.message for record in caplog.records) == 1


def test_models_that_the_gate_cannot_do_with_end_it_all_the_same(make_run, start_coordinator, bright):
    bright["bright"] = bright["bright"].model_copy(update={"input": None})
    coordinator = start_coordinator(bright)
    with pytest.raises(InvalidInput, match="the second part of bright"):
        make_run(coordinator.address, connect_timeout_s=30.0).run()


def test_stopping_while_nobody_is_there_ends_it_at_once(make_run, start_coordinator):
    nobody = start_coordinator()
    nobody.close()
    run = make_run(nobody.address, pace="source", loop=True, answer_timeout_s=300.0)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(run.run()))
    thread.start()
    while run._exchange is None or not run._exchange.counts["kept"]:
        thread.join(0.01)
    run.stop()
    thread.join(30.0)
    assert ended and ended[0].spooled == ended[0].kept > 0
