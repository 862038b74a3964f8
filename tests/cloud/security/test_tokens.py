"""The file of tokens: hashes only, 0600, each with what it may do, taken up when it changes."""

import os
from pathlib import Path

import pytest
from infilink.cloud.security.tokens import TokenFile, add_token, read_tokens, remove_token
from infilink.errors import InvalidInput


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def door(path: Path, **options) -> str:
    return add_token(path, "door", **{"scopes": ("device",), "devices": ("door",), "days": None, **options})


def test_a_token_is_known_by_its_hash_and_stands_nowhere(path: Path) -> None:
    token = door(path)
    assert len(token) > 40 and token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    caller = TokenFile(path).of_token(token)
    assert (caller.name, caller.scopes, caller.bindings) == ("door", {"device"}, (("door",),))
    assert TokenFile(path).of_token(token + "x") is None
    assert door(path.with_name("other.toml")) != token


def test_what_is_added_and_removed_is_taken_up_without_a_restart(path: Path, caplog) -> None:
    clock, first = Clock(), door(path)
    file = TokenFile(path, clock=clock)
    caller = file.of_token(first)
    second = add_token(path, "ops", scopes=("operator",), devices=(), days=None)
    assert file.of_token(second) is None, "who guesses has it looked at no more often than twenty times a second"
    clock.now_s = 0.1
    assert not file.is_newer_than(caller), "it is looked at once a second"
    assert file.of_token(second).scopes == {"operator"}, "but for what is not known yet at once"
    assert file.is_newer_than(caller)
    remove_token(path, "door")
    clock.now_s = 4.0
    assert file.of_token(first) is None
    assert not any(record.levelname == "ERROR" for record in caplog.records)


def test_a_file_that_is_being_edited_leaves_what_was_read(path: Path, caplog) -> None:
    clock, token = Clock(), door(path)
    file = TokenFile(path, clock=clock)
    for text in ("not toml", "not toml either"):
        clock.now_s += 2.0
        path.write_text(text)
        assert file.of_token(token) is not None
    path.unlink()
    clock.now_s += 2.0
    assert file.of_token(token) is not None
    assert sum("stay valid" in record.message for record in caplog.records) == 3


def test_a_file_that_others_can_write_is_refused_and_one_they_can_read_is_said(path: Path, caplog) -> None:
    door(path)
    path.chmod(0o644)
    TokenFile(path)
    assert "others on this machine can read it" in caplog.text
    path.chmod(0o666)
    with pytest.raises(InvalidInput, match="others on this machine may write to it: `chmod 600"):
        TokenFile(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[door]\nscopes = ["device"]\ncertificate = "door"', '"device" needs `devices`'),
        ('[door]\nscopes = ["god"]\ncertificate = "door"', "door.scopes"),
        ('[door]\nscopes = ["reader"]', "`sha256`.*or `certificate`"),
        ('[door]\nscopes = ["reader"]\nsha256 = "12"', "door.sha256"),
        ('[door]\nscopes = ["reader"]\ncertificate = "c"\nscope = 1', "door.scope"),
        ('["a\\nb"]\nscopes = ["reader"]\ncertificate = "c"', "a token's name"),
        ("[door", "TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidInput, match=f"tokens.toml.*{message}"):
        read_tokens(path)


def test_a_token_is_called_once_and_by_a_plain_name(path: Path) -> None:
    door(path)
    with pytest.raises(InvalidInput, match="has a token 'door' already"):
        door(path)
    for name in ("", "a\nb", "x" * 101, "a b"):
        with pytest.raises(InvalidInput, match="a token's name"):
            add_token(path, name, scopes=("reader",), devices=(), days=None)
    with pytest.raises(InvalidInput, match=r"has no token 'yard' \(it has: door\)"):
        remove_token(path, "yard")


def test_the_end_of_a_token_is_kept_in_utc(path: Path) -> None:
    door(path, days=1.0)
    entry = read_tokens(path)["door"]
    assert (entry.expires - entry.created).total_seconds() == 86400.0
    assert TokenFile(path).of_token("x") is None
    assert entry.caller("door").expires_s == entry.expires.timestamp()
    written = path.read_text().replace("+00:00", "")
    path.write_text(written)
    os.chmod(path, 0o600)
    assert read_tokens(path)["door"].expires == entry.expires, "a time without a zone is UTC"
