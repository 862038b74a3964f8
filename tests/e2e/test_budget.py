"""A site under budgets: what tells most is loaded and runs, all is answered, and what is measured stays below."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from infilink.models.cost import ModelCost
from infilink.protos import edge_pb2, edge_pb2_grpc

from .conftest import TIMEOUT_S, infilink, write_toml
from .links import memory_bytes, write_links
from .test_wire import an_input, hello, picture

SCALES = {"bright": 1.0, "double": 2.0, "third": 1 / 3}
INPUT_S = 0.04


def answers_until(address, enough, *, device="raw", session="budget", **fields):
    """Streams inputs a few at a time until `enough(results)`; returns the results."""
    room, results, done = threading.Semaphore(8), [], threading.Event()

    def messages():
        yield hello(device=device, session=session)
        sequence = 0
        while not done.is_set():
            captured_ns = round(sequence * INPUT_S * 1e9)
            yield an_input(sequence, picture(sequence % 200), captured_ns=captured_ns, **fields)
            sequence += 1
            room.acquire(timeout=TIMEOUT_S)

    with grpc.insecure_channel(address) as channel:
        for answer in edge_pb2_grpc.EdgeStub(channel).Connect(messages(), timeout=TIMEOUT_S):
            if answer.HasField("welcome"):
                continue
            results.append(answer.result)
            if enough(results):
                done.set()
            room.release()
    assert done.is_set()
    return results


def executed(results):
    """How often each model ran on these inputs."""
    return Counter(
        output.model for result in results for output in result.outputs if output.origin == edge_pb2.ORIGIN_EXECUTED
    )


def each_ran(results, times=1):
    """Whether each model ran on so many of these inputs."""
    return len(results) % 20 == 0 and all(executed(results)[name] >= times for name in SCALES)


@pytest.fixture(scope="module")
def each_bytes(models):
    return memory_bytes(models / "bright.onnx")


@pytest.fixture(scope="module")
def links(models, tmp_path_factory, each_bytes):
    """What the schedule begins with: each model is quickly loaded and run."""
    costs = dict.fromkeys(SCALES, ModelCost(each_bytes, infer_s=0.001, load_s=0.05))
    return str(write_links(tmp_path_factory.mktemp("costs") / "links", models, SCALES, costs, agreements={}))


def test_models_change_places_within_the_budget_and_are_held_between(start_daemon, links, each_bytes):
    daemon = start_daemon(answers="hold", links=links, budget=f"{2 * each_bytes}B")
    results = answers_until(daemon.address, lambda results: each_ran(results, times=2))
    assert [result.sequence for result in results] == list(range(len(results)))
    exact = {}
    for result in results:
        assert [output.model for output in result.outputs] == list(SCALES)
        for output in result.outputs:
            if output.origin == edge_pb2.ORIGIN_EXECUTED:
                exact[output.model] = output.value
                assert output.confidence == 1.0 and output.age_s == 0
            elif output.model in exact:
                assert output.origin == edge_pb2.ORIGIN_HELD and output.value == exact[output.model]
                assert output.age_s > 0
            else:
                assert output.origin == edge_pb2.ORIGIN_CONSTANT and output.age_s == -1
    status = daemon.status()
    assert status.memory_samples > 0 and status.budget_violations == 0
    assert 0 < status.peak_bytes <= status.budget_bytes
    assert daemon.executions() == executed(results)
    assert sum(model.state == "loaded" for model in status.models) <= 2
    assert all(model.why for model in status.models)
    answers = status.devices[0].answers
    assert {name: answers[name].executed for name in SCALES} == executed(results)
    assert all(sum((a.executed, a.linked, a.held, a.constant)) == len(results) for a in answers.values())


def test_a_load_serves_all_streams_that_wait_for_it(start_daemon, links, each_bytes):
    daemon = start_daemon(answers="hold", links=links, budget=f"{each_bytes}B", least_every_s=1.0)
    names = [f"camera-{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        streams = [pool.submit(answers_until, daemon.address, each_ran, device=name) for name in names]
        results = [stream.result() for stream in streams]
    assert all(executed(each).keys() == SCALES.keys() for each in results)
    status = daemon.status()
    loads, runs = sum(model.loads for model in status.models), sum(model.executions for model in status.models)
    assert loads < runs and status.budget_violations == 0 and status.peak_bytes <= status.budget_bytes


def test_what_there_is_no_compute_for_is_answered_all_the_same(start_daemon, links):
    daemon = start_daemon(answers="hold", links=links, compute="0.002 cores", audit=0.0, least_every_s=0.0)
    results = answers_until(daemon.address, lambda results: len(results) >= 300)
    status = daemon.status()
    assert status.refused == 0 and status.inputs == len(results) >= 300
    origins = Counter(output.origin for result in results for output in result.outputs)
    assert origins[edge_pb2.ORIGIN_EXECUTED] < sum(origins.values()) / 2
    assert status.compute_cores == pytest.approx(0.002)
    # Beside what comes in, some is saved up.
    assert 0 < status.spent_s <= 0.002 * (status.uptime_s + 10.0)


def test_a_stream_that_matters_little_is_not_starved_by_one_that_matters_much(start_daemon, links):
    weights = {"streams": {"loud": 100.0, "quiet": 0.01}}
    daemon = start_daemon(
        answers="hold", links=links, compute="0.02 cores", audit=0.0, least_every_s=0.5, weights=weights
    )
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        loud = pool.submit(answers_until, daemon.address, lambda _: ended.is_set(), device="loud")
        answers_until(daemon.address, lambda results: each_ran(results, times=3), device="quiet")
        ended.set()
        loud.result()
    counts = {device.name: device.answers["bright"] for device in daemon.status().devices}
    assert counts["quiet"].executed >= 3 and counts["quiet"].held > counts["quiet"].executed
    assert counts["loud"].executed >= 3


def test_a_killed_model_is_started_again_within_the_budget(start_daemon, links, each_bytes):
    daemon = start_daemon(answers="hold", links=links, budget=f"{2 * each_bytes}B")
    answers_until(daemon.address, each_ran)
    before = sum(model.loads for model in daemon.status().models)
    daemon.model_processes()[0].kill()
    answers_until(daemon.address, lambda results: each_ran(results, times=2), session="after")
    status = daemon.status()
    assert sum(model.loads for model in status.models) > before and status.refused == 0
    assert status.budget_violations == 0 and status.peak_bytes <= status.budget_bytes


def test_an_old_key_is_one_line_that_says_what_took_its_place(tmp_path, models):
    config = write_toml(tmp_path / "old.toml", {"models": str(models), "reselect_s": 60.0})
    done = infilink("cloud", "--config", config)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "`reselect_s` is gone" in done.stderr


def test_full_needs_room_for_all(tmp_path, models):
    done = infilink(
        "cloud", "--models", models, "--ledger", tmp_path / "l", "--budget", "70%", "--listen", "127.0.0.1:0"
    )
    assert done.returncode == 2 and "all 3 models take" in done.stderr
