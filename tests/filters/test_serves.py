"""Whether a gate fits the models in service, and the source."""

from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.filters.learnt_from import LearntFrom
from infilink.filters.modalities.image import Image
from infilink.filters.modalities.signal import Signal
from infilink.filters.open_gate import open_gate
from infilink.filters.serves import Served, check_form, check_serves, learnt_form
from infilink.models.inputs.form import PICTURES, InputForm
from infilink.outputs import OutputSpec

from .local.made import write_heads, write_presence
from .made import write_frames, write_mean, write_repeats, write_reuse, write_tasks

COUNT = OutputSpec(kind="count")
SCENE = OutputSpec(kind="label", classes=("nothing", "left", "right"))
SIGNAL = Signal(steps=16, mean=(0.0, 0.0), scale=(1.0, 1.0))
IN_SERVICE = {"squares": Served(COUNT, "d0"), "scene": Served(SCENE, "d0")}


def gates(folder: Path) -> dict[str, str]:
    """A file of each kind that decides on pictures."""
    return {
        "filter": str(write_frames(folder / "f.onnx", outputs={"squares": COUNT})),
        "unchanged": str(write_repeats(folder / "u.onnx", outputs={"squares": COUNT, "scene": SCENE})),
        "tasks": str(write_tasks(folder / "t.onnx")),
        "task": f"{folder / 't.onnx'}#scene",
    }


@pytest.mark.parametrize("kind", ["filter", "unchanged", "tasks", "task"])
def test_a_gate_fits_the_models_that_it_was_learnt_from_and_no_other_version(tmp_path, kind, caplog):
    gate = open_gate(gates(tmp_path)[kind])
    check_serves(gate, IN_SERVICE)
    check_serves(gate, {**IN_SERVICE, "another": Served(OutputSpec(kind="mask"), "d7")})
    assert not caplog.records
    newer = {name: Served(each.output, "d1") for name, each in IN_SERVICE.items()}
    with pytest.raises(InvalidInput, match=r"another version of \w+: from digest d0, and in service is d1; train it"):
        check_serves(gate, newer)
    with pytest.raises(InvalidInput, match=r"learnt from \w+, which is not in service \(there: another\)"):
        check_serves(gate, {"another": Served(COUNT, "d0")})
    check_serves(gate, {name: Served(each.output) for name, each in IN_SERVICE.items()})


def test_a_gate_that_learns_on_is_checked_too(tmp_path):
    for path in (write_presence(tmp_path / "f.onnx"), write_heads(tmp_path / "h.onnx")):
        gate = open_gate(path, update=tmp_path / f"{path.stem}.npz")
        check_serves(gate, IN_SERVICE)
        with pytest.raises(InvalidInput, match="another version of"):
            check_serves(gate, {"squares": Served(COUNT, "d1"), "scene": Served(SCENE, "d1")})


def test_a_file_that_does_not_know_its_models_version_is_warned_of(tmp_path, caplog):
    check_serves(open_gate(write_frames(tmp_path / "f.onnx", models={"squares": ""})), IN_SERVICE)
    assert "does not say from which version of squares it was learnt" in caplog.text


@pytest.mark.parametrize(
    ("served", "says"),
    [
        (
            OutputSpec(kind="label", classes=("nothing", "right", "left")),
            "other classes, or in another order: 3 of them",
        ),
        (OutputSpec(kind="label", classes=("nothing", "left")), "it knew 'right'"),
        (OutputSpec(kind="label", classes=("nothing", "left", "right", "both")), "in service is 'both'"),
        (OutputSpec(kind="multilabel", classes=SCENE.classes), "it returned label, and the one in service multilabel"),
    ],
)
def test_other_classes_are_refused(tmp_path, served, says):
    gate = open_gate(write_repeats(tmp_path / "f.onnx", models={"scene": "d0"}, outputs={"scene": SCENE}))
    with pytest.raises(InvalidInput, match="was learnt from another scene") as error:
        check_serves(gate, {"scene": Served(served, "d0")})
    assert says in str(error.value) and "train it again" in str(error.value)


def test_an_older_file_whose_rule_does_not_fit_is_refused(tmp_path):
    gate = open_gate(f"{write_tasks(tmp_path / 'f.onnx')}#scene")
    with pytest.raises(InvalidInput, match="no class 'left'"):
        check_serves(gate, {"scene": Served(OutputSpec(kind="label", classes=("a", "b")), "d0")})


def test_a_reuse_file_knows_what_its_model_returns(tmp_path):
    gate = open_gate(write_reuse(tmp_path / "r.onnx", SIGNAL, SCENE))
    check_serves(gate, {"h": Served(SCENE, "d0")})
    for served, says in ((Served(SCENE, "d1"), "another version of h"), (Served(COUNT, "d0"), "it returned label")):
        with pytest.raises(InvalidInput, match=says):
            check_serves(gate, {"h": served})


def test_what_was_learnt_from_one_kind_of_inputs_is_refused_before_another(tmp_path):
    signals = InputForm(modality="signal", rate_hz=32, window=64, stride=64)
    for path in (write_mean(tmp_path / "f.onnx", SIGNAL), write_reuse(tmp_path / "r.onnx", SIGNAL, SCENE)):
        with pytest.raises(InvalidInput, match="modality is image here, and was signal in training; read the source"):
            check_form(open_gate(path), PICTURES)
        check_form(open_gate(path), signals)
    for text in (*gates(tmp_path).values(), str(write_mean(tmp_path / "i.onnx", Image())), "every:3"):
        check_form(open_gate(text), PICTURES)
    with pytest.raises(InvalidInput, match="modality is signal here, and was image in training"):
        check_form(open_gate(gates(tmp_path)["filter"]), signals)
    for text in ("every:3", "random:0.5"):
        check_form(open_gate(text), signals)
    with pytest.raises(InvalidInput, match="compares pictures, and this source gives signal: use every:K"):
        check_form(open_gate("difference:0.02"), signals)


def test_a_file_knows_the_form_of_the_inputs_that_it_was_learnt_from(tmp_path):
    learnt = InputForm(modality="signal", rate_hz=32, window=64, stride=64)
    known = LearntFrom(source="wrist", inputs=9, first_s=0, last_s=8, step_s=1, form=learnt)
    gate = open_gate(write_mean(tmp_path / "f.onnx", SIGNAL, learnt_from=known))
    assert learnt_form(gate) == learnt
    check_form(gate, learnt)
    with pytest.raises(InvalidInput, match="rate_hz is 50 here, and was 32 in training"):
        check_form(gate, learnt.model_copy(update={"rate_hz": 50.0}))
    maps = known.model_copy(update={"form": InputForm(modality="map")})
    check_form(open_gate(write_mean(tmp_path / "m.onnx", SIGNAL, learnt_from=maps)), PICTURES)


def test_a_gate_that_is_not_learnt_fits_everything(caplog):
    check_serves(open_gate("every:3"), {})
    assert not caplog.records
