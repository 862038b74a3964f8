"""Settings from TOML: what is wrong with them is told by file and key."""

from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.settings import Address, ListenAddress, checked, is_loopback, load_settings
from pydantic import BaseModel, ConfigDict


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int = 1
    height: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    file: str = ""
    inner: Inner = Inner()
    each: list[Inner] = []


def load(path: Path | None, **overrides: object) -> Outer:
    def rebased(key: str, value: object, folder: Path) -> object:
        return str(folder / str(value)) if key == "file" else value

    return load_settings(Outer, path, overrides, init="outer", rebased=rebased)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outer.toml"


def test_options_go_before_the_file_and_the_files_paths_start_at_it(path: Path) -> None:
    path.write_text('name = "a"\nfile = "b.onnx"\n')
    assert load(path, name="c", file=None) == Outer(name="c", file=str(path.parent / "b.onnx"))
    assert load(path, file="d.onnx").file == "d.onnx"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nmae = 'a'\n", "outer.toml: name: Field required; nmae: there is no such key; did you mean 'name'?"),
        (
            "name = 'a'\n[inner]\nwidht = 3\n",
            "inner.widht: there is no such key; did you mean 'width'? (keys: width, h",
        ),
        ("name = 'a'\n[inner]\nfar = 3\n", "inner.far: there is no such key (keys: width, height)"),
        ("name = 'a'\n[[each]]\nfar = 3\n", "each.0.far: there is no such key"),
        ("name = 3\n", "name: Input should be a valid string"),
        ("name = ", "outer.toml: can't be read as TOML"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(path: Path, text: str, told: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        load(path)
    assert told in str(caught.value)


def test_no_file_says_how_to_write_one_and_options_alone_are_named(path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"outer.toml: there is no such file \(write one: `infilink init outer`\)"):
        load(path)
    with pytest.raises(InvalidInput, match="the options: name: Field required"):
        load(None)


class Ends(BaseModel):
    connect: Address = "h:1"
    listen: ListenAddress = "h:0"


@pytest.mark.parametrize("good", ["127.0.0.1:7420", "cam.example:1", "[::1]:65535"])
def test_an_address_is_a_host_and_a_port(good: str) -> None:
    assert Ends(connect=good, listen=good).connect == good


@pytest.mark.parametrize("bad", ["7420", "nowhere", "a:99999", "a:", ":1", "a b:1", "::1:7420", "a:1:2", "a:1\n"])
def test_what_is_no_address_is_told_with_an_example(bad: str) -> None:
    for key in Ends.model_fields:
        with pytest.raises(InvalidInput, match=f'here: {key}: must be "HOST:PORT", such as "127.0.0.1:7420", not '):
            checked(Ends, {key: bad}, where="here")


def test_port_0_is_one_to_listen_on_only() -> None:
    assert Ends(listen="[::]:0").listen == "[::]:0"
    with pytest.raises(InvalidInput, match="connect: must be"):
        checked(Ends, {"connect": "h:0"}, where="here")


def test_a_password_before_an_address_is_not_shown() -> None:
    with pytest.raises(InvalidInput, match="not 'camera'") as caught:
        checked(Ends, {"connect": "https://user:hush@camera"}, where="here")
    assert "hush" not in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text('name = "a"\r\n', encoding=encoding)
        assert load(path).name == "a"
    path.write_text('name = "ä"\n', encoding="cp1252")
    with pytest.raises(InvalidInput, match=f"{path.name}: can't be read as TOML: it is not in UTF-8"):
        load(path)


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1:1", True),
        ("127.9.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("192.168.0.1:1", False),
        ("cloud.example:1", False),
    ],
)
def test_who_can_reach_an_address_is_known(address: str, here: bool) -> None:
    assert is_loopback(address) is here
