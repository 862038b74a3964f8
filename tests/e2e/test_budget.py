"""Under a budget: what fits runs, the others take turns, and the measured memory stays below."""

import threading

import grpc
from infilink.protos import edge_pb2, edge_pb2_grpc

from .test_wire import an_input, hello, picture

_MOST = 20_000


def answers_until(address, enough):
    """Streams inputs a few at a time until `enough(results)`; returns the results."""
    room, results, done = threading.Semaphore(8), [], threading.Event()

    def messages():
        yield hello(session="budget")
        for sequence in range(_MOST):
            room.acquire(timeout=30)
            if done.is_set():
                return
            yield an_input(sequence, picture(sequence % 200), captured_ns=sequence * 40_000_000)

    with grpc.insecure_channel(address) as channel:
        for answer in edge_pb2_grpc.EdgeStub(channel).Connect(messages(), timeout=60):
            if answer.HasField("welcome"):
                continue
            results.append(answer.result)
            if enough(results):
                done.set()
            room.release()
    assert done.is_set()
    return results


def test_rotating_models_are_run_in_turn_and_held_between(start_daemon):
    daemon = start_daemon(answers="hold", budget="70%")
    status = daemon.status()
    assert status.resident and status.refresh_s
    assert sorted([*status.resident, *status.refresh_s]) == ["bright", "double", "third"]
    ran = set()

    def all_ran(results):
        ran.update(o.model for o in results[-1].outputs if o.origin == edge_pb2.ORIGIN_EXECUTED)
        return len(ran) == 3

    results = answers_until(daemon.address, all_ran)
    assert [result.sequence for result in results] == list(range(len(results)))
    exact = {}
    for result in results:
        assert [output.model for output in result.outputs] == ["bright", "double", "third"]
        for output in result.outputs:
            if output.model in status.resident:
                assert output.origin == edge_pb2.ORIGIN_EXECUTED and output.confidence == 1.0 and output.age_s == 0
            elif output.origin == edge_pb2.ORIGIN_EXECUTED:
                exact[output.model] = output.value
            elif output.model in exact:
                assert output.origin == edge_pb2.ORIGIN_HELD and output.value == exact[output.model]
                assert output.age_s > 0
            else:
                assert output.origin == edge_pb2.ORIGIN_CONSTANT and output.age_s == -1
    status = daemon.status()
    assert status.memory_samples > 0 and status.budget_violations == 0
    assert 0 < status.peak_bytes <= status.budget_bytes
    executions = {model.name: model.executions for model in status.models}
    assert all(executions[name] == len(results) for name in status.resident)
    assert all(1 <= executions[name] < len(results) for name in status.refresh_s)


def test_full_needs_room_for_all(tmp_path, models):
    from .test_stream import cloud

    done = cloud("--models", models, "--ledger", tmp_path / "l", "--budget", "70%", "--listen", "127.0.0.1:0")
    assert done.returncode == 2 and "all 3 models take" in done.stderr
