"""An operator changes what a running coordinator serves, while a device streams."""

import json
import shutil

import numpy as np
import pytest
from infilink.cli import build_app
from infilink.device.results_read import Results
from infilink.errors import InfilinkError

from .conftest import TOKEN, brightness, wait_until, write_model

WINDOW = 8


@pytest.fixture
def operator(start_daemon, models, tmp_path, capsys):
    """A coordinator with a folder of its own, and `infilink models ...` against it."""
    folder = shutil.copytree(models, tmp_path / "served")
    daemon = start_daemon(models=str(folder), token=TOKEN, watch_models_s=0.05)

    def run(command, *arguments, fails=False, token=TOKEN):
        line = ["models", command, *map(str, arguments), "--coordinator", daemon.address, "--token", token, "--json"]
        capsys.readouterr()
        if fails:
            with pytest.raises(InfilinkError) as raised:
                build_app(line)(line, standalone_mode=False)
            return str(raised.value)
        build_app(line)(line, standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    run.daemon, run.folder = daemon, folder
    return run


def test_versions_are_added_listed_rolled_back_and_removed(operator, tmp_path):
    listed = operator("list")["models"]
    assert [(model["name"], model["version"], model["state"]) for model in listed] == [
        ("bright", "1", "loaded"),
        ("double", "1", "loaded"),
        ("third", "1", "loaded"),
    ]
    write_model(tmp_path / "tenfold.onnx", scale=10.0)
    assert operator("add", tmp_path / "tenfold.onnx")["version"] == "1"
    write_model(tmp_path / "tenfold.onnx", scale=11.0)
    newer = operator("add", tmp_path / "tenfold.onnx")
    assert newer["version"] == "2" and newer["before"] == "1" and newer["state"] == "loaded"
    assert (operator.folder / "tenfold" / "2" / "model.onnx").is_file()
    older = operator("rollback", "tenfold")
    assert older["version"] == "1" and older["digest"] != newer["digest"]
    assert operator("unload", "tenfold")["parked"]
    assert operator("pin", "tenfold")["pinned"]
    assert not operator("pin", "tenfold", "--off")["pinned"]
    assert operator("rm", "tenfold")["state"] == "removed"
    assert "no model is called 'tenfold'" in operator("load", "tenfold", fails=True)
    assert not (operator.folder / "tenfold").exists()


def test_a_model_that_can_not_be_served_is_refused_with_the_reason(operator, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    said = operator("add", tmp_path / "broken.onnx", fails=True)
    assert "not an ONNX model" in said and str(operator.folder) not in said
    assert "model name 'A'" in operator("add", tmp_path / "broken.onnx", "--name", "A", fails=True)
    (operator.folder / "broken.onnx").write_bytes(b"no model")
    wait_until(lambda: "broken.onnx" in operator.daemon.said(), "the file is seen")
    why = operator("list")["refused"]["broken.onnx"]
    assert "not an ONNX model" in why and str(operator.folder) not in why
    assert "token" in operator("list", token="wrong", fails=True)


def test_a_device_hears_the_new_version_under_its_digest_and_loses_no_input(operator, start_agent, tmp_path):
    agent = start_agent(operator.daemon.address, loop=True, window=WINDOW)
    operator.daemon.answered(5)
    before = {model["name"]: model["digest"] for model in operator("list")["models"]}
    write_model(operator.folder / "bright.onnx", scale=3.0)
    wait_until(lambda: operator("list")["models"][0]["digest"] != before["bright"], "the new file is served")
    operator.daemon.answered(int(operator.daemon.status().inputs) + 20)
    agent.terminate()
    summary = agent.finish()
    assert summary["answered"] == summary["frames"] and not summary["refused"]
    with Results(tmp_path / "results0.sqlite") as results:
        values = np.asarray([float(value[0]) for value in results.served("bright")])
        assert set(results.origins("bright")) == {"executed"}
    factors = np.rint(values / [brightness(at % 120) for at in range(len(values))])
    assert set(factors) == {1.0, 3.0}
    # First the old one, then the new one; those that were on their way together are decoded side by side.
    first_new, last_old = np.flatnonzero(factors == 3.0)[0], np.flatnonzero(factors == 1.0)[-1]
    assert last_old < first_new + WINDOW
