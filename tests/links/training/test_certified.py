"""Certificates of a target share the risk, and come from inputs that no link was chosen on."""

from dataclasses import replace

import numpy as np
import pytest
from infilink.links.graph import LinkGraph
from infilink.links.table import NEVER, Table
from infilink.links.training.certified import certified
from infilink.links.training.measure import TargetCases, measure_links
from infilink.links.training.predictor import NetworkPredictor
from infilink.links.training.samples import Samples, Situations
from infilink.links.training.served import Served
from infilink.links.training.train import LinksTraining
from infilink.models.spec import parse_spec
from infilink.outputs import Array

INPUTS = 1500
SOURCES = ("first", "second")


@pytest.fixture(scope="module")
def samples() -> Samples:
    """A count that changes every third input, and two sources that say the same."""
    rng = np.random.default_rng(0)
    counts = np.repeat(rng.integers(0, 4, INPUTS // 3), 3).astype(np.float32)
    names = (*SOURCES, "target")
    models = {name: parse_spec({"name": name, "output": {"kind": "count"}}, where="the test") for name in names}
    return Samples.of(models, np.arange(INPUTS) * 0.5, {name: [np.asarray([n]) for n in counts] for name in names})


def measured(samples: Samples, wrong: slice = slice(0)) -> tuple[Table, Table]:
    """The table before and after it is certified, of a link that repeats a source; wrong on some inputs."""
    cases = TargetCases.of(samples, "target", seed=0)
    said = {name: values.copy() for name, values in samples.vectors.items()}
    said["first"][wrong] += 2.0
    seen = Situations(replace(samples, vectors=said), "target")

    def predict(features: Array) -> tuple[Array, Array]:
        return features[:, seen.layout.slices["first"]], np.full(len(features), 0.95, np.float32)

    link = NetworkPredictor(predict, seen)
    table = measure_links(link, cases, [SOURCES])
    return table, certified(table, cases, link)


def test_what_serves_is_certified_and_says_on_how_many_runs(samples: Samples) -> None:
    before, after = measured(samples)
    assert all(cell.threshold is None and cell.runs == 0 for cell in before.linked[SOURCES])
    never = after.linked[SOURCES][NEVER]
    assert never.threshold is not None and 29 <= never.runs <= INPUTS // 5
    assert never.calibration is not None
    assert never.calibration.count >= 19 and 0.5 <= never.calibration.run_s <= 5.0
    assert [cell.validation for cell in after.linked[SOURCES]] == [cell.validation for cell in before.linked[SOURCES]]


def test_a_link_that_fails_after_it_was_chosen_is_not_certified(samples: Samples) -> None:
    before, after = measured(samples, slice(samples.blocks.report[0], None))
    assert before.choose(frozenset(SOURCES), NEVER).origin == "linked"
    assert all(cell.threshold is None for cell in after.linked[SOURCES])


def test_of_a_target_all_certificates_take_the_risk_together(graph: LinkGraph, long_training: LinksTraining) -> None:
    long = LinkGraph.load(long_training.folder)
    assert long.tables["standing"].certified_runs >= 42, "29 would do for one alone"
    assert graph.tables["people"].certified_runs == 0
    for table in long.tables.values():
        for row in (table.held, *(row[:NEVER] for row in table.linked.values())):
            assert len({(cell.threshold, cell.runs) for cell in row}) == 1, "of what is served at any age"


def test_what_is_served_is_the_way_that_most_probably_agrees(samples: Samples) -> None:
    cases = TargetCases.of(samples, "target", seed=0)
    seen = Situations(samples, "target")
    link = NetworkPredictor(lambda x: (x[:, seen.layout.slices["first"]], np.full(len(x), 0.9, np.float32)), seen)
    table = measure_links(link, cases, [SOURCES])
    served = Served.draw(table, cases, cases.certify, link, never=False, alone=0.0, seed=0)
    assert (np.diff(served.inputs) > 0).all(), "each input once, in the order of time"
    linked, held = served.by("linked"), served.by("held")
    assert len(linked.inputs) and (linked.agreements == 1.0).all() and linked.confidences == pytest.approx(0.9)
    assert len(linked.inputs) + len(held.inputs) + len(served.by("constant").inputs) == len(served.inputs)
    alone = Served.draw(table, cases, cases.certify, link, never=False, alone=1.0, seed=0)
    assert not len(alone.by("linked").inputs), "nothing ran to link from"
    never = Served.draw(table, cases, cases.certify, link, never=True, alone=1.0, seed=0)
    assert len(never.by("constant").inputs) == len(never.inputs)
