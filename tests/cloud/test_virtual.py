"""A model that only links answer for: the coordinator serves it beside those that run, and never runs it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.sessions.answers import output_message
from infilink.errors import InvalidInput
from infilink.links.index import Index
from infilink.links.table import NEVER, Measured, Table
from infilink.models.encoding.encoding import Encoding
from infilink.models.spec import ModelSpec, parse_spec
from infilink.protos import edge_pb2

NAMES = ["bright", "corner", "light"]


def write_virtual(links: Path, out: Path, name: str) -> Path:
    """The same links with a person's labels, which are answered with a constant."""
    index = Index.read(links)
    spec = parse_spec({"name": name, "output": {"kind": "count"}, "virtual": True}, where="the test")
    counts = [np.asarray([n], np.float32) for n in (1, 4)]
    cell = Measured(0.6, 0.6)
    out.mkdir()
    replace(
        index,
        models={**index.models, name: spec},
        encodings={**index.encodings, name: Encoding.fit(spec.output, counts)},
        tables={**index.tables, name: Table(cell, (cell,) * NEVER)},
        constants={**index.constants, name: counts[1]},
    ).write(out)
    return out


@pytest.fixture
def labelled(links: Path, tmp_path: Path) -> Path:
    return write_virtual(links, tmp_path / "links", "people")


@pytest.mark.parametrize("budget", ["none", "100MiB"])
def test_it_is_answered_for_and_never_runs(serve, labelled: Path, budget: str) -> None:
    async def story(coordinator: Coordinator) -> None:
        session = coordinator.open_session(edge_pb2.Hello(device="door", session="1"))
        specs = coordinator.welcome(session).specs
        assert sorted(specs) == sorted([*NAMES, "people"])
        assert ModelSpec.model_validate_json(specs["people"]).virtual
        plan = coordinator.initial.plan
        assert "people" not in {*plan.resident, *plan.rotating} and plan.served["people"].origin == "constant"
        answers = session.complete(0.0, {"bright": np.asarray([9.0], np.float32)})
        answer, age_s = answers["people"]
        assert (answer.origin, float(answer.value[0]), age_s) == ("constant", 4.0, -1.0)
        assert output_message(coordinator.repository.specs["people"], "", answer, age_s).model == "people"
        assert sorted(coordinator.workers) == NAMES
        assert coordinator.schedule is not None and sorted(coordinator.schedule.names) == NAMES

    serve(story, links=labelled, answers="links", budget=budget)


def test_a_device_may_want_it_alone(serve, labelled: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        session = coordinator.open_session(edge_pb2.Hello(device="door", session="1", models=["people"]))
        assert list(session.complete(0.0, {})) == ["people"]

    serve(story, links=labelled, answers="links")


def test_a_model_of_its_name_is_in_the_way(serve, links: Path, tmp_path: Path) -> None:
    index = Index.read(links)
    for part in (index.models, index.costs, index.digests, index.encodings, index.tables, index.constants):
        del part["light"]
    (tmp_path / "less").mkdir()
    index.write(tmp_path / "less")
    with pytest.raises(InvalidInput, match=r"answers as 'light', which is a model of .*: move that model out"):
        serve(None, links=write_virtual(tmp_path / "less", tmp_path / "links", "light"), answers="links")
