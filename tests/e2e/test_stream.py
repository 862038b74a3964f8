"""Both daemons as processes of their own, over real gRPC: every frame is answered once, whatever dies."""

import json
import socket
import sqlite3

import numpy as np
from infilink.device.results_read import Results

from .conftest import FROM_NOTHING, brightness, has_ended, infilink, wait_until

SCALES = {"bright": 1.0, "double": 2.0, "third": 1 / 3}
WINDOW = 8


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
    summary = start_agent(daemon.address).finish()
    assert (summary["frames"], summary["kept"], summary["answered"], summary["refused"]) == (120, 120, 120, 0)
    assert_exact(tmp_path / "results0.sqlite", 120)
    with sqlite3.connect(tmp_path / "results0.sqlite") as database:
        received = [row[0] for row in database.execute("SELECT received_s FROM inputs ORDER BY sequence")]
    database.close()
    assert received == sorted(received)
    assert daemon.executions() == dict.fromkeys(SCALES, 120)
    assert daemon.stop() == 0
    status = json.loads((tmp_path / "status.json").read_text())
    assert int(status["inputs"]) == 120 and status["devices"][0]["report"]["frames"] == "120"


def test_a_killed_coordinator_comes_back_and_nothing_is_lost_or_made_twice(start_daemon, start_agent, tmp_path):
    first = start_daemon()
    # It goes on until it is told to stop, so that it is at work when the coordinator dies.
    agent = start_agent(first.address, loop=True, window=WINDOW, encoding="jpeg")  # No decoder's process beside.
    answered = first.answered(50)
    workers = first.model_processes()
    first.kill()
    assert len(workers) == len(SCALES)
    wait_until(lambda: all(map(has_ended, workers)), "the workers end with their coordinator")
    second = start_daemon(listen=first.address)
    second.answered(50)
    agent.terminate()
    summary = agent.finish()
    frames = summary["frames"]
    assert summary["kept"] == summary["answered"] == frames and not summary["refused"]
    assert summary["connections"] == 2
    with Results(tmp_path / "results0.sqlite") as results:
        values = [float(value[0]) for value in results.served("bright")]
    np.testing.assert_allclose(values, [brightness(i % 120) for i in range(frames)], atol=3)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as ledger:
        found = ledger.execute("SELECT COUNT(*), COUNT(DISTINCT sequence) FROM answers").fetchone()
    ledger.close()
    assert found == (frames, frames)
    status = second.status()
    # Of what the first had answered, the second hears at most what the device had not.
    assert status.inputs + status.repeated <= frames - answered + WINDOW


def loads(daemon):
    """How often each model was loaded."""
    return [model.loads for model in daemon.status().models]


def test_a_killed_model_is_started_again(start_daemon, start_agent, tmp_path):
    daemon = start_daemon()
    agent = start_agent(daemon.address, loop=True, encoding="jpeg")  # No decoder's process beside.
    daemon.answered(20)
    daemon.model_processes()[0].kill()
    wait_until(lambda: sum(loads(daemon)) > len(SCALES), "the model is loaded again")
    daemon.answered(int(daemon.status().inputs) + 20)
    agent.terminate()
    summary = agent.finish()
    assert summary["answered"] == summary["frames"] and summary["refused"] == 0
    with Results(tmp_path / "results0.sqlite") as results:
        assert {origin for name in SCALES for origin in results.origins(name)} == {"executed"}
    assert sorted(loads(daemon)) == [1, 1, 2]


def test_a_coordinator_that_is_stopped_ends_in_order_and_the_agent_goes_on_with_the_next(
    start_daemon, start_agent, tmp_path
):
    first = start_daemon("--status-file", str(tmp_path / "status.json"), python=FROM_NOTHING)
    agent = start_agent(first.address, loop=True, python=FROM_NOTHING)
    first.answered(20)
    workers = first.model_processes()
    assert first.stop() == 0
    wait_until(lambda: all(map(has_ended, workers)), "the workers end with their coordinator")
    assert int(json.loads((tmp_path / "status.json").read_text())["inputs"]) >= 20
    second = start_daemon(listen=first.address)
    second.answered(20)
    agent.terminate()
    summary = agent.finish()
    assert summary["kept"] == summary["answered"] == summary["frames"] >= 40 and summary["connections"] == 2
    with Results(tmp_path / "results0.sqlite") as results:
        values = [float(value[0]) for value in results.served("bright")]
    np.testing.assert_allclose(values, [brightness(i % 120) for i in range(summary["frames"])], atol=3)


def test_two_devices_at_once(daemon, start_agent, tmp_path):
    agents = [start_agent(daemon.address) for _ in range(2)]
    for index, agent in enumerate(agents):
        assert agent.finish()["answered"] == 120
        assert_exact(tmp_path / f"results{index}.sqlite", 120)


def test_skipped_frames_have_the_answer_of_the_last_kept_one(daemon, start_agent, tmp_path):
    summary = start_agent(daemon.address, gate="every:3").finish()
    assert (summary["frames"], summary["kept"], summary["answered"]) == (120, 40, 40)
    with Results(tmp_path / "results0.sqlite") as results:
        assert results.kept == [i % 3 == 0 for i in range(120)]
        assert results.origins("bright")[:4] == ["executed", "reused", "reused", "executed"]
        values = [float(value[0]) for value in results.served("bright")]
    np.testing.assert_allclose(values, [brightness(i - i % 3) for i in range(120)], atol=3)


def test_latest_never_waits_and_says_what_it_dropped(daemon, start_agent, tmp_path):
    summary = start_agent(daemon.address, queue="latest", window=1).finish()
    assert summary["frames"] == 120 == summary["answered"] + summary["dropped"] + summary["refused"]
    assert summary["answered"] >= 1


def test_a_port_that_is_taken_is_one_line(tmp_path, models):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = infilink("cloud", "--models", models, "--ledger", tmp_path / "l", "--listen", address)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and address in done.stderr


def test_nobody_answers_is_one_line(start_agent):
    # Taken, so that nobody else answers there, and not listened to.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        told = start_agent(address, connect_timeout_s=0.5).refusal()
    assert told.count("\n") == 1 and f"nobody answers at {address}" in told


def test_a_budget_below_the_smallest_model_is_one_line(tmp_path, models):
    done = infilink(
        "cloud", "--models", models, "--ledger", tmp_path / "l", "--budget", "1MiB", "--listen", "127.0.0.1:0"
    )
    assert done.returncode == 2 and "smallest model" in done.stderr


def test_a_folder_without_models_is_one_line(tmp_path):
    done = infilink("cloud", "--models", tmp_path, "--ledger", tmp_path / "l", "--listen", "127.0.0.1:0")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "holds no .onnx file" in done.stderr


def test_a_wrong_token_is_refused_at_once(daemon, start_agent):
    assert "token" in start_agent(daemon.address, token="guess").refusal()
