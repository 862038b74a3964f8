"""The agent's file while it runs: what is edited is read once, and what is wrong in it is told once."""

import os
from pathlib import Path

import pytest
from infilink.device.settings_file import SettingsFile

GOOD = 'name = "a"\nsource = "0"\ncoordinator = "127.0.0.1:7420"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "device.toml"
    written.write_text(GOOD)
    return written


def test_what_was_not_edited_is_not_read_again(path: Path) -> None:
    file = SettingsFile(path)
    assert file.load().quality == 90 and file.changed() is None
    os.utime(path, ns=(1, 1))
    assert file.changed() is None, "another time, the same text"


def test_an_edit_is_seen_once_and_flags_still_go_before_it(path: Path) -> None:
    file = SettingsFile(path, {"gate": "every:2"})
    file.load()
    path.write_text(GOOD + "quality = 70\n")
    found = file.changed()
    assert found is not None and (found.quality, found.gate) == (70, "every:2")
    assert file.changed() is None


def test_a_broken_edit_is_told_once_and_the_next_good_one_counts(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = SettingsFile(path)
    file.load()
    path.write_text(GOOD + "quality = 0\n")
    assert file.changed() is None and file.changed() is None
    assert len(caplog.messages) == 1
    assert "device.toml: quality: " in caplog.text and "everything goes on as it was" in caplog.text
    path.write_text(GOOD + "quality = 71\n")
    found = file.changed()
    assert found is not None and found.quality == 71


def test_a_file_that_is_away_for_a_while_is_told_and_read_when_it_is_back(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = SettingsFile(path)
    file.load()
    path.unlink()
    assert file.changed() is None and file.changed() is None
    assert len(caplog.messages) == 1 and "there is no such file" in caplog.text
    path.write_text(GOOD + "quality = 72\n")
    found = file.changed()
    assert found is not None and found.quality == 72
