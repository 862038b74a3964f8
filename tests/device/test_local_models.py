"""Models on the device: each in its process, and one that dies or hangs takes nothing with it."""

import logging
import os
import signal
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
from infilink.device.config import DeviceConfig
from infilink.device.local_models import LocalModels, open_local
from infilink.errors import InvalidInput, ModelFailed
from infilink.models.onnx_model import OnnxModel
from infilink.models.process import ModelProcess
from infilink.models.spec import digest
from infilink.models.supervisor import Supervisor

from ..models.inputs.kinds import KINDS
from ..models.made import write_nan_on_black

FRAME = np.full((24, 32, 3), 50, np.uint8)


class MeteredProcess(ModelProcess):
    """Says that an inference takes a quarter of a second, and that the process holds 100 bytes."""

    def infer(self, frame, *, timeout_s=None):
        return super().infer(frame, timeout_s=timeout_s)._replace(infer_s=0.25)

    def memory_bytes(self) -> int:
        return 100


@pytest.fixture
def models(tiny_models: Path):
    config = DeviceConfig(name="d", source="0", coordinator="h:1", local=tiny_models, local_models=("light", "bright"))
    one = open_local(config)
    yield one
    one.close()
    one.close()


def test_those_that_are_named_say_what_they_say_anywhere(models: LocalModels, tiny_models: Path) -> None:
    assert models.digests == {name: digest(tiny_models / f"{name}.onnx") for name in ("light", "bright")}
    models.load()
    outputs = models.run(FRAME, ["light", "bright"])
    for name, value in outputs.items():
        assert np.array_equal(value, OnnxModel(tiny_models / f"{name}.onnx").infer(FRAME))
        assert models.models[name].spec.name == name
    assert list(models.run(FRAME, ["bright"])) == ["bright"]
    assert models.run(FRAME, []) == {}
    pids = [model.pid for model in models.models.values()]
    models.close()
    assert len(pids) == 2 and not any(map(psutil.pid_exists, pids)) and models.memory_bytes() == 0


def test_it_counts_what_they_take(tiny_models: Path) -> None:
    names = ("light", "bright")
    one = LocalModels(Supervisor(name, tiny_models / f"{name}.onnx", kind=MeteredProcess) for name in names)
    one.load()
    assert one.peak_bytes == 200
    one.run(FRAME, names)
    one.run(FRAME, ["bright"])
    one.close()
    stats = one.stats()
    assert (stats.executions, stats.infer_s, stats.peak_bytes) == (3, 0.75, 200) and one.memory_bytes() == 0


def signal_to(models: LocalModels, name: str, number: int) -> None:
    pid = models.models[name].pid
    assert pid is not None
    os.kill(pid, number)


def test_one_that_dies_is_missed_on_that_frame_and_there_on_the_next(
    models: LocalModels, caplog: pytest.LogCaptureFixture
) -> None:
    models.load()
    signal_to(models, "light", signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        assert set(models.run(FRAME, models.models)) == {"bright"}
        assert set(models.run(FRAME, models.models)) == {"bright", "light"}
        # Again at once: it is not started over and over.
        signal_to(models, "light", signal.SIGKILL)
        assert set(models.run(FRAME, models.models)) == {"bright"}
        with pytest.raises(ModelFailed, match="light: its process does not stay alive"):
            models.run(FRAME, ["light"])
    assert sum("told once" in record.message for record in caplog.records) == 2


def test_one_that_has_no_output_for_some_frames_is_named_once(
    tmp_path: Path, tiny_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    night = write_nan_on_black(tmp_path / "night.onnx")
    night.with_suffix(".toml").write_text(
        "[input]\nsize = [16, 16]\nstd = [1.0]\n[output]\nkind = 'label'\nclasses = 2\n"
    )
    models = LocalModels([Supervisor("night", night), Supervisor("bright", tiny_models / "bright.onnx")])
    models.load()
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert set(models.run(np.zeros_like(FRAME), models.models)) == {"bright"}
                assert set(models.run(FRAME, models.models)) == {"bright", "night"}
        assert [record.message for record in caplog.records] == [
            "on this device: night: a label output holds NaN or infinity (told once)"
        ]
    finally:
        models.close()


def test_one_that_hangs_is_ended(models: LocalModels) -> None:
    models.load()
    signal_to(models, "light", signal.SIGSTOP)
    models.models["light"].infer_timeout_s = 0.01
    assert set(models.run(FRAME, models.models)) == {"bright"}


def test_without_a_folder_there_is_none_and_a_wrong_name_is_told(tiny_models: Path) -> None:
    config = DeviceConfig(name="d", source="0", coordinator="h:1")
    assert not open_local(config).models
    with pytest.raises(InvalidInput, match=r"holds no model called 'dark' .*it holds: bright, corner, light"):
        open_local(config.model_copy(update={"local": tiny_models, "local_models": ("dark",)}))
    assert set(open_local(config.model_copy(update={"local": tiny_models})).models) == {"bright", "corner", "light"}


def test_those_that_look_at_the_stream_s_inputs_run_and_another_that_is_named_is_refused(tmp_path: Path) -> None:
    for kind in ("image", "signal", "audio"):
        KINDS[kind].save(tmp_path)
    config = DeviceConfig(name="d", source="0", coordinator="h:1", local=tmp_path)
    kind = KINDS["signal"]
    value = kind.draw(np.random.default_rng(0))
    with closing(open_local(config, kind.form)) as local:
        local.load()
        outputs = local.run(value, ["signal"])
        assert set(local.models) == {"signal"}
        np.testing.assert_allclose(outputs["signal"], value.mean(axis=0), rtol=1e-5)
    with pytest.raises(InvalidInput, match="model 'image' can't run on this stream: it looks at image"):
        open_local(config.model_copy(update={"local_models": ("image",)}), kind.form)
    with pytest.raises(InvalidInput, match="can't run on this stream"):
        open_local(config, KINDS["map"].form)


def test_a_model_that_cannot_be_loaded_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    one = LocalModels([Supervisor("broken", path)])
    with pytest.raises(InvalidInput, match="broken"):
        one.load()
    one.close()


def test_what_runs_them_can_be_named_and_falls_back_to_the_processors(tiny_models, caplog):
    values = {"name": "d", "source": "0", "coordinator": "127.0.0.1:1", "local": tiny_models}
    config = DeviceConfig.model_validate({**values, "local_models": ["bright"], "providers": ["cuda", "cpu"]})
    with closing(open_local(config)) as local:
        local.load()
        assert local.run(FRAME, ["bright"])["bright"].shape == (1,)
    assert "the provider 'cuda' is not in the installed onnxruntime" in caplog.text
