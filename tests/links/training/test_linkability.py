import json

import pytest
from infilink.links.graph import LinkGraph
from infilink.links.table import BUCKETS, NEVER
from infilink.links.training.linkability import Linkability, Reached, read_linkability
from infilink.links.training.train import LinksTraining


def test_every_pair_is_kept_also_those_of_no_use(training: LinksTraining) -> None:
    targets = read_linkability(training.folder)
    assert targets is not None
    assert set(targets) == {"people", "scene", "standing", "vehicles"}
    for name, row in targets.items():
        assert set(row.sources) == set(targets) - {name}
        for cells in (*row.sources.values(), row.others, row.constant):
            assert all(cell is not None and 0 <= cell.agreement <= 1 for cell in cells)
        assert row.held[NEVER] is None and row.itself[NEVER] is not None
    tells = targets["scene"].sources["vehicles"][NEVER]
    nothing = targets["people"].sources["vehicles"][NEVER]
    assert tells is not None and tells.skill is not None and tells.skill > 0.5
    assert nothing is not None and nothing.skill is not None and nothing.skill < 0.1


def test_what_is_kept_is_what_the_tables_measured(training: LinksTraining, graph: LinkGraph) -> None:
    targets = read_linkability(training.folder)
    assert targets is not None
    for name, row in targets.items():
        table = graph.tables[name]
        ways = {(source,): cells for source, cells in row.sources.items()} | {tuple(row.sources): row.others}
        for sources in ways.keys() & table.linked.keys():
            found = [cell.agreement for cell in ways[sources] if cell is not None]
            assert found == pytest.approx([cell.report for cell in table.linked[sources]], abs=1e-5)
        assert [cell.agreement for cell in row.held if cell is not None] == pytest.approx(
            [cell.report for cell in table.held], abs=1e-5
        )


def test_skill_is_the_share_of_what_was_to_be_gained() -> None:
    assert Reached(0.9, 0.4).skill == pytest.approx(0.8)
    assert Reached(0.5, 0.0).skill == 0.0
    skill = Reached(0.4, -0.3).skill
    assert skill is not None and skill < -0.9
    assert Reached(1.0, 0.0).skill is None


def test_a_row_survives_json() -> None:
    cell = Reached(0.5, -0.25, 12, 4.5, 0.125)
    row = Linkability((cell,) * BUCKETS, (cell, *(None,) * NEVER), {"a": (None,) * BUCKETS}, (cell,) * BUCKETS)
    assert Linkability.from_dict(json.loads(json.dumps(row.as_dict()))) == row
