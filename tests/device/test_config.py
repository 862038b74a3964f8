"""The agent's settings: every mistake names the file and the key, and a placement decides what runs here."""

import re
import tomllib
from pathlib import Path

import pytest
from infilink.device.cli import device_command
from infilink.device.config import DeviceConfig, apply_placement, load_config
from infilink.device.default_toml import DEFAULT_TOML
from infilink.device.governor.settings import GovernorSettings
from infilink.errors import InvalidInput
from infilink.models.placement import PlacedDevice, PlacedModel, PlacementFile, Send
from infilink.models.spec import digest

GOOD = 'name = "a"\nsource = "0"\ncoordinator = "127.0.0.1:7420"\n'


def test_the_default_file_is_valid_and_names_every_key(tmp_path):
    path = tmp_path / "device.toml"
    path.write_text(DEFAULT_TOML)
    assert load_config(path).queue == "latest"
    uncommented = DEFAULT_TOML.replace("\n# ", "\n")
    names = {line.split(" = ")[0] for line in uncommented.splitlines() if " = " in line}
    names |= set(re.findall(r"^\[+(\w+)\]+$", uncommented, re.MULTILINE))
    assert set(DeviceConfig.model_fields) - {"streams"} <= names and "[streams.door]" in DEFAULT_TOML
    assert set(tomllib.loads(DEFAULT_TOML)) <= set(DeviceConfig.model_fields)


def test_the_sinks_and_pictures_of_events_of_the_default_file_can_be_taken_as_they_are(tmp_path):
    path = tmp_path / "device.toml"
    at = DEFAULT_TOML.index("# [picture]")
    keys = re.findall(
        r"^# (\[.*\]|\w+ = .*)$", DEFAULT_TOML[at : DEFAULT_TOML.index("# Several streams")], re.MULTILINE
    )
    path.write_text(DEFAULT_TOML[:at] + "\n".join(keys))
    config = load_config(path)
    assert [sink.kind for sink in config.sinks] == ["jsonl", "video", "preview", "command"]
    assert config.sinks[0].path == tmp_path / "results.jsonl" and config.sinks[1].folder == tmp_path / "annotated"
    assert config.picture.longest_side == (1280, 960, 640) and len(config.picture.regions[0]) == 4
    assert config.event_pictures.folder == tmp_path / "events"


