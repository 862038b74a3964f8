"""Recording what is no picture: each kind by the models that look at it, on what would travel."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest
from infilink.device.record import record
from infilink.device.record_cli import record_command
from infilink.device.record_site import record_site
from infilink.device.sources.cut import WHOLE, Cut
from infilink.errors import InvalidInput
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.models.inputs.form import InputForm
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import find_models
from infilink.traces.trace import Trace

from ..clips import write_clip
from ..kinds import write_models
from ..sounds import tone, write_sound

STEPS, LINES = 96, ["one", "two words", "zwölf", "four"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return find_models(write_models(tmp_path_factory.mktemp("kinds") / "models"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Cut]]:
    """A source of each kind, and how it is cut."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "sounds").mkdir()
    for number in range(len(LINES)):
        write_sound(folder / "sounds" / f"{number}.wav", tone(0.1 + 0.05 * number))
    (folder / "lines.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    rows = [f"{step / 32:.5f},{step % 7},{-step}" for step in range(STEPS)]
    (folder / "arm.csv").write_text("\n".join(["time_s,x,y", *rows]) + "\n")
    write_clip(folder / "clip.mp4", frames=12)
    return {
        "text": (str(folder / "lines.txt"), WHOLE),
        "audio": (str(folder / "sounds"), WHOLE),
        "signal": (str(folder / "arm.csv"), Cut(window=8, stride=4)),
        "video": (str(folder / "clip.mp4"), Cut(window=2, stride=2)),
        "audio+text": (f"join(sound={folder / 'sounds'}, words={folder / 'lines.txt'})", WHOLE),
    }


COUNTS = {"text": 4, "audio": 4, "signal": 23, "video": 6, "audio+text": 4}
MODELS = {"text": "letters", "audio": "loud", "signal": "shake", "video": "clip", "audio+text": "both"}


@pytest.mark.parametrize("kind", COUNTS)
def test_each_kind_is_recorded_by_the_models_that_look_at_it(
    kind: str,
    models: dict[str, Path],
    sources: dict[str, tuple[str, Cut]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, cut = sources[kind]
    name = MODELS[kind]
    with caplog.at_level(logging.WARNING):
        done = record(source, models, tmp_path / "a.trace", cut=cut)
    assert done.inputs == COUNTS[kind]
    assert "left out, as they look at other inputs: " in caplog.text and "bright" in caplog.text
    model = OnnxModel(models[name])
    with Trace(tmp_path / "a.trace") as trace:
        assert list(trace.models) == list(trace.info.costs) == list(trace.info.digests) == [name]
        assert trace.info.modality == kind and trace.info.form is not None
        for value, said in zip(trace.inputs(), trace.outputs(name), strict=True):
            trace.info.form.check(value)
            assert np.array_equal(model.infer(value), said), "models see what is kept"
        assert trace.info.times == ("read" if kind in ("signal", "video") else "order")
    assert record(source, models, tmp_path / "a.trace", cut=cut).added == 0, "and it goes on where it stopped"


def test_another_cut_is_another_recording(
    models: dict[str, Path], sources: dict[str, tuple[str, Cut]], tmp_path: Path
) -> None:
    source, cut = sources["signal"]
    one = {"shake": models["shake"]}
    record(source, one, tmp_path / "a.trace", cut=cut)
    with pytest.raises(InvalidInput, match="was recorded with form"):
        record(source, one, tmp_path / "a.trace", cut=Cut(window=8, stride=2))


def test_a_model_that_was_named_and_looks_at_something_else_is_refused(
    models: dict[str, Path], sources: dict[str, tuple[str, Cut]], tmp_path: Path
) -> None:
    source, cut = sources["signal"]
    folder = models["shake"].parent
    with pytest.raises(InvalidInput, match=r"these models do not look at its inputs: bright: it looks at image"):
        record_command(models=folder, out=tmp_path / "a.trace", source=source, window="8", only=["bright", "shake"])
    with pytest.raises(InvalidInput, match="no model here looks at its inputs: bright"):
        record(source, {"bright": models["bright"]}, tmp_path / "a.trace", cut=cut)
    with pytest.raises(InvalidInput, match=r"shake: it takes 8 steps .*a window has 16"):
        record(source, {"shake": models["shake"]}, tmp_path / "a.trace", cut=Cut(window=16))
    assert not (tmp_path / "a.trace").exists()


def test_a_site_may_have_sources_of_several_kinds(
    models: dict[str, Path], sources: dict[str, tuple[str, Cut]], tmp_path: Path
) -> None:
    texts = {name: sources[name][0] for name in ("text", "audio")}
    done = record_site(texts, models, tmp_path)
    assert not done.failures
    with Trace(tmp_path / "text.trace") as one, Trace(tmp_path / "audio.trace") as other:
        assert (list(one.models), list(other.models)) == (["letters"], ["loud"])


def test_a_filter_carries_the_form_that_it_was_learnt_from(models: dict[str, Path], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [
        f"{step / 32:.5f},{level:.3f},{level:.3f}"
        for step, level in enumerate(np.repeat(random.uniform(-1, 1, 200), 8))
    ]
    (tmp_path / "arm.csv").write_text("\n".join(["time_s,x,y", *rows]) + "\n")
    record(str(tmp_path / "arm.csv"), {"shake": models["shake"]}, tmp_path / "a.trace", cut=Cut(window=8))
    with Trace(tmp_path / "a.trace") as trace:
        done = train_filter(
            trace,
            models=["shake"],
            rule=parse_rule("value < 0.5"),
            accuracy=0.7,
            out=tmp_path / "f.onnx",
            candidates=["network"],
            uncertified=True,
        )
    learnt = done.spec.learnt_from
    assert learnt is not None
    assert learnt.form == InputForm(modality="signal", rate_hz=32, window=8, stride=8, channels=("x", "y"))
    assert re.search("signal", done.spec.modality.kind if done.spec.modality is not None else "")
