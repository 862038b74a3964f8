"""The placement's file: what is written is read, and a mistake names the file and the key."""

from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.models.placement import PlacedDevice, PlacedModel, PlacementFile

PLACEMENT = PlacementFile(
    digests={"heavy": "h", "light": "l"},
    cloud_memory_bytes=None,
    expected_agreement=0.9,
    devices={
        "door": PlacedDevice(
            send="outputs",
            expected_agreement=0.9,
            models={
                "heavy": PlacedModel(where="linked", sources=("light",), expected_agreement=0.8),
                "light": PlacedModel(where="device", expected_agreement=1.0),
            },
        )
    },
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    PLACEMENT.save(tmp_path / "p.json")
    read = PlacementFile.load(tmp_path / "p.json")
    assert read == PLACEMENT
    door = read.device("door")
    assert (door.running("device"), door.running("cloud")) == (("light",), ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"outputs"', '"nothing"', "devices.door.send: .*'inputs' or 'outputs'"),
        ('"linked"', '"somewhere"', "devices.door.models.heavy.where"),
        ('"heavy": "h",', "", "devices.door: models: must be light"),
        ("{", "[", "can't be read as JSON"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "p.json"
    PLACEMENT.save(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InvalidInput, match=f"p.json.*{message}"):
        PlacementFile.load(path)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="infilink plan LINKS --devices"):
        PlacementFile.load(tmp_path / "none.json")
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="can't be written"):
        PLACEMENT.save(tmp_path / "file" / "p.json")
    with pytest.raises(InvalidInput, match="'gate'; the placement has door"):
        PLACEMENT.device("gate")
