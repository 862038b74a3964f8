"""The agent's command, as a person starts and stops it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

from .coordinator import TIMEOUT_S


def test_ctrl_c_before_anybody_answered_ends_it_at_once(video: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(TIMEOUT_S)
        config = tmp_path / "device.toml"
        config.write_text(
            f"name = 'a'\nsource = '{video}'\ncoordinator = '127.0.0.1:{mute.getsockname()[1]}'\n"
            f"connect_timeout_s = {100 * TIMEOUT_S}\n"
        )
        command = [sys.executable, "-m", "infilink.cli", "device", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
            try:
                connection, _ = mute.accept()
                agent.send_signal(signal.SIGINT)
                said, wrong = agent.communicate(timeout=TIMEOUT_S)
            finally:
                agent.kill()
    connection.close()
    assert (agent.returncode, said, wrong.splitlines()[-1:]) == (130, "", ["error: interrupted"])
