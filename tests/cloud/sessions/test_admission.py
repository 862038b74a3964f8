"""A device may join with models that are here, and only does what its placement says."""

from types import SimpleNamespace

import pytest
from infilink.cloud.plans.initial import InitialPlan
from infilink.cloud.repository import Repository
from infilink.cloud.sessions.admission import check_hello, fitting_models
from infilink.errors import InvalidInput, UnknownModel
from infilink.links.graph import LinkGraph
from infilink.links.index import Index
from infilink.links.planning.plan import Plan
from infilink.models.inputs.form import PICTURES, InputForm
from infilink.models.placement import PlacedDevice, PlacedModel, PlacementFile
from infilink.models.spec import digest, parse_spec
from infilink.protos import edge_pb2

HERE = PlacedModel(where="device", expected_agreement=1.0)
RUNS = PlacedModel(where="cloud", expected_agreement=1.0)


@pytest.fixture(scope="module")
def repository(tiny_models) -> Repository:
    return Repository.open(tiny_models)


@pytest.fixture(scope="module")
def placement(repository) -> PlacementFile:
    return PlacementFile(
        digests=repository.digests,
        cloud_memory_bytes=None,
        expected_agreement=1.0,
        devices={
            "door": placed(bright=HERE, light=RUNS, corner=RUNS),
            "yard": placed(bright=RUNS, light=RUNS, corner=RUNS),
        },
    )


def placed(**models) -> PlacedDevice:
    return PlacedDevice(send="inputs", expected_agreement=1.0, models=models)


def hello(**fields) -> edge_pb2.Hello:
    return edge_pb2.Hello(device="camera", session="today", **fields)


def test_a_device_may_want_models_that_are_here(repository):
    check_hello(hello(models=["corner", "light"]), repository, None)
    with pytest.raises(UnknownModel, match="dark"):
        check_hello(hello(models=["corner", "dark"]), repository, None)


def test_models_of_devices_must_be_the_files_that_are_here(repository, tiny_models):
    right = digest(tiny_models / "bright.onnx")
    check_hello(hello(local={"bright": right}), repository, None)
    with pytest.raises(InvalidInput, match=f"camera runs model 'bright' with digest 0, and the one here has {right}"):
        check_hello(hello(local={"bright": "0"}), repository, None)
    with pytest.raises(
        InvalidInput, match=r"camera runs model 'dark' itself, .*there are: bright, corner, light.*device's `local`"
    ):
        check_hello(hello(local={"dark": "0"}), repository, None)


def test_a_device_runs_what_its_class_runs(repository, placement):
    check_hello(hello(), repository, placement)
    check_hello(hello(local={"light": repository.digests["light"]}), repository, placement)
    check_hello(hello(device_class="door", local={"bright": repository.digests["bright"]}), repository, placement)
    check_hello(hello(device_class="yard"), repository, placement)


@pytest.mark.parametrize(
    ("device_class", "local", "text"),
    [
        ("door", [], "the device runs no model, and the coordinator's placement has 'door' run bright"),
        ("yard", ["bright"], "the device runs bright, and the coordinator's placement has 'yard' run none"),
        ("gate", [], "no class of devices is called 'gate'"),
    ],
)
def test_a_device_that_does_otherwise_is_refused(repository, placement, device_class, local, text):
    digests = {name: repository.digests[name] for name in local}
    with pytest.raises(InvalidInput, match=text):
        check_hello(hello(device_class=device_class, local=digests), repository, placement)


def test_a_class_without_a_placement_is_refused(repository):
    with pytest.raises(InvalidInput, match="the coordinator has no placement"):
        check_hello(hello(device_class="door"), repository, None)


def test_what_only_links_answer_for_is_of_the_inputs_that_they_were_learnt_from(repository, links):
    people = parse_spec({"name": "people", "output": {"kind": "count"}, "virtual": True}, where="it")
    index = Index.read(links)
    graph = LinkGraph.load(links)
    graph.models["people"] = people
    sound = parse_spec(
        {"name": "loud", "input": {"modality": "audio", "rate_hz": 8000.0}, "output": {"kind": "scalar"}}, where="it"
    )
    here = SimpleNamespace(specs={**repository.specs, "people": people, "loud": sound}, tail=None)
    initial = InitialPlan(Plan(None, 0, ()), (graph,), {})
    found, used = fitting_models(hello(), PICTURES, here, initial)
    assert set(found) == {*index.models, "people"} and used is graph
    audio = InputForm(modality="audio", rate_hz=8000)
    found, used = fitting_models(hello(), audio, here, initial)
    assert set(found) == {"loud"} and used is None
    with pytest.raises(InvalidInput, match="'people' does not look at this stream: links alone answer for it"):
        fitting_models(hello(models=["people"]), audio, here, initial)
    with pytest.raises(InvalidInput, match=r"no model here looks at this .* inputs \(text\): bright: it looks at"):
        fitting_models(hello(), InputForm(modality="text"), here, initial)
    with pytest.raises(InvalidInput, match=r"\(audio\): loud: .*rate_hz.*; bright: it looks at"):
        fitting_models(hello(), InputForm(modality="audio", rate_hz=16000), here, initial)


def test_a_second_part_takes_the_maps_of_pictures_alone(repository):
    here = SimpleNamespace(specs=repository.specs, tail=SimpleNamespace(model="chain"))
    initial = InitialPlan(Plan(None, 0, ()), (), {})
    fitting_models(hello(), PICTURES, here, initial)
    with pytest.raises(InvalidInput, match="it is the second part of chain"):
        fitting_models(hello(), InputForm(modality="text"), here, initial)
