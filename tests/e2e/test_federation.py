"""Three sites and an aggregator, each a process of its own, over real gRPC; one of them is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from infilink.links.domains.folder import LinkFolder
from infilink.links.domains.rounds import Site
from infilink.links.domains.shared import read_shared
from infilink.links.domains.sharing import SharingSite
from infilink.links.domains.task import LinkTask
from infilink.links.graph import LinkGraph
from infilink.models.cost import ModelCost
from infilink.models.spec import parse_spec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from ..bench.links.reference_rounds import RoundSettings, run_rounds
from .conftest import TIMEOUT_S

SITES = ("gym", "hall", "office")
INPUTS = 150
ROUNDS = 6
TOKEN = "open sesame"


def write_trace(path: Path, seed: int) -> None:
    """`people` follows from `vehicles`, in each place by a little more."""
    specs = {
        name: parse_spec({"name": name, "output": {"kind": "count"}}, where=name) for name in ("people", "vehicles")
    }
    costs = {name: ModelCost(1 << 20, 0.01, 0.1) for name in specs}
    rng = np.random.default_rng(seed)
    info = TraceInfo("made-up", 2.0, specs, {name: name for name in specs}, costs, input="none")
    with TraceWriter(path, info) as writer:
        for row, vehicles in enumerate(rng.integers(0, 10, INPUTS).tolist()):
            outputs = {"vehicles": [vehicles], "people": [vehicles + 1 + seed % 2]}
            writer.append(row, row * 0.5, b"", {n: np.asarray(v, np.float32) for n, v in outputs.items()})


@pytest.fixture(scope="module")
def traces(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sites")
    for seed, name in enumerate(SITES):
        write_trace(folder / f"{name}.trace", seed)
    return {name: folder / f"{name}.trace" for name in SITES}


@pytest.fixture
def start():
    """Starts `infilink federate ...`; all are gone at the end."""
    processes = []

    def begin(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-u", "-m", "infilink.cli", "federate", *arguments, "--token", TOKEN, "--json"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        processes.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, bufsize=1
            )
        )
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def line_with(process: "subprocess.Popen[str]", text: str, *, of: str = "stderr") -> str:
    """Waits for a line that holds a text."""
    timer = threading.Timer(TIMEOUT_S, process.kill)
    timer.start()
    seen = ""
    for line in getattr(process, of):
        seen += line
        if text in line:
            timer.cancel()
            return line
    timer.cancel()
    raise AssertionError(f"{text!r} was not said: {seen}")


def finish(process: "subprocess.Popen[str]") -> dict:
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def site_of(name: str, path: Path) -> Site:
    with Trace(path) as trace:
        task = LinkTask.of(trace, ["vehicles"], "people")
        return Site(name, task, SharingSite(LinkFolder.open(trace), task).blocks[0])


def check_same(out: Path, traces: dict[str, Path], present: list[list[str]]) -> None:
    """The aggregator's file says what the same sites learn in one process, with the same rounds."""
    sites = [site_of(name, path) for name, path in traces.items()]
    alone = run_rounds(sites, RoundSettings(rounds=len(present), seed=3), present=present)
    inputs = np.arange(12.0)[:, None]
    shared = read_shared(out)
    assert shared.task == alone.task
    np.testing.assert_allclose(shared.predict(inputs), alone.predict(inputs), rtol=1e-4, atol=1e-4)


def test_a_site_is_killed_in_a_round_and_the_others_learn_what_they_would_have(traces, start, tmp_path):
    out = tmp_path / "all.onnx"
    settings = ["--sites", "3", "--rounds", str(ROUNDS), "--seed", "3", "--round-timeout", "30"]
    serve = start("serve", "--listen", "127.0.0.1:0", "--out", str(out), *settings)
    address = line_with(serve, "ready on ", of="stdout").removeprefix("ready on ").strip()

    def join(name: str, *more: str) -> "subprocess.Popen[str]":
        return start("join", address, str(traces[name]), "--target", "people", "--site", name, *more)

    gym = join("gym", "--out", str(tmp_path / "links"))
    line_with(serve, "gym: joined")
    # The first round can't end while one site stands still, so there is time to kill another in it.
    gym.send_signal(signal.SIGSTOP)
    hall, office = join("hall"), join("office")
    line_with(office, "round 1")
    os.kill(office.pid, signal.SIGKILL)
    line_with(serve, "office: left")
    gym.send_signal(signal.SIGCONT)
    told, of_gym, of_hall = finish(serve), finish(gym), finish(hall)
    assert told["ended_early"] == "" and len(told["rounds"]) == ROUNDS
    assert all(report["sites"] == ["gym", "hall"] for report in told["rounds"][1:])
    check_same(out, traces, [report["sites"] for report in told["rounds"]])
    graph = LinkGraph.load(tmp_path / "links")
    assert (of_gym["target"], of_gym["links"]) == ("people", str(tmp_path / "links")) and "links" not in of_hall
    assert graph.models.keys() == {"people", "vehicles"} and graph.notes["domains"]["people"]["learnt_from"] == "sites"
    for name, of_site in (("gym", of_gym), ("hall", of_hall)):
        assert of_site["rounds"] == ROUNDS
        assert of_site["sent_bytes"] == told["sites"][name]["up"]
        assert of_site["received_bytes"] == told["sites"][name]["down"]
        assert set(of_site["agreements"]) == {"constant", "this site's link", "the link of all", "what is chosen"}


def test_what_can_t_be_joined_is_one_line_and_exit_code_2(traces, start):
    lost = start("join", "127.0.0.1:9", str(traces["gym"]), "--target", "cars")
    _, err = lost.communicate(timeout=TIMEOUT_S)
    assert lost.returncode == 2 and err.count("\n") == 1 and "known models: people, vehicles" in err


def test_over_tls(traces, start, tmp_path):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not here to make a certificate with")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True, timeout=60)
    tls = ["--tls-cert", str(cert), "--tls-key", str(key)]
    out = tmp_path / "all.onnx"
    serve = start("serve", "--listen", "127.0.0.1:0", "--out", str(out), "--sites", "1", "--rounds", "2", *tls)
    address = line_with(serve, "ready on ", of="stdout").removeprefix("ready on ").strip()
    site = start("join", address, str(traces["gym"]), "--target", "people", "--site", "gym", "--tls-ca", str(cert))
    assert finish(site)["rounds"] == 2
    assert finish(serve)["sites"]["gym"]["central"] > 0
    assert out.is_file()
