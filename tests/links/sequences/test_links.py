"""Models that give token sequences among others: trained from a recording, planned, served, evaluated."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.links.evaluation.evaluate import evaluate_links
from infilink.links.graph import LinkGraph
from infilink.links.networks.vector import LinkNetwork
from infilink.links.planning.plan import Plan
from infilink.links.sequences.fit import fit_sequence
from infilink.links.serving import Serving
from infilink.links.table import NEVER
from infilink.links.training.judge import Judge
from infilink.links.training.linkability import read_linkability
from infilink.links.training.samples import Situations
from infilink.links.training.train import LinksTraining, train_links
from infilink.models.encoding.encoding import Encoding
from infilink.outputs import Array
from infilink.traces.trace import Trace

from ..given import given

OUTPUTS = {
    "alarm": {"kind": "label", "classes": ["no", "yes"]},
    "heard": {"kind": "tokens", "length": 9},
    "spoken": {"kind": "tokens", "length": 9},
}


def rows(count: int, seed: int) -> list[dict[str, Array]]:
    """Every other second something else is said; "heard" is the same, "alarm" is on while token 3 is in it."""
    rng = np.random.default_rng(seed)
    spoken, made = rng.integers(0, 8, 4), []
    for _ in range(count):
        if rng.random() < 0.5:
            spoken = rng.integers(0, 8, rng.integers(0, 5))
        yes = 0.95 if 3 in spoken else 0.05
        made.append({"alarm": np.asarray([1 - yes, yes], np.float32), "heard": spoken, "spoken": spoken})
    return made


def third(encoding: Encoding) -> int:
    """Where the description of tokens says how often token 3 is in it; before it stands their number."""
    assert encoding.tokens is not None
    return 1 + int(np.flatnonzero(encoding.tokens.kept == 3)[0])


def fit(situations: Situations, judge: Judge) -> LinkNetwork:
    """Links to sequences are trained, which takes a moment where another one is to be copied; those to labels given."""
    if situations.target == "alarm":
        return given({"alarm": {"spoken": third, "heard": third}})(situations, judge)
    return fit_sequence(situations, judge, seed=0, steps=25)


@pytest.fixture(scope="module")
def sequence_links(tmp_path_factory: pytest.TempPathFactory, new_trace: Callable[..., Path]) -> LinksTraining:
    folder = tmp_path_factory.mktemp("sequences")
    with Trace(new_trace(folder / "said.trace", rows(200, 0), OUTPUTS)) as trace:
        return train_links(trace, out=folder / "links", fit=fit)


def test_sequences_are_sources_and_targets(sequence_links: LinksTraining) -> None:
    targets = sequence_links.targets
    assert targets["alarm"].linked[NEVER] == 1.0
    assert targets["heard"].linked[NEVER] > 0.9 > targets["heard"].constant + 0.2
    graph = LinkGraph.load(sequence_links.folder)
    right = []
    for row in rows(20, 5):
        answer = graph.predict("heard", {"spoken": row["spoken"]})
        assert answer.origin == "linked"
        assert answer.value.dtype == np.int64
        right.append(graph.models["heard"].output.agreement(answer.value, row["heard"]))
    assert np.mean(right) > 0.9


def test_they_are_served_shown_and_evaluated(
    sequence_links: LinksTraining, tmp_path: Path, new_trace: Callable[..., Path]
) -> None:
    graph = LinkGraph.load(sequence_links.folder)
    serving = Serving(graph, Plan(None, 0, ("spoken",)))
    for moment, row in enumerate(rows(6, 7)):
        answers = serving.complete(moment * 0.5, {"spoken": row["spoken"]})
        for name, answer in answers.items():
            graph.models[name].output.check(answer.value)
    linkable = read_linkability(sequence_links.folder)
    assert linkable is not None
    assert linkable["heard"].sources["spoken"][NEVER] is not None
    with Trace(new_trace(tmp_path / "later.trace", rows(80, 11), OUTPUTS)) as trace:
        done = evaluate_links(sequence_links.folder, trace, budget_bytes=50 * 2**20)
    assert done.inputs == 80
    assert done.agreement > done.baselines["constant"]


def test_another_net_is_refused_by_name(tmp_path: Path, new_trace: Callable[..., Path]) -> None:
    with (
        Trace(new_trace(tmp_path / "said.trace", rows(70, 0), OUTPUTS)) as trace,
        pytest.raises(InvalidInput, match="choose from ours, paper"),
    ):
        train_links(trace, out=tmp_path / "links", net="theirs")  # type: ignore[arg-type]
