import json
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.links.graph import LinkGraph
from infilink.links.table import NEVER
from infilink.links.training.train import LinksTraining
from infilink.outputs import Array
from infilink.traces.trace import Trace


@pytest.fixture(scope="session")
def recorded(trace_path: Path) -> list[dict[str, Array]]:
    """Every model's outputs, input by input."""
    with Trace(trace_path) as trace:
        columns = {name: trace.outputs(name) for name in trace.models}
        return [{name: values[row] for name, values in columns.items()} for row in range(len(trace))]


def test_any_subset_of_the_models_serves_all_others(graph: LinkGraph, recorded: list[dict[str, Array]]) -> None:
    now = recorded[310]
    for size in range(len(now) + 1):
        for chosen in combinations(now, size):
            sources = {name: now[name] for name in chosen}
            for target in set(now) - set(chosen):
                for last, age_s in ((None, None), (now[target], 3.0)):
                    answer = graph.predict(target, sources, last=last, age_s=age_s)
                    graph.models[target].output.check(answer.value)
                    assert set(answer.sources) <= set(chosen)
                    assert 0.0 <= answer.confidence <= 1.0


def test_what_follows_from_another_model_is_linked_and_right(
    graph: LinkGraph, recorded: list[dict[str, Array]]
) -> None:
    for now in recorded[270:]:
        answer = graph.predict("scene", {"vehicles": now["vehicles"]})
        assert answer.origin == "linked"
        assert answer.sources == ("vehicles",)
        assert np.argmax(answer.value) == np.argmax(now["scene"])


def test_what_follows_from_nothing_is_held_or_constant_and_says_so(
    graph: LinkGraph, recorded: list[dict[str, Array]]
) -> None:
    now = recorded[310]
    others = {name: value for name, value in now.items() if name != "people"}
    held = graph.predict("people", others, last=now["people"], age_s=0.5)
    assert held.origin == "held"
    assert np.array_equal(held.value, now["people"])
    assert held.sources == ()
    assert graph.predict("people", {}).origin == "constant"


def test_another_model_file_is_refused_by_name(graph: LinkGraph) -> None:
    models, digests = graph.models, graph.digests
    graph.check("links", models, digests)
    with pytest.raises(InvalidInput, match=r"links: model .scene. has digest f{16} here, .* learnt with"):
        graph.check("links", models, {**digests, "scene": "ffffffffffffffff"})
    with pytest.raises(InvalidInput, match="'scene' is missing"):
        graph.check("links", models, {name: value for name, value in digests.items() if name != "scene"})


def test_bad_values_and_names_are_refused(graph: LinkGraph) -> None:
    with pytest.raises(InvalidInput, match=r"standing: .*NaN"):
        graph.predict("scene", {"standing": np.asarray([np.nan], np.float32)})
    with pytest.raises(InvalidInput, match="shape"):
        graph.predict("scene", {"standing": np.zeros(3, np.float32)})
    with pytest.raises(UnknownModel):
        graph.predict("nobody", {})
    with pytest.raises(UnknownModel):
        graph.predict("scene", {"nobody": np.zeros(1, np.float32)})
    with pytest.raises(InvalidInput, match="age"):
        graph.predict("scene", {}, last=np.asarray([0.5, 0.5], np.float32))
    with pytest.raises(InvalidInput, match="age"):
        graph.predict("scene", {}, last=np.asarray([0.5, 0.5], np.float32), age_s=-1.0)


def test_a_folder_that_is_no_links_is_refused(tmp_path: Path, training: LinksTraining) -> None:
    with pytest.raises(InvalidInput, match="not a folder of links"):
        LinkGraph.load(tmp_path)
    for name, content in (("json", "{"), ("format", json.dumps({"format": 99})), ("keys", json.dumps({"format": 1}))):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "links.json").write_text(content)
        with pytest.raises(InvalidInput, match=r"train|a newer infilink wrote it"):
            LinkGraph.load(folder)
    copied = shutil.copytree(training.folder, tmp_path / "copy")
    (copied / "scene.npz").unlink()
    with pytest.raises(InvalidInput, match="no such link"):
        LinkGraph.load(copied)
    (copied / "scene.onnx").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="not an ONNX model"):
        LinkGraph.load(copied)


def test_a_folder_without_calibrations_loads_and_promises_no_regions(tmp_path: Path, training: LinksTraining) -> None:
    copied = shutil.copytree(training.folder, tmp_path / "old")
    index = json.loads((copied / "links.json").read_text())
    for table in index["tables"].values():
        table["constant"] = table["constant"][:3]
        table["held"] = [cell[:3] for cell in table["held"]]
        table["linked"] = {key: [cell[:3] for cell in row] for key, row in table["linked"].items()}
    (copied / "links.json").write_text(json.dumps({**index, "format": 1}))
    answer = LinkGraph.load(copied).predict("standing", {})
    assert (answer.region, answer.calibration_count) == (None, 0)


def test_a_lower_risk_is_a_larger_region_and_no_certificate(graph: LinkGraph, recorded: list[dict[str, Array]]) -> None:
    now, last = recorded[310], recorded[309]["standing"]
    usual, wide = (
        graph.predict("standing", {"vehicles": now["vehicles"]}, last=last, age_s=0.5, alpha=alpha)
        for alpha in (0.2, 0.05)
    )
    assert usual.region is not None
    assert usual.calibration_count >= 9
    assert wide.alpha == 0.05
    assert wide.trust in ("unsure", "uncalibrated")
    if wide.region is not None:
        assert wide.region.bounds[0] <= usual.region.bounds[0] <= usual.region.bounds[1] <= wide.region.bounds[1]
    for alpha in (0.0, 0.7, float("nan")):
        with pytest.raises(InvalidInput, match="alpha must be"):
            graph.predict("standing", {}, alpha=alpha)


def test_without_links_everything_is_held_or_constant(graph: LinkGraph) -> None:
    held = graph.without_links()
    for target in graph.models:
        for age in range(NEVER + 1):
            assert held.tables[target].choose(frozenset(graph.models), age).origin != "linked"


def test_serving_needs_no_torch(training: LinksTraining) -> None:
    program = (
        "import sys\n"
        "from infilink.links.graph import LinkGraph\n"
        "from infilink.links.planning.planner import make_plan\n"
        "from infilink.links.serving import Serving\n"
        "graph = LinkGraph.load(sys.argv[1])\n"
        "plan = make_plan(graph, 80 * 2**20)\n"
        "Serving(graph, plan).complete(0.0, {name: graph.constants[name] for name in plan.resident})\n"
        "print([name for name in ('torch', 'onnx', 'sklearn', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(training.folder)], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "[]"
