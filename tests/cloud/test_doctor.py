"""`infilink doctor` on both sides' configurations: what is wrong, and its exit code."""

import importlib.util
import json
import shutil

import pytest
from infilink.cli import build_app
from infilink.cloud.doctor import check
from infilink.models.doctor_cli import doctor_command

from ..models.inputs.kinds import tokens
from .made import write_number


@pytest.fixture
def write(tmp_path, tiny_models, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_models, tmp_path / "my_models")

    def write(text="", name="cloud.toml", **settings):
        values = {"models": "my_models", "listen": "127.0.0.1:0"} if name == "cloud.toml" else {}
        lines = [f"{key} = {json.dumps(value)}" for key, value in (values | settings).items()]
        (tmp_path / name).write_text("\n".join([*lines, text]) + "\n")
        return tmp_path / name

    return write


def wrong(path):
    return [f"{each.topic}: {each.text}" for each in check(path) if each.state == "wrong"]


def test_a_configuration_that_will_do_has_nothing_wrong(write, capsys):
    assert not wrong(write())
    doctor_command()
    assert "nothing is wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "topic", "says"),
    [
        ("budgets = 3", "config", "did you mean 'budget'"),
        ('budget = "9000GiB"', "budget", "of memory"),
        ('providers = ["cuda"]', "places", "cuda can't be had"),
        ('links = "none"', "links", "none"),
        ('tls_cert = "cert.pem"\ntls_key = "key.pem"', "security", "cert.pem: can't be read"),
    ],
)
def test_what_is_wrong_is_named(write, text, topic, says):
    found = wrong(write(text))
    assert found and all(each.startswith(f"{topic}: ") and says in each for each in found)


def test_it_is_wrong_to_listen_to_other_machines_without_tls_and_token(write):
    (found,) = wrong(write(listen="0.0.0.0:0"))
    assert found.startswith("security: 0.0.0.0:0 can be called by other machines")
    assert not wrong(write("phone = true", listen="0.0.0.0:0")), "both are made at the start"


def test_models_that_are_damaged_or_that_links_were_not_learnt_with_are_told(write, links, tmp_path):
    (tmp_path / "my_models" / "extra.onnx").write_bytes(b"no model")
    assert any("extra.onnx: not an ONNX model" in each for each in wrong(write()))
    write_number(tmp_path / "my_models" / "extra.onnx", 1.0)
    path = write(f'links = "{links}"\nanswers = "links"\n[model.none]\npinned = true')
    told = [each.text for each in check(path)]
    assert "[model.none] is of no model that is there" in told and not wrong(path)
    (tmp_path / "my_models" / "light.onnx").unlink()
    assert any("learnt with light, which is missing" in each for each in wrong(path))


def test_models_of_texts_need_their_package(write, tmp_path, monkeypatch):
    tokens(tmp_path / "my_models")
    assert not wrong(write())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert wrong(write()) == ["models: tokens: need the package tokenizers"]


def test_one_command_looks_at_both_sides_and_says_by_its_exit_code_that_something_is_wrong(write, capsys):
    write()
    path = write(name="device.toml", source="0", coordinator="127.0.0.1:1", gate="filter.onnx")
    path.write_text(f'name = "door"\n{path.read_text()}')
    line = ["doctor", "--json"]
    assert build_app(line)(line, standalone_mode=False) == 1
    told = json.loads(capsys.readouterr().out)
    texts = [each["text"] for each in told["findings"] if each["state"] == "wrong"]
    assert told["wrong"] == len(texts) == 3
    assert texts[0].startswith("camera 0: can't be opened") and texts[1] == "filter.onnx: there is no such file"
    assert texts[2] == "127.0.0.1:1: nobody answers: nothing listens there"
