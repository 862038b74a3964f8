"""`infilink device --draw`: what is masked is black, and zones have their outlines and names."""

from pathlib import Path

import cv2
import pytest
from infilink.cli import build_app
from infilink.device.config import load_config
from infilink.device.draw_streams import draw_streams
from infilink.errors import InvalidInput
from typer.testing import CliRunner

from ..filters.made import write_frames

MASK = "[[[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]]"


@pytest.fixture
def config(tmp_path: Path, video: Path) -> Path:
    write_frames(
        tmp_path / "f.onnx",
        rule="count(zone=door) == 0",
        zones={"door": ((0.1, 0.1), (0.4, 0.1), (0.4, 0.9))},
    )
    path = tmp_path / "device.toml"
    path.write_text(
        f'name = "yard"\nsource = "{video}"\nstart_s = 2.5\ncoordinator = "h:1"\n'
        f'[streams.door]\nmask = {MASK}\ngate = "f.onnx"\n[streams.plain]\n[streams.bad]\nsource = "none.avi"\n'
    )
    return path


def test_each_stream_has_a_picture_with_its_mask_and_the_zones_of_its_rule(config: Path, tmp_path: Path) -> None:
    door, plain, bad = draw_streams(load_config(config), tmp_path / "drawn")
    assert (door.zones, plain.zones, plain.black) == (("door",), (), 0.0) and 0.5 <= door.black < 0.55
    assert bad.path is None and "none.avi" in bad.failed
    picture = cv2.imread(str(door.path))
    assert picture is not None and picture[20:40, 40:60].mean() < 10 and picture[30, 8].min() > 150
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"door.jpg", "plain.jpg"}


def test_the_command_says_what_it_drew_and_sends_nothing(config: Path, tmp_path: Path) -> None:
    zones = tmp_path / "zones.toml"
    zones.write_text("[zones]\ngate = [[0.1, 0.2], [0.3, 0.2], [0.3, 0.9]]\n")
    words = ["device", "--config", str(config), "--draw", str(tmp_path / "out"), "--zones", str(zones)]
    done = CliRunner().invoke(build_app(words), words)
    assert done.exit_code == 0, done.output
    lines = done.stdout.replace("\n", " ").split("stream ")
    assert any("door: wrote" in line and "zones: door, gate" in line for line in lines)
    assert any("plain: wrote" in line and "nothing is masked; zones: gate" in line for line in lines)
    assert any("bad: not drawn: " in line for line in lines)


def test_a_file_is_no_folder(config: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InvalidInput, match=r"--draw .*: is a file; name a folder"):
        draw_streams(load_config(config), tmp_path / "out")
