"""A filter is rolled out to a real agent, which is killed in between, refuses what does not do, and goes back."""

import hashlib
import json
import os
import signal
from pathlib import Path

from infilink.models.spec import digest
from infilink.protos import fleet_pb2

from ..filters.made import FRAMES as SPEC
from ..filters.made import brightest, write_filter
from .conftest import TOKEN, Agent, Daemon, infilink, wait_until, write_model
from .test_fleet import LIVE, of_fleet


def made(folder: Path, name: str, *, certified: bool = True, **changes: object) -> Path:
    path = folder / name
    certificate = SPEC.certificate.model_copy(update={"certified": certified, "method": "none: too few inputs"})
    models = {"bright": digest(folder / "models" / "bright.onnx")}
    fields = {"models": models, "rule": "unchanged", "certificate": certificate, **changes}
    write_filter(path, brightest(), SPEC, **fields)
    return path


def say(daemon: Daemon, *words: object) -> list[dict]:
    done = infilink("fleet", "filter", *words, "--json", "--coordinator", daemon.address, "--token", TOKEN)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_for(daemon: Daemon, state: str, what: str) -> fleet_pb2.StreamFilter:
    def found() -> fleet_pb2.StreamFilter | None:
        (stream,) = of_fleet(daemon).filters
        return stream if stream.state == state else None

    return wait_until(found, what)


def kill(agent: Agent) -> None:
    os.kill(agent.process.pid, signal.SIGKILL)
    agent.process.wait()


def test_a_filter_is_rolled_out_outlives_kills_and_goes_back(start_daemon, start_agent, tmp_path: Path):
    (tmp_path / "models").mkdir()
    write_model(tmp_path / "models" / "bright.onnx")
    (tmp_path / "live.py").write_text(LIVE)
    daemon = start_daemon(token=TOKEN, models=str(tmp_path / "models"))
    settings = {"source": f"call({tmp_path / 'live.py'}:frames)", "queue": "latest", "spool": {"folder": "spool"}}

    def start() -> Agent:
        return start_agent(daemon.address, name="door", **settings)

    agent = start()
    daemon.answered(5)
    file = made(tmp_path, "new.onnx", threshold=0.1)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    say(daemon, "door", "--file", file, "--yes")
    # Whatever it is at: the next run takes it up, or has done so.
    kill(agent)
    agent = start()
    stream = wait_for(daemon, "at work", "the filter to decide")
    assert (stream.gate_digest, stream.wanted_digest) == (found[:16], found)
    assert stream.by == "the token" and stream.since_us > 0
    kill(agent)
    agent = start()
    say(daemon, "door", "--file", made(tmp_path, "unproven.onnx", certified=False), "--yes")
    stream = wait_for(daemon, "refused", "what has no certificate to be refused")
    assert "it has no certificate" in stream.told and stream.gate_digest == found[:16]
    done = infilink(
        *("fleet", "filter", "door", "--file", tmp_path / "live.py", "--yes"),
        *("--coordinator", daemon.address, "--token", TOKEN),
    )
    assert done.returncode == 2 and "and then .onnx" in done.stderr

    # Back is to what decided before what decides, also where something else was refused since.
    say(daemon, "door", "--back", "--yes")
    kill(agent)
    start()
    wait_for(daemon, "at work", "the device's own gate to decide")
    (listed,) = say(daemon)
    assert (listed["gate_name"], listed["wanted_digest"], listed["state"]) == ("all", "", "at work")
