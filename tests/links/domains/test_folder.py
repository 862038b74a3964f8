"""A link across domains in a folder of links: a new one, or one that is there already."""

from dataclasses import replace

import numpy as np
import pytest
from infilink.errors import InvalidInput, UnknownModel
from infilink.links.domains.adapt import adapt, label_task
from infilink.links.domains.folder import LinkFolder
from infilink.links.domains.fusion import FusedLink
from infilink.links.domains.link import learn_link
from infilink.links.domains.task import LinkTask, Pairs
from infilink.links.evaluation.evaluate import evaluate_links
from infilink.links.graph import LinkGraph
from infilink.links.placement.cli import placement_file
from infilink.links.placement.devices_file import DevicesFile
from infilink.links.placement.solver import place
from infilink.links.planning.explanation import explain_plan
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import full_plan, make_plan, plan_problem
from infilink.links.report.show import show_links
from infilink.links.scheduling.weights import Weights
from infilink.links.serving import Serving
from infilink.links.table import NEVER
from infilink.models.placement import PlacementFile
from infilink.outputs import OutputSpec
from infilink.traces.trace import Trace

COUNT = OutputSpec(kind="count")
SCENE = OutputSpec(kind="label", classes=("calm", "busy"))
BUDGET = 2**20


@pytest.fixture(scope="module")
def crossing(tmp_path_factory, new_trace):
    """`vehicles` come and go and change often, `people` follow from them, `noise` from nothing."""
    rng = np.random.default_rng(0)
    vehicles = rng.integers(0, 8, 400)
    models = {
        "vehicles": (COUNT, list(vehicles[:, None])),
        "people": (COUNT, list(vehicles[:, None] + 2)),
        "noise": (COUNT, list(rng.integers(0, 8, (400, 1)))),
    }
    return new_trace(tmp_path_factory.mktemp("crossing") / "crossing.trace", models)


@pytest.fixture
def trace(crossing):
    with Trace(crossing) as opened:
        yield opened


@pytest.fixture
def street(trace_path):
    """The recording that `training` learnt its links from."""
    with Trace(trace_path) as opened:
        yield opened


def write_shared(trace, out, links=None, source="vehicles", target="people"):
    """A link from one model to another, as sites that learn together get it."""
    folder = LinkFolder.open(trace, links)
    task = LinkTask.of(trace, [source], target)
    samples = folder.samples_of(task)
    train, validation, _ = Pairs.of(task, samples).blocks(0.6, 0.2, 0.2)
    link = FusedLink.alone(learn_link(task, train, validation, seed=0))
    return folder.write(out, link, samples, told={"learnt_from": "sites"})


def write_busy(trace, out, links=None, every=2, name="busy", least=4):
    """Labels of a person, who calls so many vehicles busy."""
    rows = np.arange(0, len(trace), every)
    kind = trace.models["vehicles"].output.kind
    counts = [len(value) if kind == "boxes" else float(value[0]) for value in trace.outputs("vehicles")]
    busy = np.asarray(counts) >= least
    folder = LinkFolder.open(trace, links, virtual=name)
    task = label_task(folder, ["vehicles"], SCENE, name=name)
    samples = folder.labelled(task, rows, [np.eye(2, dtype=np.float32)[int(busy[row])] for row in rows])
    done = adapt(task, Pairs.of(task, samples))
    return folder.write(out, FusedLink.alone(done.winner.link), samples, told={"learnt_from": "labels"})


def test_a_new_folder_has_every_model_of_the_recording(trace, tmp_path):
    written = write_shared(trace, tmp_path / "links")
    assert written.route.origin == "linked" and written.why == "" and written.route.measured.report > 0.95
    graph = LinkGraph.load(tmp_path / "links")
    graph.check(tmp_path, trace.models, trace.info.digests)
    assert set(graph.models) == set(graph.costs) == {"noise", "people", "vehicles"} and list(graph.links) == ["people"]
    assert set(graph.tables["people"].linked) == {("vehicles",)} and not graph.tables["noise"].linked
    answer = graph.predict("people", {"vehicles": np.asarray([3.0], np.float32)})
    assert answer.origin == "linked" and round(float(answer.value[0])) == 5
    assert answer.region is not None and answer.covers(np.asarray([5.0], np.float32), 1.0)
    assert graph.predict("people", {"noise": np.asarray([3.0], np.float32)}).origin == "constant"


