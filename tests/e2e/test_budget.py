"""Under a budget: what fits runs, the others take turns, and the measured memory stays below."""

import threading

import grpc
import pytest
from infilink.models.cost import ModelCost
from infilink.protos import edge_pb2, edge_pb2_grpc

from .conftest import TIMEOUT_S, infilink
from .links import memory_bytes, write_links
from .test_wire import an_input, hello, picture

SCALES = {"bright": 1.0, "double": 2.0, "third": 1 / 3}
INPUTS = 100
INPUT_S = 0.04


def answers_until(address, enough):
    """Streams inputs a few at a time until `enough(results)`; returns the results."""
    room, results, done = threading.Semaphore(8), [], threading.Event()

    def messages():
        yield hello(session="budget")
        sequence = 0
        while not done.is_set():
            yield an_input(sequence, picture(sequence % 200), captured_ns=round(sequence * INPUT_S * 1e9))
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


@pytest.fixture(scope="module")
def known_costs(models, tmp_path_factory):
    """What the plan is made by: a budget for any two of the models, each of which is quickly loaded."""
    each = memory_bytes(models / "bright.onnx")
    costs = dict.fromkeys(SCALES, ModelCost(each, infer_s=0.001, load_s=0.05))
    links = write_links(tmp_path_factory.mktemp("costs") / "links", models, SCALES, costs, agreements={})
    return {"links": str(links), "budget": f"{2 * each}B"}


def test_rotating_models_are_run_in_turn_and_held_between(start_daemon, known_costs):
    daemon = start_daemon(answers="hold", **known_costs)
    status = daemon.status()
    assert len(status.resident) == 1 and sorted([*status.resident, *status.refresh_s]) == sorted(SCALES)
    results = answers_until(daemon.address, lambda results: len(results) == INPUTS)
    assert [result.sequence for result in results] == list(range(len(results)))
    exact, ran = {}, dict.fromkeys(SCALES, 0)
    for result in results:
        assert [output.model for output in result.outputs] == ["bright", "double", "third"]
        for output in result.outputs:
            ran[output.model] += output.origin == edge_pb2.ORIGIN_EXECUTED
            if output.model in status.resident:
                assert output.origin == edge_pb2.ORIGIN_EXECUTED and output.confidence == 1.0 and output.age_s == 0
            elif output.origin == edge_pb2.ORIGIN_EXECUTED:
                exact[output.model] = output.value
            else:
                assert output.origin == edge_pb2.ORIGIN_HELD and output.value == exact[output.model]
                assert 0 < output.age_s <= status.refresh_s[output.model]
    status = daemon.status()
    assert status.memory_samples > 0 and status.budget_violations == 0
    assert 0 < status.peak_bytes <= status.budget_bytes
    assert daemon.executions() == ran
    assert all(ran[name] == len(results) for name in status.resident)
    assert all(1 < ran[name] <= 1 + len(results) * INPUT_S / status.refresh_s[name] for name in status.refresh_s)


def test_answers_that_are_not_trusted_are_made_by_the_model_where_time_allows(start_daemon, known_costs):
    daemon = start_daemon(answers="hold", escalate=0.5, **known_costs)

    def escalated(results):
        # Asked seldom: it would take longer than the inputs themselves.
        return len(results) % 20 == 0 and daemon.status().escalated > 2

    results = answers_until(daemon.address, escalated)
    status = daemon.status()
    executed = sum(
        output.origin == edge_pb2.ORIGIN_EXECUTED and output.model in status.refresh_s
        for result in results
        for output in result.outputs
    )
    turns = sum(1 + int(len(results) * INPUT_S / refresh_s) for refresh_s in status.refresh_s.values())
    assert status.escalated <= executed <= status.escalated + turns
    assert status.budget_violations == 0 and status.peak_bytes <= status.budget_bytes


def test_full_needs_room_for_all(tmp_path, models):
    done = infilink(
        "cloud", "--models", models, "--ledger", tmp_path / "l", "--budget", "70%", "--listen", "127.0.0.1:0"
    )
    assert done.returncode == 2 and "all 3 models take" in done.stderr
