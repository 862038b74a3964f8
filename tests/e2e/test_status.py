"""`infilink status` against real coordinators: tables, JSON, and what goes wrong in one line."""

import json
import socket

from .conftest import TOKEN, Program, infilink, wait_until


def test_a_coordinator_tells_of_itself(daemon, start_agent):
    start_agent(daemon.address, name="told").finish()
    done = infilink("status", daemon.address, "--token", TOKEN)
    assert done.returncode == 0 and done.stderr == ""
    assert "every model runs on every input" in done.stdout and "told" in done.stdout and "gone" in done.stdout
    for name in ("bright", "double", "third"):
        assert f" {name} " in done.stdout
    status = json.loads(infilink("status", daemon.address, "--token", TOKEN, "--json").stdout)
    assert [model["state"] for model in status["models"]] == ["loaded"] * 3 and int(status["inputs"]) >= 120


def test_it_is_watched_until_it_ends(tmp_path, start_daemon):
    daemon = start_daemon()
    watching = Program(tmp_path / "watch.log", "status", daemon.address, "--watch", "--json")
    try:
        lines = [json.loads(watching.process.stdout.readline()) for _ in range(2)]
        assert lines[0]["uptime_s"] < lines[1]["uptime_s"]
        daemon.stop()
        wait_until(lambda: watching.process.poll() is not None, "the end of the watching")
        assert watching.process.returncode == 2 and "nobody answers at" in watching.said()
    finally:
        watching.close()


def test_what_goes_wrong_is_one_line_that_says_what_to_do(daemon):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        done = infilink("status", address)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and f"nobody answers at {address}" in done.stderr
    done = infilink("status", daemon.address)
    assert done.returncode == 2 and "--token" in done.stderr
    done = infilink("status", "here")
    assert done.returncode == 2 and 'must be "HOST:PORT"' in done.stderr
    done = infilink("status", daemon.address, "--tls-ca", "/nowhere/ca.pem")
    assert done.returncode == 2 and "tls_ca" in done.stderr