def test_standard_output_is_no_file_beside_the_settings(tmp_path):
    path = tmp_path / "device.toml"
    path.write_text(GOOD + '[[sinks]]\nkind = "jsonl"\npath = "-"\n')
    assert str(load_config(path).sinks[0].path) == "-"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("gate_ = 1", "gate_"),
        ('pace = "fast"', "pace.*'max' or 'source'"),
        ("quality = 0", "quality.*1"),
        ('coordinator = "nowhere"', "coordinator.*HOST:PORT"),
        ('coordinator = "a:99999"', "coordinator.*HOST:PORT"),
        ("window = 0", "window"),
        ('local = "m"\nhead = "h.onnx"', "leave one of them out"),
        ('encoding = "mp3"', "encoding.*'auto', 'jpeg', 'h264', 'raw', 'int8', 'int16', 'flac' or 'opus'"),
        ("mask = [[[0.1, 0.1], [0.5, 0.1]]]", r"mask\[0\]: 2 corners: it takes 3"),
        ("mask = [[[10, 10], [50, 10], [50, 50]]]", r"mask\[0\]: corner .* outside the picture"),
        ("cut = { window_s = 1.0, window = 3 }", "cut: `window_s` .* give one of them"),
        ('[streams."a/b"]', "streams.a/b.*pattern"),
        ("[streams.a]\nwindow = 0", "streams.a: window"),
        ("[streams.a]\nqualty = 1", "streams.a: qualty: there is no such key; did you mean 'quality'"),
        ('[streams.a]\ncoordinator = "h:1"', "streams.a.coordinator: is the whole device's"),
        (
            "results = 'r.sqlite'\n[streams.a]\n[streams.b]",
            "streams a and b both write .*r.sqlite: give each .*`results`",
        ),
        ("results = 'r'\n[streams.a]\n[streams.b]\nresults = './x/../r'", "streams a and b both write"),
        ("results = 'r'\ncache = './r'", "`results` and `cache` both write .*: give each its own"),
        ("results = 'r'\n[[sinks]]\nkind = 'jsonl'\npath = 'r'", "a sink and `results` both write .* another `path`"),
        ("deadline_s = inf", "deadline_s: can't be more"),
        ("[spool]\nage_s = nan", "spool.age_s: "),
        ("connect_timeout_s = 1e300", "connect_timeout_s: can't be more than 1000000000 seconds"),
        ("deadline_s = 'soon'", "deadline_s: 'soon' is no length of time: .* 500ms, 2s"),
        ("[spool]\nsize_bytes = '1 Tera'", "spool.size_bytes: size '1 Tera': write a number with .* 200MiB"),
        ("[picture]\nlongest_side = [64, 128]", "picture.longest_side: must be sizes .* the largest first"),
        ('[[sinks]]\nkind = "mqtt"', 'sinks.0: `kind` must be "jsonl", "video", "preview" or "command"'),
        ("[[sinks]]\npath = 'r.jsonl'", 'sinks.0: `kind` must be "jsonl"'),
        ('[[sinks]]\nkind = "jsonl"\npath = "r"\nfile = 1', "sinks.0.file: there is no such key; did you mean 'files'"),
        ('[[sinks]]\nkind = "command"\nrun = "notify-send x"', 'sinks.0.run: must be a list.*"notify-send"'),
        ('[[sinks]]\nkind = "preview"\nlisten = "here"', "sinks.0.listen: must be .HOST:PORT"),
        ('[event_pictures]\nfolder = "e"\nquality = 0', "event_pictures.quality: .*1"),
        ('local_models = ["m"]', "`local_models` needs `local`"),
        ('tls_ca = "ca.pem"\ntls_cert = "c.pem"', "`tls_cert` and `tls_key` go together"),
        ('tls_cert = "c.pem"\ntls_key = "k.pem"', "`tls_cert` needs `tls_ca`"),
        ('local = "m"\nlocal_models = []', "local_models.*at least 1"),
        ('send = "outputs"', "`send` needs `local`"),
        ('send = "pictures"', "send.*'frames', 'features', 'ask' or 'outputs'"),
        ('send = "inputs"', 'is now called `send = "frames"`'),
        ('send = "ask"\nhead = "h.onnx"', "leave one out"),
        ('placement = "p.json"\nlocal = "m"\nsend = "features"', "leave `send` out"),
        ('device_class = "door"', "`device_class` names a class of a `placement`"),
        ('placement = "p.json"\nlocal = "m"\nsend = "outputs"', "leave `send` out"),
        ('placement = "p.json"\nlocal = "m"\nlocal_models = ["m"]', "leave `local_models` out"),
        ('update = "online"', r"update: must be a file that ends in \.npz"),
        ('update = "learnt.npz"\naudit = 0.0', "set `audit` above 0"),
        ("update_share = 0.2", "`update_share` is gone: .* leave it out"),
        ("update_period_s = 60.0", "`update_period_s` is gone"),
        ("name = [", "can't be read as TOML"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path, line, message):
    path = tmp_path / "d.toml"
    key = line.split(" ")[0]
    path.write_text("".join(good for good in GOOD.splitlines(keepends=True) if not good.startswith(key)) + line + "\n")
    with pytest.raises(InvalidInput, match=f"(?s)d.toml.*{message}"):
        load_config(path)


