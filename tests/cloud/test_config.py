"""The coordinator's TOML: every mistake names the file and the key."""

import tomllib

import pytest
from infilink.cloud.config import CloudConfig, load_config
from infilink.cloud.default_toml import DEFAULT_TOML
from infilink.cloud.model_config import execution
from infilink.errors import InvalidInput
from infilink.models.providers import CPU, Execution


def test_the_default_file_is_valid_and_names_every_key(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_text(DEFAULT_TOML)
    config = load_config(path)
    assert config == CloudConfig(models=tmp_path / "my_models", ledger=tmp_path / "ledger.sqlite")
    names = {line.removeprefix("# ").split(" = ")[0] for line in DEFAULT_TOML.splitlines() if " = " in line}
    assert set(CloudConfig.model_fields) <= names | {"weights", "model", "pictures", "mqtt", "webhook"}
    assert set(tomllib.loads(DEFAULT_TOML)) <= set(CloudConfig.model_fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "models: Field required"),
        ('models = "m"\nbugdet = "1GiB"', "bugdet.*keys:.*budget"),
        ('models = "m"\nbudget = "much"', "budget.*40%"),
        ('models = "m"\nanswers = "best"', "answers.*'full', 'links' or 'hold'"),
        ('models = "m"\npolicy = "links"', "`policy` is now called `answers`"),
        ('models = "m"\nreselect_s = 60.0', "`reselect_s` is gone: .*`compute`"),
        ('models = "m"\nprofile = 0.1', "`profile` is now `audit`"),
        ('models = "m"\nescalate = 0.1', "`escalate` is gone: .*`compute`"),
        ('models = "m"\ninput_every_s = 0.1', "`input_every_s` is gone"),
        ('models = "m"\ngroups = { a = ["b"] }', "`groups` is gone"),
        ('models = "m"\ncompute = "half"', "compute.*1.5 cores"),
        ('models = "m"\ncompute = "1 core"', "`compute` needs `answers`"),
        ('models = "m"\n[weights]\nstreams = { door = -1.0 }', "weights.*'door' weighs -1"),
        ('models = "m"\n[weights]\nclases = { a = 1.0 }', "weights.clases.*did you mean 'classes'"),
        ('models = "m"\nanswers = "links"', "needs `links`"),
        ('models = "m"\nplacement = "p.json"', "`placement` needs `links`"),
        ('models = "m"\nlinks = "l"\nplacement = "p.json"\nbudget = "1GiB"', "leave `budget` out"),
        ('models = "m"\nlinks = "l"\nplacement = "p.json"\nanswers = "hold"', "leave `answers` out"),
        ('models = "m"\nlisten = "7420"', "listen.*HOST:PORT"),
        ('models = "m"\ntls_cert = "c.pem"', "tls_key.*together"),
        ('models = "m"\ntls_client_ca = "ca.pem"', "`tls_client_ca` needs `tls_cert`"),
        ('models = "m"\ndevice_inputs_per_s = -1.0', "device_inputs_per_s.*greater than or equal to 0"),
        ('models = "m"\ndevice_bytes_per_s = inf', "device_bytes_per_s.*finite"),
        ("models = ", "can't be read as TOML"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=f"c.toml.*{message}"):
        load_config(path)


def test_amounts_may_be_written_with_their_unit(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_text(
        'models = "m"\nwatch_models_s = "2min"\nmax_input_bytes = "16MiB"\n[pictures]\nkeep_bytes = "1GiB"\n'
    )
    config = load_config(path)
    assert (config.watch_models_s, config.max_input_bytes, config.pictures.keep_bytes) == (120.0, 2**24, 2**30)
    path.write_text('models = "m"\nwatch_models_s = "2 moons"\n')
    with pytest.raises(InvalidInput, match=r"watch_models_s: .*2 moons"):
        load_config(path)


def test_no_file_says_how_to_write_one(tmp_path):
    with pytest.raises(InvalidInput, match="infilink init cloud"):
        load_config(tmp_path / "none.toml")


def test_each_place_has_a_budget_and_a_reserve_of_its_own(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_text(
        'models = "m"\nbudget = { host = "4GiB", "cuda:0" = "75%", "cuda:1" = "2GiB" }\n'
        'reserve = { cuda = "512MiB", "cuda:1" = "1MiB" }\n'
    )
    config = load_config(path)
    assert config.host_budget == "4GiB" and load_config(None, {"models": path, "budget": "1GiB"}).host_budget == "1GiB"
    totals = [config.card_budget(f"cuda:{card}", 1000) for card in range(3)]
    assert totals == [750, 2 * 2**30, 1000]
    assert [config.reserve_of(place) for place in ("host", "cuda:0", "cuda:1")] == [64 * 2**20, 512 * 2**20, 2**20]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('budget = { gpu = "1GiB" }', "budget.*'gpu' is no place: host, or a card as cuda:0"),
        ('budget = { host = "much" }', "budget.*'much': write a size"),
        ('reserve = { gpu = "1GiB" }', "reserve.*'gpu' is no place"),
        ('providers = "cuda"', "providers.*must be a list"),
        ('providers = ["gpu"]', "providers.*'gpu' is no provider: cpu, cuda"),
        ("[model.a]\ndevice = -1", r"model.a.device.*greater than or equal to 0"),
        ("[model.a]\nprovider = []", r"model.a.provider: there is no such key"),
    ],
)
def test_what_is_wrong_in_places_providers_and_models_is_named(tmp_path, text, says):
    path = tmp_path / "cloud.toml"
    path.write_text(f'models = "m"\n{text}\n')
    with pytest.raises(InvalidInput, match=says):
        load_config(path)


def test_a_model_runs_as_its_table_says_or_else_as_the_site_does(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_text(
        'models = "m"\nthreads = 2\n[model.a]\nproviders = ["cpu"]\nthreads = 3\npinned = true\n[model.b]\ndevice = 1\n'
    )
    tables = load_config(path).model
    assert (tables["a"].threads, tables["a"].pinned, tables["b"].threads, tables["b"].device) == (3, True, None, 1)
    assert execution(tables["a"], "a", providers=(CPU,), threads=2) == Execution((CPU,), 0, 3)
    assert execution(tables["b"], "b", providers=(CPU,), threads=2).threads == 2
