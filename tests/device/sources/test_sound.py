"""Sound: files whole and in windows, rates that differ or change, streams, and a microphone."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from infilink.device.sources.cut import Cut
from infilink.device.sources.open import open_source
from infilink.device.sources.sound_stream import Arrival
from infilink.errors import InvalidInput, Unavailable

from ...clips import Stream, write_clip
from ...sounds import tone, write_sound


def read(text, **cut):
    with open_source(str(text), cut=Cut(**cut)) as source:
        return source, list(source)


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz"),
    [
        ("a.wav", "pcm_s16le", 8000),
        ("a.flac", "flac", 16000),
        ("a.mp3", "mp3", 44100),
        ("a.opus", "libopus", 48000),
        ("a.m4a", "aac", 48000),
        ("a.ogg", "flac", 22050),
    ],
)
def test_a_file_of_any_kind_is_one_input(tmp_path, name, codec, rate_hz):
    samples = tone(1.0, rate_hz=rate_hz)
    source, (only,) = read(write_sound(tmp_path / name, samples, rate_hz=rate_hz, codec=codec))
    assert source.form.modality == "audio" and source.form.rate_hz == rate_hz
    assert (source.times, source.input_count, only.captured_s) == ("order", 1, 0.0)
    assert only.value.dtype == np.int16 and abs(len(only.value) - rate_hz) < 3000
    spectrum = np.abs(np.fft.rfft(only.value))
    assert np.argmax(spectrum) * rate_hz / len(only.value) == pytest.approx(440, abs=3)
    if codec in ("pcm_s16le", "flac"):
        assert np.array_equal(only.value, samples)


def test_windows_are_the_samples_and_have_the_time_of_their_last_one(tmp_path):
    samples = tone(5.3)
    source, found = read(write_sound(tmp_path / "a.wav", samples), window_s=1.0, stride_s=0.5)
    assert (source.form.window, source.form.stride, source.inputs_per_s, source.times) == (8000, 4000, 2.0, "read")
    assert [each.captured_s for each in found] == pytest.approx([0.5 * n + 7999 / 8000 for n in range(9)])
    assert all(np.array_equal(each.value, samples[4000 * n :][:8000]) for n, each in enumerate(found))


def test_files_are_windowed_each_for_itself_and_ten_seconds_apart(tmp_path, caplog):
    for number in range(2):
        write_sound(tmp_path / f"{number}.wav", np.full(12000, 1000 * (number + 1), np.int16))
    _, found = read(tmp_path, window_s=1.0)
    assert [each.value.tolist() for each in found] == [[1000] * 8000, [2000] * 8000]
    assert found[1].captured_s - found[0].captured_s == pytest.approx(11.5)
    assert not caplog.records, "nothing is wrong with files"


def test_a_higher_rate_is_brought_down_and_a_lower_one_refused(tmp_path, caplog):
    path = write_sound(tmp_path / "a.wav", tone(2.0, rate_hz=48000), rate_hz=48000)
    source, (only,) = read(path, rate_hz=16000)
    assert source.form.rate_hz == 16000 and abs(len(only.value) - 32000) < 100
    assert "has 48000 samples a second: resampled to 16000" in caplog.text
    with pytest.raises(InvalidInput, match="has 48000 samples a second, and `rate_hz` asks for 96000"):
        read(path, rate_hz=96000)


def test_files_of_other_rates_have_the_first_one_s_which_is_said_once(tmp_path, caplog):
    for number, rate_hz in enumerate([16000, 8000, 48000, 8000]):
        write_sound(tmp_path / f"{number}.wav", tone(1.0, rate_hz=rate_hz), rate_hz=rate_hz)
    source, found = read(tmp_path)
    assert source.form.rate_hz == 16000 and all(abs(len(each.value) - 16000) < 100 for each in found)
    said = [record.message for record in caplog.records]
    assert len(said) == 2 and "has 8000 samples a second: resampled to 16000; nothing above 4000 Hz is in it" in said[0]
    assert "has 48000" in said[1]


def test_a_file_that_can_not_be_read_leaves_the_others_alone(tmp_path, caplog):
    write_sound(tmp_path / "1.wav", tone(0.5))
    (tmp_path / "0.wav").write_bytes(b"no sound at all")
    (tmp_path / "2.wav").write_bytes((tmp_path / "1.wav").read_bytes()[:60])
    write_sound(tmp_path / "3.wav", tone(0.5))
    _, found = read(tmp_path)
    assert [each.sequence for each in found][:2] == [0, 1] and len(found) in (2, 3)
    assert "left out" in caplog.text and "0.wav" in caplog.text
    with pytest.raises(InvalidInput, match=r"0\.wav: not a sound that can be read"):
        read(tmp_path / "0.wav")
    with pytest.raises(InvalidInput, match="holds no sound"):
        read(f"sound:{write_clip(tmp_path / 'v.mp4', frames=3)}")


def test_a_window_longer_than_all_there_is_says_so(tmp_path):
    path = write_sound(tmp_path / "a.wav", tone(0.5))
    with pytest.raises(InvalidInput, match=r"a\.wav: a window of 16000 \(2 s\) is longer than .* 4000 \(0\.5 s\)"):
        read(path, window_s=2.0)


def test_a_stream_s_sound_is_in_windows_without_holes_whenever_it_arrives(tmp_path, caplog):
    path = write_sound(tmp_path / "a.ts", tone(3.0, rate_hz=48000), rate_hz=48000, codec="mp2")
    with Stream(path.read_bytes()) as stream:
        with pytest.raises(InvalidInput, match="live sound has no end: cut it into windows"):
            open_source(f"sound:{stream.address}")
        found = []
        with (
            open_source(f"sound:{stream.address}", cut=Cut(window_s=0.5, rate_hz=16000)) as source,
            pytest.raises(Unavailable, match="the sound ended"),
        ):
            found.extend(iter(source))
    assert 4 <= len(found) <= 6 and all(len(each.value) == 8000 for each in found)
    assert "nothing for" not in caplog.text and "go back" not in caplog.text


def test_pieces_that_jitter_are_evenly_apart_and_what_is_lost_begins_anew():
    arrival = Arrival(1000.0)
    assert arrival.of(100, 50.0) == 50.0 and arrival.anew
    assert arrival.of(100, 50.13) == pytest.approx(50.1, abs=1e-3) and not arrival.anew
    assert arrival.of(100, 50.2) == pytest.approx(50.2, abs=1e-3)
    assert arrival.of(100, 50.25) == 50.25, "it can't have been captured after it came"
    assert arrival.of(100, 55.0, known=True) == pytest.approx(50.35, abs=0.01) and not arrival.anew, "it was held up"
    assert arrival.of(100, 56.0) == 56.0 and arrival.anew
    arrival.restart()
    assert arrival.of(100, 56.1) == 56.1 and arrival.anew


def test_a_slower_clock_is_followed():
    arrival = Arrival(1000.0)
    for piece in range(20_000):
        arrived_s = piece * 0.1 * 1.0002
        assert abs(arrival.of(100, arrived_s) - arrived_s) < 0.05
        assert arrival.anew == (not piece)


@pytest.mark.skipif(sys.platform != "linux", reason="microphones are read by ALSA")
def test_a_microphone_gives_windows(tmp_path):
    (tmp_path / "in.raw").write_bytes(tone(5.0, rate_hz=16000).tobytes())
    (tmp_path / "asound.conf").write_text(
        "pcm.nothing { type null }\n"
        f'pcm.mic {{ type file; slave.pcm nothing; file /dev/null; infile "{tmp_path}/in.raw"; format raw }}\n'
    )
    program = (
        "from infilink.device.sources.open import open_source\nfrom infilink.device.sources.cut import Cut\n"
        "with open_source('alsa:mic', cut=Cut(window=400, rate_hz=16000)) as source:\n"
        "    taken = next(iter(source))\n"
        "    print(source.live, source.form.rate_hz, taken.value.shape, taken.value.dtype)\n"
    )
    environment = {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf"), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "True 16000.0 (400,) int16\n", done.stderr


def test_sounds_that_come_later_are_taken_once_they_are_whole(tmp_path, caplog):
    write_sound(tmp_path / "0.wav", tone(0.25))
    with caplog.at_level(logging.WARNING), open_source(str(tmp_path), cut=Cut(watch=True, rate_hz=8000)) as source:
        sounds = iter(source)
        assert source.live and len(next(sounds).value) == 2000
        write_sound(tmp_path / ".1.wav", tone(0.5))
        (tmp_path / ".1.wav").rename(tmp_path / "1.wav")
        assert len(next(sounds).value) == 4000
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no sound is there yet: give the `rate_hz`"):
        open_source(f"sound:{tmp_path / 'empty'}", cut=Cut(watch=True))
