"""Keys of device.toml are set, and all else stays as it was."""

import tomllib

import pytest
from infilink.device.config import DeviceConfig
from infilink.device.default_toml import DEFAULT_TOML
from infilink.device.settings_text import with_settings
from infilink.errors import InvalidInput

SET = {"name": "door", "coordinator": "10.0.0.1:7420", "tls_ca": "coordinator.pem", "token": 'to"ken\\'}


def test_the_file_that_init_writes_keeps_its_comments():
    text = with_settings(DEFAULT_TOML, SET, where="device.toml")
    read = tomllib.loads(text)
    assert read == {**tomllib.loads(DEFAULT_TOML), **SET}
    assert text.count("\n") == DEFAULT_TOML.count("\n"), "each stands where its commented line was"
    DeviceConfig.model_validate(read)


def test_keys_come_above_tables_and_tables_keep_theirs():
    text = '# mine\nsource = "0"\n\n[streams.a]\nname = "not this one"\n'
    assert with_settings(text, {"name": "door"}, where="x") == f'name = "door"\n{text}'
    assert with_settings("", SET, where="x") and tomllib.loads(with_settings("", SET, where="x")) == SET


@pytest.mark.parametrize("text", ["name = [", 'name = """\na\n"""\n', 'mask = [\n[[0, 0]]\n]\n"name" = "a"\n'])
def test_what_can_not_be_changed_so_is_said(text: str):
    with pytest.raises(InvalidInput, match="x: "):
        with_settings(text, {"name": "door"}, where="x")
