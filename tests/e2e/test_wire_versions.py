"""One version of the wire apart: peers that know only the proto of the version before, against today's daemons."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from infilink.device.results_read import Results
from infilink.models.spec import find_models, read_spec
from infilink.protos import wire

from .conftest import TIMEOUT_S, TOKEN
from .test_wire import picture

SAMPLE = Path(__file__).parent.parent / "samples" / f"wire_{wire.NEWEST - 1}"


@pytest.fixture(scope="module")
def peer(tmp_path_factory) -> list[str]:
    """The command that runs a peer of the version before, but for what it is to be."""
    out = tmp_path_factory.mktemp("generated")
    outs = [f"--python_out={out}", f"--grpc_python_out={out}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{SAMPLE}", *outs, str(SAMPLE / "edge.proto")]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)
    return [sys.executable, str(SAMPLE / "peer.py"), str(out)]


def test_a_device_of_the_version_before_is_served(peer, daemon):
    lines = "".join(f"{base64.b64encode(picture(level)).decode()}\n" for level in (50, 100, 150))
    command = [*peer, "device", daemon.address, TOKEN]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    welcome, *results, status = map(json.loads, done.stdout.splitlines())
    assert sorted(welcome["welcome"]["specs"]) == ["bright", "double", "third"]
    assert [sorted(output["model"] for output in each["result"]["outputs"]) for each in results] == [
        ["bright", "double", "third"]
    ] * 3
    (told,) = (each for each in status["devices"] if each["name"] == "old")
    assert told["inputs"] == "3" and told["report"]["frames"] == "10"
    (known,) = (each for each in daemon.status().devices if each.name == "old")
    assert known.wire == wire.NEWEST - 1 and known.version == "0.1.0"


def test_a_coordinator_of_the_version_before_is_sent_to(peer, models, start_agent, tmp_path):
    specs = {name: read_spec(path).model_dump_json() for name, path in find_models(models).items()}
    command = [*peer, "coordinator", json.dumps(specs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served:
        address = served.stdout.readline().strip()
        summary = start_agent(address, seconds=1.0).finish()
        served.stdin.close()
    assert summary["answered"] == summary["frames"] == 25 and summary["refused"] == 0
    with Results(tmp_path / "results0.sqlite") as results:
        assert {value.item() for value in results.served("bright")} == {7.0}


def test_a_device_says_which_wire_is_spoken(daemon, start_agent):
    start_agent(daemon.address, name="newest", seconds=0.5).finish()
    (known,) = (each for each in daemon.status().devices if each.name == "newest")
    assert known.wire == wire.NEWEST
