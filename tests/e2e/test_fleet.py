"""A real agent does what an operator says of it: it holds its inputs, goes on, stays away, and comes back."""

from pathlib import Path

import grpc
from infilink.protos import fleet_pb2, fleet_pb2_grpc

from .conftest import METADATA, TIMEOUT_S, TOKEN, Daemon, infilink, wait_until

LIVE = """
import time
import numpy as np

def frames():
    for number in range(10**6):
        time.sleep(0.01)
        yield np.full((60, 80, 3), number % 200, np.uint8)

frames.live = True
"""


def of_fleet(daemon: Daemon) -> fleet_pb2.FleetDevice:
    with grpc.insecure_channel(daemon.address) as channel:
        reply = fleet_pb2_grpc.FleetStub(channel).List(fleet_pb2.ListFleet(), metadata=METADATA, timeout=TIMEOUT_S)
    return reply.devices[0] if reply.devices else fleet_pb2.FleetDevice()


def say(daemon: Daemon, action: str) -> str:
    done = infilink("fleet", action, "camera-0", "--coordinator", daemon.address, "--token", TOKEN)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_agent_holds_its_inputs_goes_on_stays_away_and_comes_back(start_daemon, start_agent, tmp_path: Path):
    daemon = start_daemon(token=TOKEN)
    (tmp_path / "live.py").write_text(LIVE)
    agent = start_agent(
        daemon.address, source=f"call({tmp_path / 'live.py'}:frames)", queue="latest", spool={"folder": "spool"}
    )
    daemon.answered(5)

    def report():
        return daemon.status().devices[0].report

    assert "holds its inputs" in say(daemon, "pause")
    wait_until(lambda: report().spooled >= 20, "inputs that wait in the spool")
    held = daemon.status()
    assert held.devices[0].connected and of_fleet(daemon).state == "paused"
    say(daemon, "resume")
    daemon.answered(held.inputs + 20)
    assert "stays away" in say(daemon, "drain")
    wait_until(lambda: not of_fleet(daemon).connected, "its connection to end")
    wait_until(lambda: "drained by the token" in agent.said(), "the agent to be told why")
    say(daemon, "resume")
    agent.terminate()
    summary = agent.finish()
    assert summary["spooled"] > 0, "what came while it was away waits for the next run"
    listed = infilink("fleet", "ls", "--coordinator", daemon.address, "--token", TOKEN)
    assert listed.returncode == 0 and "camera-0" in listed.stdout and "not connected" in listed.stdout
