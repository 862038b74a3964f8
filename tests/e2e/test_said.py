"""What must not be silent: two agents of one name, and a clock by which every frame is late; on both sides, once."""

import re

from .conftest import TOKEN, Agent, wait_until, write_toml

_BEHIND_S = 3600
_LATE_CLOCK = f"""
import sys, time
now_ns = time.time_ns
time.time_ns = lambda: now_ns() - {_BEHIND_S} * 10**9
from infilink.cli import main
sys.argv = ["infilink", *sys.argv[1:]]
main()
"""


def test_two_agents_of_one_name(start_daemon, start_agent):
    daemon = start_daemon(token=TOKEN)
    agents = [start_agent(daemon.address, name="yard", loop=True, window=1) for _ in range(2)]
    for each in (daemon, *agents):
        wait_until(lambda each=each: "yard: two agents of this name" in each.said(), "it is said")
    for agent in agents:
        agent.terminate()
        assert agent.finish()["refused"] == 0
        assert agent.said().count("two agents of this name") == 1
    assert daemon.said().count("two agents of this name") == 1


def test_a_clock_that_is_an_hour_behind(start_daemon, tmp_path, video):
    daemon = start_daemon(token=TOKEN)
    settings = {
        "name": "yard",
        "source": str(video),
        "pace": "max",
        "queue": "all",
        "coordinator": daemon.address,
        "token": TOKEN,
        "deadline_s": 2.0,
    }
    agent = Agent(write_toml(tmp_path / "device.toml", settings), python=("-c", _LATE_CLOCK))
    try:
        summary = agent.finish()
    finally:
        agent.close()
    assert summary["frames"] == summary["refused"] == 120
    # A busy machine's messages travel for a while: the clocks are compared that well.
    behind = r"clock is (3600|3599|3601)\.\d s behind"
    assert len(re.findall(f"this device's {behind} that of", agent.said())) == 1
    said = f"yard: its {behind} this one's"
    wait_until(lambda: re.search(said, daemon.said()), "the coordinator says so, too")
    assert daemon.said().count("its clock is") == 1
