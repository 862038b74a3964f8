"""A device may join with models that are here, and only does what its placement says."""

import pytest
from infilink.cloud.repository import Repository
from infilink.cloud.sessions.admission import check_hello
from infilink.errors import InvalidInput, UnknownModel
from infilink.models.placement import PlacedDevice, PlacedModel, PlacementFile
from infilink.models.spec import digest
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
