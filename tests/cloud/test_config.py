"""The coordinator's TOML: every mistake names the file and the key."""

import tomllib

import pytest
from infilink.cloud.config import DEFAULT_TOML, CloudConfig, load_config
from infilink.errors import InvalidInput


def test_the_default_file_is_valid_and_names_every_key(tmp_path):
    path = tmp_path / "cloud.toml"
    path.write_text(DEFAULT_TOML)
    config = load_config(path)
    assert config == CloudConfig(models=tmp_path / "my_models", ledger=tmp_path / "ledger.sqlite")
    names = {line.removeprefix("# ").split(" = ")[0] for line in DEFAULT_TOML.splitlines() if " = " in line}
    assert set(CloudConfig.model_fields) <= names | {"weights"}
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
        ("models = ", "can't be read as TOML"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=f"c.toml.*{message}"):
        load_config(path)


def test_no_file_says_how_to_write_one(tmp_path):
    with pytest.raises(InvalidInput, match="infilink init cloud"):
        load_config(tmp_path / "none.toml")
