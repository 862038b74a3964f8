"""Sources made of others: windows of video, parts of recordings, sources side by side, and what programs give."""

import logging

import numpy as np
import pytest
from infilink.device.sources.cut import Cut
from infilink.device.sources.open import open_source
from infilink.device.sources.windowed import Chosen
from infilink.errors import InvalidInput

from ...clips import brightness, write_clip
from ...sounds import tone, write_sound


def read(text, *, start_s=0.0, seconds=None, loop=False, **cut):
    with open_source(text, start_s=start_s, seconds=seconds, loop=loop, cut=Cut(**cut)) as source:
        return source, list(source)


def levels(window):
    return [float(frame.mean()) for frame in window]


def test_clips_are_the_frames_that_there_are_with_the_time_of_their_last(video):
    source, clips = read(str(video), window=8, stride=4)
    assert source.form.modality == "video" and source.form.rate_hz == 0 and source.inputs_per_s == 2.5
    assert [clip.captured_s for clip in clips] == pytest.approx([(7 + 4 * n) / 10 for n in range(6)])
    assert [clip.sequence for clip in clips] == list(range(6))
    assert levels(clips[1].value) == pytest.approx([brightness(n) for n in range(4, 12)], abs=8)


def test_frames_of_clips_are_chosen_by_a_rate(video):
    source, clips = read(str(video), window_s=1.0, rate_hz=5.0)
    assert source.form.rate_hz == 5 and source.form.window == 5 and len(clips) == 3
    assert levels(clips[0].value) == pytest.approx([brightness(n) for n in range(0, 10, 2)], abs=8)
    with pytest.raises(InvalidInput, match="has 10 frames a second, and `rate_hz` asks for 25"):
        read(str(video), window=4, rate_hz=25.0)
    with pytest.raises(InvalidInput, match="use `every`"):
        read(str(video), rate_hz=5.0)


@pytest.mark.parametrize(("rate_hz", "fps"), [(3.0, 10.0), (7.0, 30.0), (9.9, 10.0), (25.0, 29.97)])
def test_so_many_are_chosen_as_are_asked_for_as_evenly_as_it_goes(rate_hz, fps):
    chosen = Chosen(rate_hz, fps, 1.0)
    times = [number / fps for number in range(3000)]
    taken = [time for time in times if chosen.take(time)]
    assert len(taken) == pytest.approx(3000 / fps * rate_hz, abs=2)
    assert np.abs(np.array(taken) - np.arange(len(taken)) / rate_hz).max() <= 0.51 / fps


def test_a_clip_that_has_no_room_is_refused_and_one_that_is_too_long_too(tmp_path):
    big = write_clip(tmp_path / "big.mp4", frames=3, size=(1920, 1088))
    with pytest.raises(InvalidInput, match="a window of 100 frames of 1920x1088 is more than 256 MiB"):
        read(str(big), window=100)
    with pytest.raises(InvalidInput, match=r"a window of 4 .* is longer than all there is at a stretch, 3"):
        read(str(big), window=4)


def test_clips_of_a_loop_do_not_reach_over_its_end(video):
    with open_source(str(video), loop=True, cut=Cut(window=20)) as source:
        clips = [clip for clip, _ in zip(source, range(3), strict=False)]
    assert all(levels(clip.value)[0] == pytest.approx(brightness(0), abs=8) for clip in clips)
    assert [clip.source_s for clip in clips] == pytest.approx([1.9] * 3)
    assert [clip.captured_s for clip in clips] == pytest.approx([1.9, 4.9, 7.9])


def texts(folder, *lines):
    path = folder / "a.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_a_part_of_any_recording_keeps_its_numbers_and_times(tmp_path):
    path = texts(tmp_path, *range(10))
    _, found = read(path, start_s=3.0, seconds=4.0)
    assert [(each.sequence, each.captured_s) for each in found] == [(n, float(n)) for n in range(3, 7)]
    with pytest.raises(InvalidInput, match="ends before `start_s` 50"):
        read(path, start_s=50.0)


def test_any_recording_can_begin_again(tmp_path):
    path = texts(tmp_path, "a", "b", "c")
    with open_source(path, loop=True, start_s=1.0) as source:
        found = [each for each, _ in zip(source, range(5), strict=False)]
    assert [each.value.tobytes() for each in found] == [b"b", b"c", b"b", b"c", b"b"]
    assert [each.sequence for each in found] == [1, 2, 3, 4, 5] and [each.captured_s for each in found] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert [each.source_s for each in found] == [1, 2, 1, 2, 1]


