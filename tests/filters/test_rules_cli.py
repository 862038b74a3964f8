"""Rules as they are typed: odd names, zones and Python through the commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from infilink.cli import build_app
from infilink.codec import encode_jpeg
from infilink.models.cost import ModelCost
from infilink.models.inputs.picture import PictureInput
from infilink.models.spec import ModelSpec
from infilink.outputs import OutputSpec
from infilink.traces.trace import TraceInfo, TraceWriter
from typer.testing import CliRunner

from .conftest import draw

ODD = "T-shirt/top (new), [/bold] or 'so'"
WRITTEN = "\"T-shirt/top (new), [/bold] or 'so'\""
ZONES = """
[zones]
left = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
"the right, [/red]" = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]
"""


def infilink(*arguments: object) -> tuple[int, str]:
    words = [str(each) for each in arguments]
    done = CliRunner().invoke(build_app(words), words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


@pytest.fixture(scope="module")
def boxes_trace(tmp_path_factory) -> Path:
    """Frames with a square on the left or on the right, which has an odd name."""
    path = tmp_path_factory.mktemp("boxes") / "boxes.trace"
    frames, places = draw(120, seed=4)
    spec = ModelSpec(
        name="m", input=PictureInput(size=(64, 64)), output=OutputSpec(kind="boxes", classes=("person", ODD))
    )
    info = TraceInfo("drawn", 10.0, {"m": spec}, {"m": "d0"}, {"m": ModelCost(1 << 20, 0.02, 0.1)})
    with TraceWriter(path, info) as writer:
        for i, (frame, place) in enumerate(zip(frames, places, strict=True)):
            x = {0: 0.0, 1: 0.2, 2: 0.8}[place]
            rows = [[x - 0.1, 0.4, x + 0.1, 0.7, 0.9, 1]] if place else []
            writer.append(i, i / 10, encode_jpeg(frame), {"m": np.asarray(rows, np.float32).reshape(-1, 6)})
    return path


TRAIN = ("--accuracy", "0.6", "--candidate", "background", "--candidate", "age", "--uncertified")


def test_a_filter_for_an_odd_class_in_an_odd_zone(boxes_trace, tmp_path):
    (tmp_path / "zones.toml").write_text(ZONES)
    out, rule = tmp_path / "f.onnx", f"count({WRITTEN}, zone='the right, [/red]') == 0"
    learnt = ("train", "filter", boxes_trace, "--model", "m", "--rule", rule, "--zones", tmp_path / "zones.toml")
    floors = ("--recall", f"{ODD}=0.1", "--recall", f"{ODD} in the right, [/red]=0.1")
    code, said = infilink(*learnt, *floors, *TRAIN, "--out", out)
    assert code == 0 and "[/bold]" in said and "[/red]" in said
    (tmp_path / "zones.toml").unlink()
    code, said = infilink("evaluate", "filter", out, boxes_trace, "--json")
    found = json.loads(said)
    assert code == 0 and found["rule"] == rule and list(found["by_thing"]) == [f"{ODD} in the right, [/red]"]
    assert infilink("evaluate", "filter", out, boxes_trace)[0] == 0


def test_a_rule_in_python_runs_where_it_is_typed(boxes_trace, tmp_path):
    (tmp_path / "mine.py").write_text("def none(output):\n    return len(output) == 0\n")
    out, rule = tmp_path / "f.onnx", f"call({tmp_path / 'mine.py'}:none)"
    code, _ = infilink("train", "filter", boxes_trace, "--model", "m", "--rule", rule, *TRAIN, "--out", out)
    assert code == 0
    with pytest.raises(ValueError, match="runs only where you name that file yourself"):
        infilink("evaluate", "filter", out, boxes_trace)
    code, said = infilink("evaluate", "filter", out, boxes_trace, "--rule-file", tmp_path / "mine.py", "--json")
    assert code == 0 and json.loads(said)["rule"] == rule
