"""One agent with a stream of every kind of input, each from a source of its own, before real models of every kind."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.device.results_read import Results
from infilink.device.sources.cut import Cut
from infilink.device.sources.open import open_source
from infilink.models.onnx_model import OnnxModel

from ..models.inputs.kinds import KINDS
from ..sounds import tone, write_sound
from .conftest import TIMEOUT_S, Agent, Daemon, wait_until

pytest.importorskip("tokenizers", reason="the joint model reads texts: infilink[text]")

MODELS = {"pictures": "image", "clips": "video", "sounds": "audio", "signals": "signal", "texts": "bytes"}
MODELS |= {"maps": "map", "talks": "joint"}
LOSSY = ("pictures", "clips")

CODE = """
import numpy as np

def maps():
    random = np.random.default_rng(0)
    for i in range(5):
        yield i / 5, random.random((2, 4, 4), dtype=np.float32)
"""


@pytest.fixture
def sources(tmp_path: Path, video: Path) -> dict[str, tuple[str, Cut]]:
    """A source of each kind, and how it is cut."""
    (tmp_path / "gives.py").write_text(CODE)
    (tmp_path / "sms.txt").write_text("win a prize\nwhere are you?\nÄpfel für 2 €\n")
    walk = np.random.default_rng(1).normal(0, 3, (40, 3)).round(3)
    rows = [f"{i / 32:.5f},{x},{y},{z}" for i, (x, y, z) in enumerate(walk)]
    (tmp_path / "wrist.csv").write_text("\n".join(["time_s,x,y,z", *rows]) + "\n")
    write_sound(tmp_path / "tone.wav", tone(0.5))
    said = ("call now", "it is spam", "ham", "is it ham now")
    (tmp_path / "calls.txt").write_text("\n".join(said) + "\n")
    (tmp_path / "calls").mkdir()
    for i in range(len(said)):
        write_sound(tmp_path / "calls" / f"{i}.wav", np.full(16, 1000 * i - 700, np.int16))
    return {
        "pictures": (str(video), Cut()),
        "clips": (str(video), Cut(window=4, stride=4)),
        "sounds": (str(tmp_path / "tone.wav"), Cut(window=400, stride=200)),
        "signals": (f"csv:{tmp_path / 'wrist.csv'}", Cut(window=8, stride=4, rate_hz=32, channels=("x", "y", "z"))),
        "texts": (f"text:{tmp_path / 'sms.txt'}", Cut()),
        "maps": (f"call({tmp_path / 'gives.py'}:maps)", Cut()),
        "talks": (f"join(heard={tmp_path / 'calls'}, said=text:{tmp_path / 'calls.txt'})", Cut()),
    }


def test_each_kind_comes_to_the_model_that_looks_at_it_as_it_was(
    tmp_path: Path, start_daemon: Callable[..., Daemon], sources: dict[str, tuple[str, Cut]]
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    models = {stream: OnnxModel(KINDS[kind].save(folder)) for stream, kind in MODELS.items()}
    daemon = start_daemon(models=str(folder), answers="full")
    config = tmp_path / "device.toml"

    def inline(cut: Cut) -> str:
        return ", ".join(f"{key} = {json.dumps(value)}" for key, value in cut.model_dump(exclude_defaults=True).items())

    tables = [
        f"[streams.{stream}]\nsource = {json.dumps(source)}\nresults = {json.dumps(f'{stream}.sqlite')}\n"
        f"cut = {{ {inline(cut)} }}\n"
        for stream, (source, cut) in sources.items()
    ]
    config.write_text(
        f'name = "all"\ncoordinator = "{daemon.address}"\npace = "max"\nqueue = "all"\nquality = 100\n'
        f"connect_timeout_s = {TIMEOUT_S}\nanswer_timeout_s = {TIMEOUT_S}\n" + "".join(tables)
    )
    agent = Agent(config)
    try:
        wait_until(lambda: agent.process.poll() is not None or "tried again" in agent.said(), "all end, or one fails")
        assert "tried again" not in agent.said(), agent.said()
        figures = agent.finish()["streams"]
    finally:
        agent.close()
    for stream, (source, cut) in sources.items():
        assert "failure" not in figures[stream], figures[stream]["failure"]
        with open_source(source, cut=cut) as opened:
            wanted = [models[stream].infer(taken.value) for taken in opened]
        assert figures[stream]["answered"] == len(wanted) > 2
        with Results(tmp_path / f"{stream}.sqlite") as results:
            found = results.served(models[stream].spec.name)
            assert set(results.origins(models[stream].spec.name)) == {"executed"}
        near = 4.0 if stream in LOSSY else 1e-5
        np.testing.assert_allclose(np.stack(found), np.stack(wanted), rtol=1e-5, atol=near)
    kinds = {device.name: device.modality for device in daemon.status().devices}
    assert kinds == {f"all/{stream}": KINDS[kind].form.modality for stream, kind in MODELS.items()}