def test_sources_are_joined_in_order_until_one_ends(tmp_path, caplog):
    (tmp_path / "s").mkdir()
    for number in range(3):
        write_sound(tmp_path / "s" / f"{number}.wav", tone(0.1 * (number + 1)))
    path = texts(tmp_path, "one", "two", "three", "four")
    with caplog.at_level(logging.WARNING):
        source, found = read(f"join(heard={tmp_path / 's'}, said={path})")
    assert source.form.modality == "audio+text" and list(source.form.parts) == ["heard", "said"]
    assert [each.value["said"].tobytes() for each in found] == [b"one", b"two", b"three"]
    assert [len(each.value["heard"]) for each in found] == [800, 1600, 2400]
    assert "heard ended after 3 inputs, before said" in caplog.text
    with pytest.raises(InvalidInput, match="b is live"):
        read(f"join(a={path}, b=call({tmp_path / 'now.py'}:now))") if _now(tmp_path) else None


def _now(folder):
    (folder / "now.py").write_text("def now():\n    yield 'x'\nnow.live = True\n")
    return True


def test_a_program_gives_any_kind_of_input():
    kinds = {
        "image": np.zeros((4, 4, 3), np.uint8),
        "video": np.zeros((2, 4, 4, 3), np.uint8),
        "audio": np.zeros(10, np.int16),
        "signal": np.zeros((5, 2)),
        "map": np.zeros((8, 2, 2), np.float32),
        "text": "hello",
        "audio+text": {"heard": np.zeros(10, np.float32), "said": "hi"},
    }
    for modality, value in kinds.items():
        source, found = read(iter([value, value]))
        assert source.form.modality == modality and source.times == "order" and len(found) == 2
        source.form.check(found[0].value)


def test_a_program_says_times_and_its_sounds_are_cut_into_windows():
    source, found = read((10.0 + number, np.full((3, 1), number, np.float32)) for number in range(4))
    assert source.times == "read" and [each.captured_s for each in found] == [10, 11, 12, 13]
    samples = tone(3.0)
    source, found = read(np.split(samples, [1000, 1001, 9000]), window_s=1.0, rate_hz=8000)
    assert [np.array_equal(each.value, samples[8000 * n :][:8000]) for n, each in enumerate(found)] == [True] * 3
    frames = (np.full((4, 4, 3), number, np.uint8) for number in range(9))
    source, found = read(frames, window=4, stride=2)
    assert source.form.modality == "video" and [each.value[0, 0, 0, 0] for each in found] == [0, 2, 4]


def test_what_a_program_does_wrong_is_said_in_one_line(tmp_path):
    def fails():
        yield "a"
        raise RuntimeError("no lidar")

    for values, message in (
        (fails(), r"generator: failed after 1 values: RuntimeError\('no lidar'\)"),
        (["a", np.zeros((4, 4, 3), np.uint8)], "list: value 2: text inputs have 1 dimensions"),
        ([1.5], "list: gives float; an input is an array, a text"),
        ([np.zeros((2, 2), np.int64)], r"a value of int64 \(2, 2\) is no input of any kind"),
        ([], "list: gives nothing"),
        ([(2.0, "a"), (1.0, "b")], r"the time 1\.0 of value 2 lies before the last one"),
    ):
        with pytest.raises(InvalidInput, match=message):
            read(values)
    code = tmp_path / "a.py"
    code.write_text("def f():\n    return 5\n\ndef g():\n    1 / 0\n")
    for function, message in (("f", "gives int"), ("g", "the function failed: ZeroDivision"), ("h", "no function 'h'")):
        with pytest.raises(InvalidInput, match=message):
            read(f"call({code}:{function})")
    code.write_text("import nothing_of_this_name")
    with pytest.raises(InvalidInput, match=r"can't be run: ModuleNotFoundError"):
        read(f"call({code}:f)")
    with pytest.raises(InvalidInput, match=r"write call\(FILE\.py:FUNCTION\)"):
        read("call(a.py)")


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("images:.", {"window": 3}),
        ("text:a", {"rate_hz": 5.0}),
        ("a.mp4", {"channels": ("x",)}),
        ("a.wav", {"text_column": "1"}),
        ("rtsp://cam/1", {"watch": True}),
        ("alsa:default", {"time_column": "t"}),
    ],
)
def test_what_does_not_fit_a_source_is_refused(text, cut):
    with pytest.raises(InvalidInput, match=f"`{next(iter(cut))}` is not for a source of this kind"):
        open_source(text, cut=Cut(**cut))