def test_amounts_may_be_written_as_people_write_them(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(
        'name = "a"\nsource = "0"\ncoordinator = "h:1"\ndeadline_s = "500ms"\nresults_bytes = "1.5GiB"\n[spool]\n'
        'age_s = "2h"\nsize_bytes = "200MB"\nbytes_per_s = "64kbit"\nbytes_a_day = "1GB"\n[governor]\n'
        'disk_free_bytes = "1MiB"\nsend_bytes_per_s = "8kB/s"\n[[sinks]]\nkind = "jsonl"\npath = "r"\n'
        'size_bytes = "1MiB"'
    )
    config = load_config(path)
    assert (config.deadline_s, config.results_bytes) == (0.5, 3 * 2**29)
    spool = config.spool
    assert (spool.age_s, spool.size_bytes, spool.bytes_per_s, spool.bytes_a_day) == (7200.0, 2 * 10**8, 8000, 10**9)
    assert (config.governor.disk_free_bytes, config.governor.send_bytes_per_s) == (2**20, 8000.0)
    assert config.sinks[0].size_bytes == 2**20


def test_an_unknown_key_is_answered_with_the_known_ones(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(GOOD + "qualty = 3\n")
    with pytest.raises(
        InvalidInput, match=r"qualty: there is no such key; did you mean 'quality'\? \(keys: name, source.*\)"
    ):
        load_config(path)


def test_the_old_name_of_a_key_or_flag_is_answered_with_the_new_one(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(GOOD + 'policy = "all"\n')
    with pytest.raises(InvalidInput, match=r"d.toml: .*`policy` is now called `queue`"):
        load_config(path)
    with pytest.raises(InvalidInput, match="--policy is now called --queue"):
        device_command(policy="all")


def test_no_file_says_how_to_write_one(tmp_path):
    with pytest.raises(InvalidInput, match="infilink init device"):
        load_config(tmp_path / "none.toml")


def test_flags_go_before_the_file_and_paths_start_at_it(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(GOOD.replace('"0"', '"clips/a.mp4"') + 'results = "r.sqlite"\ngate = "filter.onnx"\n')
    config = load_config(path, {"name": "b", "pace": None})
    assert (config.name, config.pace) == ("b", "source")
    assert config.source == str(tmp_path / "clips/a.mp4") and config.gate == str(tmp_path / "filter.onnx")
    assert config.results == tmp_path / "r.sqlite"


def test_a_streams_table_says_what_is_otherwise_and_its_paths_start_at_the_file(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(
        GOOD + 'gate = "f.onnx"\nquality = 80\n'
        '[streams.door]\nsource = "a.mp4"\nresults = "door.sqlite"\nquality = 70\n'
        '[streams.mic]\nsource = "alsa:default"\ngate = "all"\ncut = { rate_hz = 16000, window_s = 1.0 }\n'
    )
    streams = load_config(path).by_stream()
    door, mic = streams["door"], streams["mic"]
    assert list(streams) == ["door", "mic"] and (door.name, door.quality, mic.quality) == ("a", 70, 80)
    assert (door.source, door.gate) == (str(tmp_path / "a.mp4"), str(tmp_path / "f.onnx"))
    assert (door.results, mic.results) == (tmp_path / "door.sqlite", None)
    assert (mic.source, mic.gate, mic.cut.rate_hz) == ("alsa:default", "all", 16000)
    with pytest.raises(InvalidInput, match="the option 'gate' does not say which"):
        load_config(path, {"gate": "all"})
    assert load_config(path, {"name": "b"}).by_stream()["mic"].name == "b"


def test_without_tables_there_is_one_stream_without_a_name(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(GOOD)
    config = load_config(path)
    assert config.by_stream() == {"": config}
    path.write_text(GOOD.replace('source = "0"\n', ""))
    with pytest.raises(InvalidInput, match=r"d.toml: .*`source` is missing"):
        load_config(path)


def test_a_camera_may_be_a_number(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(GOOD.replace('"0"', "0"))
    assert load_config(path).source == "0"


def test_what_is_learnt_at_work_stands_beside_the_settings(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(GOOD + 'update = "learnt.npz"\n')
    assert load_config(path).update == tmp_path / "learnt.npz"


def placed(send: Send, **where: str) -> PlacedDevice:
    models = {name: PlacedModel.model_validate({"where": at, "expected_agreement": 1.0}) for name, at in where.items()}
    return PlacedDevice(send=send, expected_agreement=1.0, models=models)


DOOR = placed("outputs", bright="device", light="linked")
YARD = placed("inputs", bright="cloud", light="cloud")
IDLE = placed("outputs", bright="constant", light="constant")


@pytest.fixture
def placed_config(tmp_path: Path, tiny_models: Path):
    """Configurations of a device with a placement of these classes."""

    def make(classes: dict[str, PlacedDevice], **settings: object) -> DeviceConfig:
        digests = {name: digest(tiny_models / f"{name}.onnx") for name in ("bright", "light")}
        placement = PlacementFile(digests=digests, cloud_memory_bytes=None, expected_agreement=1.0, devices=classes)
        placement.save(tmp_path / "p.json")
        values = {"name": "d", "source": "0", "coordinator": "h:1", "placement": tmp_path / "p.json"}
        return DeviceConfig.model_validate({**values, "local": tiny_models, **settings})

    return make


def test_the_class_says_what_runs_here_and_what_travels(placed_config, tiny_models):
    classes = {"door": DOOR, "yard": YARD}
    door = apply_placement(placed_config(classes, device_class="door"))
    assert (door.local, door.local_models, door.send, door.device_class) == (
        tiny_models,
        ("bright",),
        "outputs",
        "door",
    )
    yard = apply_placement(placed_config(classes, name="yard"))
    assert (yard.local, yard.local_models, yard.send, yard.device_class) == (None, (), "frames", "yard")
    assert apply_placement(placed_config({"door": DOOR})).device_class == "door"
    plain = DeviceConfig(name="d", source="0", coordinator="h:1")
    assert apply_placement(plain) is plain


def test_a_placement_that_cannot_be_carried_out_is_refused(placed_config):
    for classes, settings, text in (
        ({"door": DOOR, "yard": YARD}, {}, "'d'; the placement has door, yard"),
        ({"door": DOOR}, {"local": None}, "class 'door' runs bright: give their folder as `local`"),
        ({"idle": IDLE}, {}, "class 'idle' runs nothing and sends nothing"),
    ):
        with pytest.raises(InvalidInput, match=text):
            apply_placement(placed_config(classes, **settings))


def test_another_file_of_a_model_is_told_from_the_one_that_was_planned_with(placed_config):
    given = placed_config({"door": DOOR})
    placement = PlacementFile.load(given.placement)
    placement.model_copy(update={"digests": {**placement.digests, "bright": "0" * 16}}).save(given.placement)
    with pytest.raises(InvalidInput, match=r"bright.onnx: has digest \w+, but .*p.json was planned for 0{16}"):
        apply_placement(given)


def test_the_default_file_s_governor_is_valid_and_is_the_default(tmp_path):
    path = tmp_path / "device.toml"
    table = DEFAULT_TOML[DEFAULT_TOML.index("# [governor]") :].split("\n\n")[0]
    path.write_text(DEFAULT_TOML + "\n" + table.replace("\n# ", "\n").removeprefix("# ").replace("accuracy = 0.8", ""))
    found = load_config(path).governor
    # What is written there is the figure for a small board.
    assert found == GovernorSettings(temperature_c=75.0)
    assert all(f"{key} = " in table for key in GovernorSettings.model_fields)


def test_a_stream_s_governor_has_no_limits_of_its_own(tmp_path):
    path = tmp_path / "device.toml"
    text = 'name = "porch"\ncoordinator = "127.0.0.1:1"\n[governor]\ntemperature_c = 60.0\n'
    text += '[streams.door]\nsource = "a.mp4"\n'
    path.write_text(text + "[streams.door.governor]\nevery = 5\n")
    config = load_config(path)
    assert (config.governor.temperature_c, config.by_stream()["door"].governor.every) == (60.0, 5)
    path.write_text(text + "[streams.door.governor]\ntemperature_c = 50.0\n")
    with pytest.raises(InvalidInput, match=r"streams.door.governor.temperature_c: is the whole device's"):
        load_config(path)
