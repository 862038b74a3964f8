"""What every candidate for a filter must do, found by the tables of `training/contest.py`, on the fewest inputs."""

from pathlib import Path

import numpy as np
import pytest
from infilink.filters.gates.base import ModelOutput
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.modalities import MODALITIES
from infilink.filters.rules.parser import Rule, parse_rule
from infilink.filters.spec import FilterSpec
from infilink.filters.training.contest import ARRAYS, SKIP, STEM_EVENTS, UNCHANGED, Contest
from infilink.filters.training.entrants import Entrant
from infilink.filters.training.event_gates import event_makers
from infilink.filters.training.fit_loop import one_thread
from infilink.filters.training.graphs import save_filter
from infilink.filters.training.losses import Losses
from infilink.filters.training.stem_view import StemView
from infilink.filters.training.workload import LEAST_INPUTS, Workload, read_inputs, split_of
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace

from ..certificates import certificate
from ..filters import arrays
from ..filters.conftest import write_trace
from ..filters.stems import write_stem

# On large maps the paper's networks take minutes: they are checked on small ones.
SLOW = {("skip", "image-paper"), ("skip", "video-paper"), ("audio", "paper")}
# Pictures by themselves are seen by the same networks as frames are.
KINDS = [kind for kind in MODALITIES if kind not in ("image", "video")]
TABLES = {
    "skip": SKIP,
    "unchanged": UNCHANGED,
    "events": {**STEM_EVENTS, **event_makers(pairwise=False)},
    **dict.fromkeys(KINDS, ARRAYS),
}
ALL = [
    (table, name)
    for table, names in TABLES.items()
    for name in names
    if (table, name) not in SLOW
    and not (name == "filterforward" and table != "map")
    and not (name.startswith("stem") and table in KINDS)
]


def workload(trace: Trace, model: str, rule: Rule, modality: str = "", stem: Stem | None = None) -> Workload:
    losses, split = Losses(trace, (model,), rule), split_of(trace)
    inputs = read_inputs(trace, losses, modality, inputs=split.trained)
    return Workload(trace, losses, split, inputs, modality, seen=StemView.beside(stem, trace, modality))


@pytest.fixture(scope="module")
def workloads(tmp_path_factory):
    """One per table."""
    folder = tmp_path_factory.mktemp("least")
    opened = {"skip": Trace(write_trace(folder / "frames", inputs=LEAST_INPUTS))}
    opened |= {kind: arrays.write(folder / kind, kind, inputs=LEAST_INPUTS, seed=1) for kind in KINDS}
    stem = Stem(write_stem(folder / "stem.onnx"))
    yield {
        "skip": workload(opened["skip"], "squares", parse_rule("value < 1"), stem=stem),
        "unchanged": workload(opened["skip"], "squares", parse_rule("unchanged"), stem=stem),
        "events": workload(opened["skip"], "squares", parse_rule("value < 1"), stem=stem),
        **{kind: workload(opened[kind], "h", arrays.RULE, kind) for kind in KINDS},
    }
    for trace in opened.values():
        trace.close()


@pytest.fixture(scope="module")
def entrants() -> dict[tuple[str, str], Entrant]:
    """Those that were made so far."""
    return {}


@pytest.fixture(params=ALL, ids="-".join)
def entered(request, workloads, entrants) -> tuple[Workload, Entrant]:
    """A candidate that was made once, and what for."""
    table, name = request.param
    if request.param not in entrants:
        with one_thread():
            (entrants[request.param],) = Contest(workloads[table], events=table == "events").enter([name])
    return workloads[table], entrants[request.param]


def test_it_competes_under_its_name_with_a_small_file(request, entered):
    _, each = entered
    assert each.candidate.name in request.node.callspec.id and each.candidate.most > 0
    size = each.graph.ByteSize()
    assert size < 250_000 or (each.candidate.name == "paper" and size < 1_500_000)


def test_it_scores_an_input_the_same_whatever_else_is_asked(entered):
    work, each = entered
    start, stop = work.split.calibrated, work.split.stop
    for current in range(start, stop):
        kept = np.arange(max(0, current - 4), current)
        scores = each.candidate.scores(kept, current)
        assert scores.shape == kept.shape and np.isfinite(scores).all()
        one_by_one = [float(each.candidate.scores(kept[i : i + 1], current)[0]) for i in range(len(kept))]
        assert scores == pytest.approx(one_by_one, abs=1e-5)
        if each.candidate.alone is not None:
            assert scores == pytest.approx(each.candidate.alone[current], abs=1e-9)


def test_its_file_decides_as_it_was_calibrated(entered, tmp_path: Path):
    work, each = entered
    if each.candidate.name == "random":
        return  # The file draws anew.
    start, stop = work.split.calibrated, work.split.stop
    calibrated = [each.candidate.scores(np.asarray([i - 1]), i)[0] for i in range(start, stop)]
    spec = FilterSpec(
        kind=each.candidate.name,
        rule=work.losses.rule.text,
        models=dict.fromkeys(work.losses.models, "d0"),
        reference="last kept" if work.losses.pairwise or each.compares else "previous",
        keeps=each.keeps,
        state_weights=each.state_weights,
        threshold=float(np.median(calibrated)),
        accuracy=0.9,
        step_s=work.replay.step_s,
        modality=each.modality,
        stem=each.stem,
        outputs={model: work.trace.models[model].output for model in work.losses.models},
        compared=each.compared,
        certificate=certificate(),
    )
    save_filter(tmp_path / "f.onnx", each.graph, spec)
    gate, last = FilterRuntime(tmp_path / "f.onnx"), 0
    for i, (value, at) in enumerate(zip(work.trace.inputs(), work.trace.captured_s, strict=True)):
        decision = gate.decide(value, float(at))
        if i >= start:
            assert decision.score == pytest.approx(each.candidate.scores(np.asarray([last]), i)[0], abs=1e-3), i
        if decision.keep:
            last = i
        if decision.learn is not None:
            said = {model: work.trace.outputs(model)[i] for model in work.losses.models}
            decision.learn({model: ModelOutput(value, "d0") for model, value in said.items()})
    assert gate.stats().failed == 0
