import json
from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.links.cli import plan_command
from infilink.links.graph import LinkGraph
from infilink.links.placement.cli import init_devices_command
from infilink.links.placement.devices_file import DevicesFile
from infilink.links.training.train import LinksTraining
from infilink.models.placement import PlacementFile

TWO = """
[cloud]
memory = "50%"
cores = 4.0

[[device]]
name = "door"
inputs_per_s = 2.0
input_size = "40KB"
memory = "25MiB"
slowdown = 3.0

[[device]]
name = "yard"
count = 3
inputs_per_s = 1.0
input_size = "40KB"
memory = "0B"
network_per_s = "100KB"
weights = {people = 2.0}
"""


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    path = tmp_path / "devices.toml"
    path.write_text(TWO)
    return path


def test_the_plan_is_a_table_of_models_by_devices_with_budgets_and_reasons(
    training: LinksTraining, devices: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    plan_command(training.folder, devices=devices, explain=True)
    out = capsys.readouterr().out
    for text in ("door x 1", "yard x 3", "in memory", "100.0 MiB", "budgets", "why not run", "expected agreement"):
        assert text in out
    assert "on the device: yard's memory: takes" in out


def test_json_says_where_everything_runs_and_what_it_takes(
    training: LinksTraining, devices: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_command(training.folder, devices=devices, weight=["scene=3"], as_json=True)
    placed = json.loads(capsys.readouterr().out)
    costs = LinkGraph.load(training.folder).costs
    assert set(placed["answers"]) == {"door", "yard"}
    assert all(set(answers) == set(costs) for answers in placed["answers"].values())
    assert "device" not in {answer["where"] for answer in placed["answers"]["yard"].values()}
    assert placed["gap"] == 0.0
    assert 0.0 < placed["value"] <= 1.0
    held = sum(costs[name].memory_bytes for name in placed["held_in_cloud"])
    (memory,) = (use for use in placed["uses"] if (use["place"], use["resource"]) == ("cloud", "memory_bytes"))
    assert held <= memory["used"] <= memory["budget"] == 100 * 2**20
    assert any(use["budget"] is None for use in placed["uses"])
    for answers in placed["answers"].values():
        for answer in answers.values():
            assert (answer["where"] in ("device", "cloud")) == (answer["agreement"] == 1.0)


def test_init_writes_a_file_that_plans(
    training: LinksTraining, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "devices.toml"
    init_devices_command(out)
    with pytest.raises(InvalidInput, match="is there already"):
        init_devices_command(out)
    plan_command(training.folder, devices=out, as_json=True)
    assert '"camera"' in capsys.readouterr().out


def test_the_file_says_what_the_library_gets(training: LinksTraining, devices: Path) -> None:
    graph = LinkGraph.load(training.folder)
    problem = DevicesFile.load(devices).problem(graph, {"scene": 3.0})
    door, yard = problem.devices
    assert (door.input_bytes, door.memory_bytes, yard.network_bytes_per_s) == (40_000, 25 * 2**20, 100_000)
    assert problem.cloud.memory_bytes == 100 * 2**20
    assert problem.names == ("people", "scene", "standing", "vehicles")
    assert problem.model_weights.tolist() == [
        pytest.approx([1 / 6, 3 / 6, 1 / 6, 1 / 6]),
        pytest.approx([2 / 7, 3 / 7, 1 / 7, 1 / 7]),
    ]
    assert problem.output_bytes.tolist() == [192, 8, 4, 192]
    assert problem.device_weights == pytest.approx([2 / 5, 3 / 5])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('memory = "25MiB"', "", "device.0.memory: Field required"),
        ('memory = "25MiB"', 'memory = "lots"', r"device\.0\.memory: .*write a size .*none"),
        ("slowdown = 3.0", "slowdown = 0", r"device\.0\.slowdown: .*greater than 0"),
        ("slowdown = 3.0", "slow = 3.0", r"device\.0\.slow: there is no such key; did you mean 'slowdown'"),
        ('input_size = "40KB"\nmemory = "25MiB"', 'input_size = "none"\nmemory = "25MiB"', "'door': input_size"),
        ('input_size = "40KB"\nmemory = "25MiB"', 'input_size = "4%"\nmemory = "25MiB"', "'door': input_size"),
        ("[cloud]", 'weigh = "both"\n[cloud]', "weigh: .*'inputs' or 'devices'"),
        ("[cloud]", 'output_sizes = {nobody = "2KB"}\n[cloud]', r"output_sizes\.nobody: no such model"),
        ("people = 2.0", "nobody = 2.0", "weight is given for 'nobody'"),
        ('name = "yard"', 'name = "door"', "two devices are called 'door'"),
    ],
)
def test_a_mistake_in_the_file_names_its_key(
    training: LinksTraining, devices: Path, old: str, new: str, message: str
) -> None:
    assert old in TWO
    devices.write_text(TWO.replace(old, new))
    with pytest.raises(InvalidInput, match=message):
        plan_command(training.folder, devices=devices)


def test_a_placement_can_be_written_for_those_who_do_what_it_says(
    training: LinksTraining, devices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "placement.json"
    plan_command(training.folder, devices=devices, out=out)
    assert f"wrote {out}" in capsys.readouterr().out.replace("\n", "")
    plan_command(training.folder, devices=devices, out=out, as_json=True)
    placed, written = json.loads(capsys.readouterr().out), PlacementFile.load(out)
    assert written.digests == LinkGraph.load(training.folder).digests
    assert written.cloud_memory_bytes == 100 * 2**20
    assert written.expected_agreement == pytest.approx(placed["expected_agreement"])
    for name, device in written.devices.items():
        wheres = {
            model: answer["where"].removesuffix(" in the cloud") for model, answer in placed["answers"][name].items()
        }
        assert {model: answer.where for model, answer in device.models.items()} == wheres
        assert device.send == ("inputs" if "inputs" in placed["sent"][name] else "outputs")
    assert "linked on the device" not in json.dumps(placed)
    agreements = [device.expected_agreement for device in written.devices.values()]
    assert min(agreements) <= written.expected_agreement <= max(agreements)
    with pytest.raises(InvalidInput, match="give --devices, too"):
        plan_command(training.folder, "50%", out=out)


def test_one_place_or_devices_not_both_or_neither(training: LinksTraining, devices: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--budget .* or --devices"):
        plan_command(training.folder)
    with pytest.raises(InvalidInput, match="leave --budget"):
        plan_command(training.folder, "50%", devices=devices)
    with pytest.raises(InvalidInput, match="init devices"):
        plan_command(training.folder, devices=devices.with_name("none.toml"))
