"""Models that are killed at any moment, and a coordinator that is stopped while it loads: nothing is lost or left."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import psutil
import pytest
from infilink.models.cost import ModelCost
from infilink.protos import edge_pb2

from .conftest import has_ended, wait_until, write_model
from .links import memory_bytes, write_links
from .test_budget import answers_until

SCALES = {"bright": 1.0, "double": 2.0, "third": 1 / 3, "half": 0.5}
STREAMS, KILLS, SEED = 4, 12, 5


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Four models, memory for two of them, and links that say what each costs."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "models").mkdir()
    for name, scale in SCALES.items():
        write_model(folder / "models" / f"{name}.onnx", scale=scale)
    each_bytes = memory_bytes(folder / "models" / "bright.onnx")
    costs = dict.fromkeys(SCALES, ModelCost(each_bytes, infer_s=0.001, load_s=0.05))
    links = write_links(folder / "links", folder / "models", SCALES, costs, agreements={})
    return {
        "models": str(folder / "models"),
        "links": str(links),
        "answers": "hold",
        "budget": f"{2 * each_bytes}B",
        "least_every_s": 1.0,
    }


def ran(results):
    """How often each model ran on these inputs."""
    return Counter(
        output.model for result in results for output in result.outputs if output.origin == edge_pb2.ORIGIN_EXECUTED
    )


def test_whatever_is_killed_each_input_is_answered_once_and_no_stream_starves(start_daemon, site):
    daemon, killed, chance = start_daemon(**site), threading.Event(), random.Random(SEED)

    def served(results):
        return len(results) % 20 == 0 and killed.is_set() and all(ran(results)[name] >= 2 for name in SCALES)

    with ThreadPoolExecutor(STREAMS) as pool:
        streams = [pool.submit(answers_until, daemon.address, served, device=f"camera-{i}") for i in range(STREAMS)]
        for _ in range(KILLS):
            daemon.answered(daemon.status().inputs + chance.randrange(60))
            victim = chance.choice(wait_until(daemon.model_processes, "a model's process"))
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        killed.set()
        results = [stream.result() for stream in streams]
    for each in results:
        assert [result.sequence for result in each] == list(range(len(each)))
        assert all(len(result.outputs) == len(SCALES) for result in each)
    status = daemon.status()
    assert status.inputs == sum(map(len, results)) and status.refused == 0
    assert status.budget_violations == 0 and 0 < status.peak_bytes <= status.budget_bytes


def test_a_coordinator_that_is_stopped_while_a_model_does_not_come_up_leaves_nothing(start_daemon, site):
    daemon, ended = start_daemon(**site), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(answers_until, daemon.address, lambda _: ended.is_set())
        held = wait_until(lambda: stands_still_while_loading(daemon), "a load that stands still")
        daemon.terminate()
        assert daemon.process.wait(300.0) == 0
        ended.set()
        with suppress(grpc.RpcError, AssertionError):
            stream.result()
    assert wait_until(lambda: has_ended(held), "the end of the model's process")
    assert "Traceback" not in daemon.said()


def stands_still_while_loading(daemon):
    """Stops the newest of the models' processes; None if that was not one that is being loaded, and it goes on."""
    with suppress(psutil.NoSuchProcess, ValueError):
        newest = max(daemon.model_processes(), key=lambda process: process.create_time())
        newest.suspend()
        if any(model.state == "loading" for model in daemon.status().models):
            return newest
        newest.resume()
    return None
