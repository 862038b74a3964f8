"""`infilink federate adopt`: what other sites learnt, at one that was not there."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from infilink.cli import build_app
from infilink.errors import InvalidInput
from infilink.links.domains.folder import LinkFolder
from infilink.links.domains.link import learn_link
from infilink.links.domains.shared import save_shared
from infilink.links.domains.sharing import SharingSite
from infilink.links.domains.task import LinkTask
from infilink.links.graph import LinkGraph
from infilink.models.cost import ModelCost
from infilink.models.spec import parse_spec
from infilink.traces.trace import Trace, TraceInfo, TraceWriter


def write_trace(path: Path, *, target: str = "people", digest: str = "v", low: int = 0, high: int = 10) -> Path:
    """`people` are two more than `vehicles`; only some counts come up here."""
    specs = {name: parse_spec({"name": name, "output": {"kind": "count"}}, where=name) for name in (target, "vehicles")}
    info = TraceInfo(
        "made-up",
        2.0,
        specs,
        {target: "p", "vehicles": digest},
        dict.fromkeys(specs, ModelCost(1 << 20, 0.01, 0.1)),
        input="none",
    )
    with TraceWriter(path, info) as writer:
        for row, vehicles in enumerate(np.random.default_rng(0).integers(low, high, 150).tolist()):
            outputs = {"vehicles": vehicles, target: vehicles + 2}
            writer.append(row, row * 0.5, b"", {name: np.asarray([n], np.float32) for name, n in outputs.items()})
    return path


@pytest.fixture
def shared(tmp_path):
    """What sites with up to 29 vehicles learnt."""
    with Trace(write_trace(tmp_path / "others.trace", high=30)) as trace:
        task = replace(LinkTask.of(trace, ["vehicles"], "people"), hidden=8)
        train, validation, _ = SharingSite(LinkFolder.open(trace), task).blocks
        save_shared(learn_link(task, train, validation, seed=0), tmp_path / "people.onnx")
    return tmp_path / "people.onnx"


def adopt(*words: object, capsys: pytest.CaptureFixture[str] | None = None) -> dict:
    command = ["federate", "adopt", *map(str, words), "--json"]
    build_app(command)(command, standalone_mode=False)
    return {} if capsys is None else json.loads(capsys.readouterr().out)


def test_a_new_site_has_links_of_what_others_learnt(shared, tmp_path, capsys):
    trace = write_trace(tmp_path / "yard.trace", high=3)
    told = adopt(shared, trace, "--out", tmp_path / "links", capsys=capsys)
    assert told["reported"] == 27 and told["weights"]["the link of all"] == 1.0
    assert (told["origin"], told["sources"], told["agreement"]) == ("linked", ["vehicles"], 1.0)
    graph = LinkGraph.load(tmp_path / "links")
    # Here there were never more than two.
    answer = graph.predict("people", {"vehicles": np.asarray([3.0], np.float32)})
    assert answer.origin == "linked" and round(float(answer.value[0])) == 5


def test_what_does_not_fit_is_refused_and_nothing_is_written(shared, tmp_path):
    out = tmp_path / "links"
    with pytest.raises(InvalidInput, match="digest of vehicles: v2 here, v there"):
        adopt(shared, write_trace(tmp_path / "a.trace", digest="v2"), "--out", out)
    with pytest.raises(InvalidInput, match=r"predicts 'people', and .* has no such model .*links adapt"):
        adopt(shared, write_trace(tmp_path / "b.trace", target="cars"), "--out", out)
    earlier = Path(__file__).parents[2] / "samples" / "first" / "adapted.onnx"
    with pytest.raises(InvalidInput, match=r"predicts 'oracle', .* of a person's labels `infilink links adapt` makes"):
        adopt(earlier, write_trace(tmp_path / "d.trace"), "--out", out)
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="holds no links"):
        adopt(shared, write_trace(tmp_path / "c.trace"), "--out", out)
