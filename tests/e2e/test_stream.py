"""Both daemons as processes of their own, over real gRPC: every frame is answered once, whatever dies."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys

import numpy as np
import psutil
from infilink.device.results import Results

from .conftest import brightness, finish, wait_until

SCALES = {"bright": 1.0, "double": 2.0, "third": 1 / 3}


def assert_exact(path, frames):
    """Every frame has every model's own output for it, once."""
    with Results(path) as results:
        assert results.sequences == list(range(frames))
        assert results.models == sorted(SCALES)
        for name, scale in SCALES.items():
            values = [float(value[0]) for value in results.served(name)]
            np.testing.assert_allclose(values, [brightness(i) * scale for i in range(frames)], atol=4 * scale)
            assert set(results.origins(name)) == {"executed"}


def test_every_frame_is_answered_once_and_in_order(start_daemon, start_agent, tmp_path):
    daemon = start_daemon("--status-file", str(tmp_path / "status.json"))
    summary = finish(start_agent(daemon.address))
    assert (summary["frames"], summary["kept"], summary["answered"], summary["refused"]) == (120, 120, 120, 0)
    assert_exact(tmp_path / "results0.sqlite", 120)
    with sqlite3.connect(tmp_path / "results0.sqlite") as database:
        received = [row[0] for row in database.execute("SELECT received_s FROM inputs ORDER BY sequence")]
    database.close()
    assert received == sorted(received)
    assert {model.name: model.executions for model in daemon.status().models} == dict.fromkeys(SCALES, 120)
    assert daemon.stop() == 0
    status = json.loads((tmp_path / "status.json").read_text())
    assert int(status["inputs"]) == 120 and status["devices"][0]["report"]["frames"] == "120"


def test_a_killed_coordinator_comes_back_and_nothing_is_lost_or_made_twice(start_daemon, start_agent, tmp_path):
    first = start_daemon()
    agent = start_agent(first.address, loop=True, seconds=12)
    wait_until(lambda: first.status().inputs >= 50, "50 answers")
    workers = first.worker_pids()
    first.kill()
    assert len(workers) == len(SCALES)
    wait_until(lambda: not any(map(psutil.pid_exists, workers)), "the workers end with their coordinator")
    second = start_daemon(listen=first.address)
    summary = finish(agent)
    assert (summary["frames"], summary["answered"], summary["refused"]) == (300, 300, 0)
    assert summary["connections"] == 2
    with Results(tmp_path / "results0.sqlite") as results:
        values = [float(value[0]) for value in results.served("bright")]
    np.testing.assert_allclose(values, [brightness(i % 120) for i in range(300)], atol=3)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.execute("SELECT COUNT(*), COUNT(DISTINCT sequence) FROM answers").fetchone() == (300, 300)
    ledger.close()
    status = second.status()
    assert status.inputs + status.repeated <= 300 - 50 + 8


def test_a_killed_model_is_started_again(start_daemon, start_agent, tmp_path):
    daemon = start_daemon()
    agent = start_agent(daemon.address, loop=True, seconds=12)
    wait_until(lambda: daemon.status().inputs >= 20, "20 answers")
    os.kill(daemon.worker_pids()[0], signal.SIGKILL)
    summary = finish(agent)
    assert (summary["answered"], summary["refused"]) == (300, 0)
    with Results(tmp_path / "results0.sqlite") as results:
        assert {origin for name in SCALES for origin in results.origins(name)} == {"executed"}
    assert sorted(model.loads for model in daemon.status().models) == [1, 1, 2]


def test_a_coordinator_that_is_stopped_ends_in_order_and_the_agent_goes_on_with_the_next(
    start_daemon, start_agent, tmp_path
):
    first = start_daemon("--status-file", str(tmp_path / "status.json"))
    agent = start_agent(first.address, loop=True)
    wait_until(lambda: first.status().inputs >= 20, "20 answers")
    workers = first.worker_pids()
    assert first.stop() == 0
    assert not any(map(psutil.pid_exists, workers))
    assert int(json.loads((tmp_path / "status.json").read_text())["inputs"]) >= 20
    second = start_daemon(listen=first.address)
    wait_until(lambda: second.status().inputs >= 20, "20 more answers")
    agent.terminate()
    summary = finish(agent)
    assert summary["kept"] == summary["answered"] == summary["frames"] >= 40 and summary["connections"] == 2
    with Results(tmp_path / "results0.sqlite") as results:
        values = [float(value[0]) for value in results.served("bright")]
    np.testing.assert_allclose(values, [brightness(i % 120) for i in range(summary["frames"])], atol=3)


def test_two_devices_at_once(daemon, start_agent, tmp_path):
    agents = [start_agent(daemon.address) for _ in range(2)]
    for index, agent in enumerate(agents):
        assert finish(agent)["answered"] == 120
        assert_exact(tmp_path / f"results{index}.sqlite", 120)


def test_skipped_frames_have_the_answer_of_the_last_kept_one(daemon, start_agent, tmp_path):
    summary = finish(start_agent(daemon.address, gate="every:3"))
    assert (summary["frames"], summary["kept"], summary["answered"]) == (120, 40, 40)
    with Results(tmp_path / "results0.sqlite") as results:
        assert results.kept == [i % 3 == 0 for i in range(120)]
        assert results.origins("bright")[:4] == ["executed", "reused", "reused", "executed"]
        values = [float(value[0]) for value in results.served("bright")]
    np.testing.assert_allclose(values, [brightness(i - i % 3) for i in range(120)], atol=3)


def test_latest_never_waits_and_says_what_it_dropped(daemon, start_agent, tmp_path):
    summary = finish(start_agent(daemon.address, queue="latest", window=1))
    assert summary["frames"] == 120 == summary["answered"] + summary["dropped"] + summary["refused"]
    assert summary["answered"] >= 1


def test_a_port_that_is_taken_is_one_line(tmp_path, models):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = cloud("--models", models, "--ledger", tmp_path / "l", "--listen", address)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and address in done.stderr


def test_nobody_answers_is_one_line(start_agent):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    agent = start_agent(address, connect_timeout_s=0.5)
    out, err = agent.communicate(timeout=30)
    assert agent.returncode == 2 and out == "" and err.count("\n") == 1 and f"nobody answers at {address}" in err


def test_a_budget_below_the_smallest_model_is_one_line(tmp_path, models):
    done = cloud("--models", models, "--ledger", tmp_path / "l", "--budget", "1MiB", "--listen", "127.0.0.1:0")
    assert done.returncode == 2 and "smallest model" in done.stderr


def test_a_folder_without_models_is_one_line(tmp_path):
    done = cloud("--models", tmp_path, "--ledger", tmp_path / "l", "--listen", "127.0.0.1:0")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "holds no .onnx file" in done.stderr


def test_a_wrong_token_is_refused_at_once(daemon, start_agent):
    agent = start_agent(daemon.address, token="guess")
    _, err = agent.communicate(timeout=30)
    assert agent.returncode == 2 and "token" in err


def cloud(*arguments):
    command = [sys.executable, "-m", "infilink.cli", "cloud", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
