"""Artifacts are data: no file that is opened makes code run, whoever wrote it."""

import ast
from collections.abc import Callable
from pathlib import Path

import infilink
import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.gates.base import Gate, ModelOutput, Substitute
from infilink.filters.modalities.signal import Signal
from infilink.filters.open_gate import open_gate
from infilink.filters.reuse.evaluate import evaluate_reuse
from infilink.filters.serves import Served, can_judge, check_serves
from infilink.filters.spec import TasksSpec
from infilink.outputs import OutputSpec

from .arrays import write_labelled
from .local.made import write_presence
from .made import FRAMES, write_frames, write_reuse

COUNT = OutputSpec(kind="count")
LABEL = OutputSpec(kind="label", classes=("dull", "news"))
SIGNAL = Signal(steps=16, mean=(0.0, 0.0), scale=(1.0, 1.0))
ROOT = Path(infilink.__file__).parent


class Trap:
    """A Python file that leaves a trace of having run, and the rule that names it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "trap.py"
        self.mark = folder / "ran"
        self.path.write_text(
            f"open({str(self.mark)!r}, 'w').close()\ndef quiet(output):\n    return output.sum() < 1\n"
        )
        self.rule = f"call({self.path}:quiet)"

    @property
    def ran(self) -> bool:
        return self.mark.exists()


@pytest.fixture
def trap(tmp_path) -> Trap:
    return Trap(tmp_path)


FILES: dict[str, Callable[[Path, str], Path]] = {
    "filter": lambda folder, rule: write_frames(folder / "f.onnx", rule=rule),
    "compound": lambda folder, rule: write_frames(folder / "f.onnx", rule=f"value < 0 or ({rule} and value < 9)"),
    "reuse": lambda folder, rule: write_reuse(folder / "r.onnx", SIGNAL, LABEL, rule=rule),
}


def judged(gate: Gate) -> float | None:
    """What a gate says was lost on an input that it skipped."""
    model, output = ("h", LABEL) if gate.name == "r" else ("squares", COUNT)
    exact = np.zeros(output.shape, np.float32)
    return gate.lost({model: Substitute("skipped", output.empty())}, {model: exact}, {model: output})


@pytest.mark.parametrize("kind", FILES)
def test_a_gate_from_a_file_works_without_its_code_and_can_not_judge(kind, trap, tmp_path):
    path = FILES[kind](tmp_path, trap.rule)
    gate = open_gate(path)
    check_serves(gate, {"squares": Served(COUNT, "d0"), "h": Served(LABEL, "d0")})
    assert judged(gate) is None and not can_judge(gate) and not trap.ran
    gate.close()
    named = open_gate(path, rule_files=[trap.path])
    assert judged(named) == 0.0 and can_judge(named) and trap.ran


def test_a_file_for_several_models_can_not_either(trap, tmp_path):
    with pytest.raises(InvalidInput, match="leave the rule file out"):
        open_gate("every:3", rule_files=[trap.path])
    with pytest.raises(InvalidInput, match="is no Python code: leave the file out"):
        open_gate(write_frames(tmp_path / "f.onnx"), rule_files=[trap.path])
    spec = TasksSpec(tasks=tuple(FRAMES.model_copy(update={"rule": rule}) for rule in (trap.rule, "value < 1")))
    assert not trap.ran and spec.rules_with(())["squares"].text
    with pytest.raises(InvalidInput, match="none of the rules is Python code"):
        TasksSpec(tasks=(FRAMES,)).rules_with([trap.path])


def test_a_filter_is_not_judged_by_code_that_only_its_file_names(trap, trace, tmp_path):
    path = write_frames(tmp_path / "f.onnx", rule=trap.rule)
    with pytest.raises(InvalidInput, match=r"runs only where you name that file yourself: --rule-file .*trap\.py"):
        evaluate_filter(path, trace)
    assert not trap.ran
    assert evaluate_filter(path, trace, rule_files=[trap.path]).rule == trap.rule and trap.ran


def test_nor_is_a_reuse_file(trap, tmp_path):
    random = np.random.default_rng(0)
    inputs = [(random.normal(size=(16, 2)).astype(np.float32), i % 2) for i in range(40)]
    path = write_reuse(tmp_path / "r.onnx", SIGNAL, LABEL, rule=trap.rule, digest="d", skip_threshold=9.0)
    with write_labelled(tmp_path / "t.trace", inputs) as trace:
        with pytest.raises(InvalidInput, match="--rule-file"):
            evaluate_reuse(path, trace)
        assert not trap.ran
        assert evaluate_reuse(path, trace, rule_files=[trap.path]).accuracy == 0.0 and trap.ran


def test_a_gate_that_learns_on_runs_only_what_its_settings_name(trap, tmp_path):
    path = write_presence(tmp_path / "f.onnx", rule=trap.rule)
    with pytest.raises(InvalidInput, match=r"name the file yourself: rule_file = '.*trap\.py'"):
        open_gate(path, update=tmp_path / "learnt.npz")
    assert not trap.ran
    gate = open_gate(path, update=tmp_path / "learnt.npz", rule_files=[trap.path])
    gate.substitute("squares", COUNT)
    assert not trap.ran
    learn = gate.decide(np.zeros((120, 160, 3), np.uint8), 0.0).learn
    assert learn is not None
    learn({"squares": ModelOutput(np.zeros(1, np.float32), "d0")})
    gate.close()
    assert trap.ran


def test_another_python_file_than_that_which_was_learnt_with_is_refused(trap, tmp_path):
    path = write_frames(tmp_path / "f.onnx", rule=trap.rule, rule_files={str(trap.path): "0" * 16})
    with pytest.raises(InvalidInput, match="is another file than the rule"):
        judged(open_gate(path, rule_files=[trap.path]))
    assert not trap.ran


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rule": "count(car == 0"}, "`,` or `)` should come"),
        ({"rule": "count(zone=door) == 0"}, "no zone"),
        (
            {"rule": "count(zone=door) == 0", "zones": {"door": ((0.0, 0.0), (2.0, 0.0), (1.0, 1.0))}},
            "outside the picture",
        ),
    ],
)
def test_a_file_whose_rule_is_none_is_refused_by_name(tmp_path, changes, says):
    for path in (
        write_frames(tmp_path / "f.onnx", **changes),
        write_reuse(tmp_path / "r.onnx", SIGNAL, LABEL, **changes),
    ):
        with pytest.raises(InvalidInput, match=rf"{path}: its \w+ spec is not readable") as error:
            open_gate(path)
        assert says in str(error.value)


RUNS_CODE = {
    "device/sources/python_code.py": {"exec"},
    "filters/rules/code.py": {"exec"},
    "models/export.py": {"exec_module"},
    "models/process_child.py": {"pickle.loads"},
}
"""Where code from a file that a person has named is run; and the pipe from a process that is our own, no file."""

LOADS_CODE = {"exec", "eval", "__import__", "exec_module", "run_path", "unsafe_load", "full_load", "Unpickler"}


def calls_of(path: Path) -> set[str]:
    """The calls in a module that make code of data."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        owner = getattr(getattr(node.func, "value", None), "id", "")
        given = {each.arg: getattr(each.value, "value", None) for each in node.keywords}
        if name in LOADS_CODE - {"eval"} or (name == "eval" and isinstance(node.func, ast.Name)):
            found.add(name)
        if (owner, name) == ("torch", "load") and given.get("weights_only") is not True:
            found.add("torch.load")
        if owner in ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve") and name in (
            "load",
            "loads",
            "open",
        ):
            found.add(f"{owner}.{name}")
        if (owner, name) == ("yaml", "load") or given.get("allow_pickle"):
            found.add(name)
    return found


def test_nothing_makes_code_of_what_a_file_says():
    folders = ("cloud", "device", "examples", "filters", "links", "models", "traces", "protos")
    files = [*ROOT.glob("*.py"), *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): calls for path in files if (calls := calls_of(path))}
    assert len(files) > 200 and found == RUNS_CODE
