"""Names of sources of every kind: which one is meant, where it is, and what of it may be shown."""

from pathlib import Path

import pytest
from infilink.device.sources.names import KINDS, Named, is_live, listed, named, parts_of, rebased
from infilink.errors import InvalidInput
from infilink.traces.source_name import without_secrets


@pytest.mark.parametrize(
    ("text", "kind", "rest", "live"),
    [
        ("clip.mp4", "video", "clip.mp4", False),
        ("video:clip.wav", "video", "clip.wav", False),
        ("rtsp://cam/1", "stream", "rtsp://cam/1", True),
        ("0", "camera", "0", True),
        ("/dev/video2", "camera", "/dev/video2", True),
        ("v4l2:/dev/v4l/by-id/cam", "camera", "/dev/v4l/by-id/cam", True),
        ("a.wav", "sound", "a.wav", False),
        ("sound:clip.mp4", "sound", "clip.mp4", False),
        ("sound:rtsp://cam/1", "sound", "rtsp://cam/1", True),
        ("alsa:default", "microphone", "default", True),
        ("walk.csv", "csv", "walk.csv", False),
        ("csv:walk.txt", "csv", "walk.txt", False),
        ("serial:/dev/ttyUSB0?baud=9600", "serial", "/dev/ttyUSB0?baud=9600", True),
        ("e.jsonl", "jsonl", "e.jsonl", False),
        ("-", "jsonl", "-", True),
        ("text:-", "text", "-", True),
        ("notes.txt", "text", "notes.txt", False),
        ("mqtt://u:p@hub/a/+/b", "mqtt", "mqtt://u:p@hub/a/+/b", True),
        ("call(a.py:f)", "call", "a.py:f", False),
        ("join(a=x.wav, b=y.txt)", "join", "a=x.wav, b=y.txt", False),
        ("clips/*.wav", "sound", "clips/*.wav", False),
    ],
)
def test_the_text_says_which_kind_it_is(text, kind, rest, live):
    assert named(text) == Named(kind, rest)
    assert is_live(text) == live


def test_every_kind_of_the_table_can_be_named():
    assert {named(kind.example).kind for kind in KINDS} <= {kind.name for kind in KINDS}
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_a_file_that_is_there_is_a_file_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text:a.wav").touch()
    assert named("text:a.wav") == Named("sound", "text:a.wav") and not is_live("text:a.wav")


def test_a_folder_is_of_the_kind_of_its_files_in_the_order_of_their_names(tmp_path):
    (tmp_path / "more").mkdir()
    for name in ("b10.wav", "b2.wav", "more/a.flac", ".hidden.wav", "README"):
        (tmp_path / name).touch()
    assert named(str(tmp_path)) == Named("sound", str(tmp_path))
    assert [path.name for path in listed("sound", str(tmp_path))] == ["b2.wav", "b10.wav", "a.flac"]
    assert [path.name for path in listed("sound", f"{tmp_path}/b*.wav")] == ["b2.wav", "b10.wav"]
    (tmp_path / "c.csv").touch()
    with pytest.raises(InvalidInput, match=r"several kinds .*csv:"):
        named(str(tmp_path))
    with pytest.raises(InvalidInput, match="holds no files to read"):
        listed("text", str(tmp_path))


def test_recordings_of_a_sensor_may_have_any_ending(tmp_path):
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "1.txt").touch()
    assert [path.name for path in listed("csv", str(tmp_path))] == ["1.txt"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("clip.mp4", "/f/clip.mp4"),
        ("/a/clip.mp4", "/a/clip.mp4"),
        ("csv:walk.txt", "csv:/f/walk.txt"),
        ("0", "0"),
        ("-", "-"),
        ("text:-", "text:-"),
        ("alsa:default", "alsa:default"),
        ("serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("sound:rtsp://cam/1", "sound:rtsp://cam/1"),
        ("mqtt://hub/t", "mqtt://hub/t"),
        ("call(a.py:f)", "call(/f/a.py:f)"),
        ("join(a=x.wav, b=text:y)", "join(a=/f/x.wav, b=text:/f/y)"),
    ],
)
def test_paths_are_seen_from_the_folder_of_the_file_that_names_them(text, seen):
    assert rebased(text, Path("/f")) == seen


@pytest.mark.parametrize("rest", ["a=x", "a=x, a=y", "x, y", "a=, b=y", "1a=x, b=y"])
def test_joined_sources_have_names_of_their_own(rest):
    with pytest.raises(InvalidInput, match="join"):
        parts_of(rest)


def test_passwords_inside_are_not_shown():
    assert without_secrets("sound:rtsp://u:hush@cam/1") == "sound:rtsp://cam/1"
    assert without_secrets("join(a=rtsp://u:hush@cam/1, b=y.txt)") == "join(a=rtsp://cam/1, b=y.txt)"
    assert without_secrets("mqtt://u:hush@hub/t") == "mqtt://hub/t"
    assert without_secrets("csv:walk@home:1.csv") == "csv:walk@home:1.csv"