def test_one_that_is_of_no_use_is_not_written(trace, tmp_path):
    written = write_shared(trace, tmp_path / "links", source="noise")
    assert written.route.origin == "constant" and "no link is clearly better" in written.text
    assert not LinkGraph.load(tmp_path / "links").links and not list((tmp_path / "links").glob("*.onnx"))


def test_links_that_are_there_stay_and_the_new_one_takes_its_place(street, training, tmp_path):
    before = LinkGraph.load(training.folder)
    write_shared(street, tmp_path / "links", training.folder, target="standing")
    after = LinkGraph.load(tmp_path / "links")
    assert after.links["standing"].spec.net == "domain" and set(after.tables["standing"].linked) == {("vehicles",)}
    assert after.links.keys() - {"standing"} == before.links.keys() - {"standing"} != set()
    assert after.tables["scene"] == before.tables["scene"] and after.links["scene"].spec.net == "ours"
    rows = show_links(tmp_path / "links").targets
    assert rows["scene"] == show_links(training.folder).targets["scene"]
    assert rows["standing"].sources["people"] == (None,) * (NEVER + 1) and rows["standing"].itself[0] is None
    text = next(each.text for each in show_links(tmp_path / "links").verdicts if each.target == "standing")
    assert text.startswith("worth linking from vehicles: ")


def test_labels_join_links_in_place_and_may_be_given_again(street, training, tmp_path):
    out = tmp_path / "links"
    write_busy(street, out, training.folder, every=4, least=2)
    write_busy(street, out, out, least=2)
    graph = LinkGraph.load(out)
    graph.check(out, street.models, street.info.digests, info=street.info)
    assert graph.virtual.keys() == {"busy"} and graph.notes["domains"]["busy"]["inputs"] == 160
    assert graph.links.keys() == {"busy", *LinkGraph.load(training.folder).links}
    write_busy(street, out, out, name="again", least=2)
    assert LinkGraph.load(out).virtual.keys() == {"again", "busy"}
    with pytest.raises(InvalidInput, match="'people' as a model that runs"):
        LinkFolder.open(street, training.folder, virtual="people")


