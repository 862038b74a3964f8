"""The demo on a real clip with real pretrained models: it runs, keeps its budget, and says what it found.

How well it does there stands in docs/BENCHMARKS.md, from whole clips; this is a short stretch, to keep CI quick.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from infilink.examples.demo.score import Score

from .data import link_models

# Longer than it ever takes.
TIMEOUT_S = 1200
# About 130 frames: enough to train on and to serve. `make bench` runs whole clips, more of them, and more models.
CLIP, SECONDS = "shop_produce", 5.5
# Boxes and a label, by the two that take least.
MODELS = ("FastestDet", "mobilenet_v2_quant")


def test_the_demo_on_a_real_clip(data: Path, tmp_path: Path) -> None:
    models = link_models(data, tmp_path / "models", MODELS)
    source = next((data / "video").glob(f"{CLIP}.*"))
    command = [sys.executable, "-m", "infilink.cli", "demo", "--source", str(source), "--models", str(models)]
    command += ["--seconds", str(SECONDS), "--budget", "70%", "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["models"]) == len(MODELS)
    assert not report["rendered"]
    for run in (report, *report["policies"].values()):
        assert set(Score.__dataclass_fields__) <= set(run)
        assert run["budget_violations"] == 0
        assert 0 < run["peak_bytes"] <= report["budget_bytes"]
        assert run["executions"] < report["full"]["executions"], "the budget holds one of the models, not both"
    # Less than two seconds are served: too few to judge how well, enough to see that the sum is of its parts.
    assert report["agreement"] == pytest.approx(sum(report["by_model"].values()) / len(MODELS), abs=1e-4)
