"""What a placement has a device do: by its class, its name, or the only class there is."""

from pathlib import Path

import pytest
from infilink.device.config import DeviceConfig, settled
from infilink.errors import InvalidInput
from infilink.models.placement import PlacedDevice, PlacedModel, PlacementFile, Send
from infilink.models.spec import digest


def placed(send: Send, **where: str) -> PlacedDevice:
    models = {name: PlacedModel.model_validate({"where": at, "expected_agreement": 1.0}) for name, at in where.items()}
    return PlacedDevice(send=send, expected_agreement=1.0, models=models)


DOOR = placed("outputs", bright="device", light="linked")
YARD = placed("inputs", bright="cloud", light="cloud")
IDLE = placed("outputs", bright="constant", light="constant")


@pytest.fixture
def config(tmp_path: Path, tiny_models: Path):
    """Configurations of a device with a placement of these classes."""

    def make(classes: dict[str, PlacedDevice], **settings: object) -> DeviceConfig:
        digests = {name: digest(tiny_models / f"{name}.onnx") for name in ("bright", "light")}
        placement = PlacementFile(digests=digests, cloud_memory_bytes=None, expected_agreement=1.0, devices=classes)
        placement.save(tmp_path / "p.json")
        values = {"name": "d", "source": "0", "coordinator": "h:1", "placement": tmp_path / "p.json"}
        return DeviceConfig.model_validate({**values, "local": tiny_models, **settings})

    return make


def test_the_class_says_what_runs_here_and_what_travels(config, tiny_models):
    classes = {"door": DOOR, "yard": YARD}
    door = settled(config(classes, device_class="door"))
    assert (door.local, door.local_models, door.send, door.device_class) == (
        tiny_models,
        ("bright",),
        "outputs",
        "door",
    )
    yard = settled(config(classes, name="yard"))
    assert (yard.local, yard.local_models, yard.send, yard.device_class) == (None, (), "inputs", "yard")
    assert settled(config({"door": DOOR})).device_class == "door"
    plain = DeviceConfig(name="d", source="0", coordinator="h:1")
    assert settled(plain) is plain


def test_what_cannot_be_done_is_told(config):
    for classes, settings, text in (
        ({"door": DOOR, "yard": YARD}, {}, "'d'; the placement has door, yard"),
        ({"door": DOOR}, {"local": None}, "has 'door' run bright: give their folder as `local`"),
        ({"idle": IDLE}, {}, "has 'idle' run nothing and send nothing"),
    ):
        with pytest.raises(InvalidInput, match=text):
            settled(config(classes, **settings))


def test_another_file_of_a_model_is_told_from_the_one_that_was_planned_with(config):
    given = config({"door": DOOR})
    placement = PlacementFile.load(given.placement)
    placement.model_copy(update={"digests": {**placement.digests, "bright": "0" * 16}}).save(given.placement)
    with pytest.raises(InvalidInput, match=r"bright.onnx: has digest \w+, and .*p.json was planned for 0{16}"):
        settled(given)