def test_other_models_and_unknown_ones_are_refused(trace, training, tmp_path):
    with pytest.raises(InvalidInput, match=r"the links were learnt with"):
        LinkFolder.open(trace, training.folder)
    folder = LinkFolder.open(trace)
    with pytest.raises(UnknownModel, match="vehicles"):
        folder.samples_of(LinkTask({"cars": COUNT}, "people", COUNT, {}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("not links")
    with pytest.raises(InvalidInput, match="holds no links"):
        write_shared(trace, tmp_path / "mine")
    assert [path.name for path in tmp_path.glob("mine*")] == ["mine"]


def test_a_plan_runs_what_virtual_models_are_linked_from_and_never_them(trace, tmp_path):
    write_busy(trace, tmp_path / "links")
    graph = LinkGraph.load(tmp_path / "links")
    plan = make_plan(graph, BUDGET, weights=Weights(models={"busy": 10.0}))
    assert plan.resident == ("vehicles",) and plan.served["busy"].sources == ("vehicles",)
    assert plan.memory_bytes <= BUDGET and "busy" not in plan.refresh_s and "virtual" in plan.refused["busy"]
    everything = make_plan(graph, 3 * BUDGET)
    assert set(everything.resident) == {"noise", "people", "vehicles"}
    unlimited = full_plan({name: graph.models[name] for name in graph.costs}, graph.costs, graph)
    assert unlimited.served["busy"].origin == "linked" and 0.9 < unlimited.expected_agreement <= 1.0
    explained = explain_plan(plan_problem(graph, BUDGET))
    assert explained.runs["busy"] == "never"
    assert not {row.choice for row in explained.refused["busy"]} & {"loaded", "not loaded"}
    with pytest.raises(InvalidInput, match="holds no model"):
        make_plan(graph, BUDGET - 1)


def test_a_placement_runs_them_nowhere_and_links_them_where_their_source_is(trace, tmp_path):
    pytest.importorskip("scipy")
    write_busy(trace, tmp_path / "links")
    graph = LinkGraph.load(tmp_path / "links")
    camera = '[[device]]\nname = "camera"\ninputs_per_s = 1.0\ninput_size = "40KB"\nmemory = "0MiB"\n'
    (tmp_path / "devices.toml").write_text(f'[cloud]\nmemory = "10MiB"\ncores = 4.0\n{camera}')
    problem = DevicesFile.load(tmp_path / "devices.toml").problem(graph, links_on_devices=False)
    placed = place(problem)
    answer = placed.answers["camera"]["busy"]
    assert (answer.where, answer.sources, answer.refused) == ("linked in the cloud", ("vehicles",), ())
    assert set(placed.held_in_cloud) == {"noise", "people", "vehicles"}
    path = tmp_path / "placement.json"
    placement_file(problem, placed, graph.digests).save(path)
    assert PlacementFile.load(path).virtual == ("busy",)
    path.write_text(path.read_text().replace('"linked"', '"cloud"'))
    with pytest.raises(InvalidInput, match=r"models\.busy: is virtual"):
        PlacementFile.load(path)


def test_virtual_models_are_planned_for_among_many_too(trace, tmp_path):
    """Of many models not all sets are tried, but those near to good ones."""
    write_busy(trace, tmp_path / "links")
    graph = LinkGraph.load(tmp_path / "links")
    names = [f"more{index:02}" for index in range(20)]
    costs = {**graph.costs, **dict.fromkeys(names, graph.costs["noise"])}
    tables = {**graph.tables, **dict.fromkeys(names, graph.tables["noise"])}
    many = LinkGraph({}, costs, {}, tables, {}, {}, {}, {})
    plan = make_plan(many, 4 * BUDGET, weights=Weights(models={"busy": 10.0}))
    assert "vehicles" in plan.resident and plan.served["busy"].origin == "linked"
    assert plan.memory_bytes <= 4 * BUDGET and "busy" not in plan.refresh_s


def test_served_answers_for_labels_are_linked_where_their_source_ran(trace, tmp_path):
    write_busy(trace, tmp_path / "links")
    graph = LinkGraph.load(tmp_path / "links")
    serving = Serving(graph, Plan(None, 0, ("vehicles",)))
    busy = serving.complete(0.0, {"vehicles": np.asarray([6.0], np.float32)})["busy"]
    assert (busy.origin, busy.sources) == ("linked", ("vehicles",))
    assert SCENE.classes[int(busy.value.argmax())] == "busy"
    assert serving.complete(1.0, {"noise": np.asarray([6.0], np.float32)})["busy"].origin == "constant"


def test_trust_in_a_link_of_sites_is_revoked_where_it_breaks(trace, tmp_path):
    write_shared(trace, tmp_path / "links")
    graph = LinkGraph.load(tmp_path / "links")
    # As if the recording had been long enough.
    people = graph.tables["people"]
    sure = {sources: tuple(replace(cell, threshold=0.0) for cell in row) for sources, row in people.linked.items()}
    graph = graph.with_tables({**graph.tables, "people": replace(people, linked=sure)})
    serving = Serving(graph, Plan(None, 0, ("vehicles",), {"people": 1.0}))
    for row in range(60):
        seen = np.asarray([row % 8], np.float32)
        serving.complete(row * 2.0, {"vehicles": seen, "people": seen + 5})
    assert serving.live.revoked() == ("people linked from vehicles",)
    answer = serving.complete(200.0, {"vehicles": np.asarray([3.0], np.float32)})["people"]
    assert answer.origin == "linked" and answer.trust == "revoked"


@pytest.mark.parametrize("labelled", [False, True])
def test_evaluation_counts_answers_for_labels_where_the_truth_is_known(new_trace, crossing, tmp_path, labelled):
    with Trace(crossing) as trace:
        write_busy(trace, tmp_path / "links")
    rng = np.random.default_rng(9)
    vehicles = rng.integers(0, 8, 60)
    truth = list(np.eye(2)[(vehicles >= 4).astype(int)])
    models = {
        "vehicles": (COUNT, list(vehicles[:, None])),
        "people": (COUNT, list(vehicles[:, None] + 2)),
        "noise": (COUNT, list(rng.integers(0, 8, (60, 1)))),
        **({"busy": (SCENE, truth)} if labelled else {}),
    }
    with Trace(new_trace(tmp_path / "later.trace", models)) as later:
        done = evaluate_links(tmp_path / "links", later, budget_bytes=3 * BUDGET)
    assert done.inputs == 60 and done.executions_saved == 0.0
    assert ("busy" in done.models) == labelled
    if labelled:
        assert done.models["busy"].agreement == 1.0 and set(done.models["busy"].origins) == {"linked"}
