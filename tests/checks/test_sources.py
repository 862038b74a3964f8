"""What every source must do, found by the classes in `infilink.device.sources`; `OPENED` opens one of each."""

import importlib
import inspect
import json
import os
import pkgutil
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import infilink.device.sources
import numpy as np
import pytest
from infilink.device.sources.base import Source
from infilink.device.sources.cut import Cut
from infilink.device.sources.names import KINDS, named
from infilink.device.sources.open import open_source
from infilink.errors import InfilinkError

from ..broker import Broker, broker_or_skip
from ..clips import Stream, write_clip
from ..sounds import tone, write_sound

COUNT = 12
"""How many inputs each source has at least."""
SHOTS = 3


@dataclass
class World:
    """Where the sources are, one of each.

    Attributes:
        folder: files of each kind.
        closing: closes what was opened for a source.
    """

    folder: Path
    closing: ExitStack = field(default_factory=ExitStack)

    def at(self, name: str) -> str:
        return str(self.folder / name)

    def stream(self) -> str:
        content = (self.folder / "v.ts").read_bytes()
        return self.closing.enter_context(Stream(content)).address

    def sound_stream(self) -> str:
        return f"sound:{self.closing.enter_context(Stream((self.folder / 's.ts').read_bytes())).address}"

    def pipe(self) -> str:
        """A pipe that has a name, into which lines are written as long as somebody reads."""
        path = self.folder / f"pipe{threading.get_ident()}"
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        self._writes(lambda: path.open("wb", buffering=0), b'{"text": "hello"}\n')
        return f"jsonl:{path}"

    def serial(self) -> str:
        """A port that gives rows as long as somebody reads."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.closing.callback(os.close, theirs)
        self._writes(lambda: os.fdopen(ours, "wb", buffering=0), b"1,2\n")
        return f"serial:{os.ttyname(theirs)}"

    def topic(self) -> str:
        """A topic that somebody publishes to all the time."""
        broker = self.closing.enter_context(Broker())
        broker.publish_on_and_on(b'{"x": 1, "y": 2}')
        return broker.address

    def _writes(self, opening: Callable[[], object], line: bytes) -> None:
        ended = threading.Event()

        def write() -> None:
            try:
                with opening() as file:
                    while not ended.wait(0.002):
                        file.write(line)
            except OSError:
                return  # Nobody reads any more.

        self.closing.callback(ended.set)
        threading.Thread(target=write, daemon=True).start()


OPENED: dict[str, Callable[[World], Source]] = {
    "DecodedSource of a video": lambda w: open_source(w.at("v.ts")),
    "DecodedSource by its address": lambda w: open_source((w.folder / "v.ts").as_uri()),
    "DecodedSource from its middle": lambda w: open_source(w.at("v.ts"), start_s=0.5),
    "DecodedSource in a loop": lambda w: open_source(w.at("v.ts"), loop=True),
    "DecodedSource of a stream": lambda w: open_source(w.stream()),
    "DecodedSource of pictures": lambda w: open_source(w.at("shots")),
    "DecodedSource of sounds": lambda w: open_source(w.at("sounds")),
    "WindowedSource of a video": lambda w: open_source(w.at("v.ts"), cut=Cut(window=4, stride=1)),
    "WindowedSource of a stream": lambda w: open_source(w.stream(), cut=Cut(window=4, stride=1)),
    "WindowedSource of sounds": lambda w: open_source(w.at("sounds"), cut=Cut(window_s=0.1)),
    "WindowedSource of a sound stream": lambda w: open_source(w.sound_stream(), cut=Cut(window_s=0.1)),
    "RecordSource of recordings": lambda w: open_source(w.at("walks")),
    "RecordSource of windows": lambda w: open_source(w.at("walk.csv"), cut=Cut(window_s=1.0, stride_s=0.1)),
    "RecordSource at a lower rate": lambda w: open_source(w.at("walk.csv"), cut=Cut(window=8, stride=1, rate_hz=8.0)),
    "RecordSource of texts": lambda w: open_source(w.at("texts.txt")),
    "RecordSource of a column": lambda w: open_source(f"text:{w.at('texts.tsv')}", cut=Cut(text_column="1")),
    "RecordSource of JSON lines": lambda w: open_source(
        w.at("both.jsonl"), cut=Cut(channels=("x",), text_column="say")
    ),
    "RecordSource of a pipe": lambda w: open_source(w.pipe()),
    "RecordSource of a port": lambda w: open_source(w.serial(), cut=Cut(window=4, stride=2)),
    "RecordSource of a topic": lambda w: open_source(w.topic()),
    "PythonSource of code": lambda w: open_source(f"call({w.at('code.py')}:pictures)"),
    "PythonSource of windows": lambda w: open_source(
        f"call({w.at('code.py')}:chunks)", cut=Cut(window=10, rate_hz=100.0, channels=("x", "y"))
    ),
    "PythonSource that is live": lambda w: open_source(f"call({w.at('code.py')}:now)"),
    "JoinedSource": lambda w: open_source(f"join(heard={w.at('sounds')}, said={w.at('texts.txt')})"),
    "StretchedSource from its middle": lambda w: open_source(w.at("texts.txt"), start_s=3.0),
    "StretchedSource in a loop": lambda w: open_source(w.at("shots"), loop=True),
}
MISSING = {
    "DecodedSource": lambda folder: str(folder / "none.avi"),
    "DecodedSource by its address": lambda folder: (folder / "none.avi").as_uri(),
    "DecodedSource of a stream": lambda _: "tcp://127.0.0.1:1",
    "DecodedSource of a sound": lambda folder: str(folder / "none.wav"),
    "DecodedSource of pictures": lambda folder: f"images:{folder / 'none'}",
    "WindowedSource of a microphone": lambda _: "alsa:none-of-this-name",
    "RecordSource of recordings": lambda folder: str(folder / "none.csv"),
    "RecordSource of a port": lambda folder: f"serial:{folder / 'none'}",
    "RecordSource of a topic": lambda _: "mqtt://127.0.0.1:1/none",
    "PythonSource": lambda folder: f"call({folder / 'none.py'}:f)",
    "JoinedSource": lambda folder: f"join(a={folder / 'none.txt'}, b={folder / 'none.txt'})",
    "StretchedSource": lambda folder: str(folder / "none.txt"),
}
"""The name of a source that is not there."""

CODE = """
import numpy as np

def pictures():
    for number in range(12):
        yield number / 10, np.full((8, 6, 3), number, np.uint8)

def chunks():
    for number in range(40):
        yield np.ones((7, 2), np.float32)

def now():
    while True:
        yield "hello"

now.live = True
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write_clip(folder / "v.ts", frames=COUNT + SHOTS, bf="0")
    write_sound(folder / "s.ts", tone(2.0, rate_hz=48000), rate_hz=48000, codec="mp2")
    for name in ("sounds", "walks", "shots"):
        (folder / name).mkdir()
    for number in range(COUNT):
        write_sound(folder / "sounds" / f"{number}.wav", tone(0.2 + 0.01 * number))
        cv2.imwrite(str(folder / "shots" / f"{number}.png"), np.full((8, 6, 3), number, np.uint8))
        (folder / "walks" / f"{number}.csv").write_text("x,y\n" + "1,2\n" * (5 + number))
    rows = [f"{number / 32},{number % 7},{number % 5}" for number in range(300)]
    (folder / "walk.csv").write_text("\n".join(["time_s,x,y", *rows]))
    (folder / "texts.txt").write_text("".join(f"line {number}\n" for number in range(COUNT)))
    (folder / "texts.tsv").write_text("".join(f"ham\tline {number}\n" for number in range(COUNT)))
    lines = [{"t": number, "x": [1, 2, 3], "say": f"line {number}"} for number in range(COUNT)]
    (folder / "both.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / "code.py").write_text(CODE)
    return folder


@pytest.fixture(params=OPENED)
def source(request, folder) -> Iterator[Source]:
    if "topic" in request.param:
        broker_or_skip()
    world = World(folder)
    with world.closing, OPENED[request.param](world) as opened:
        yield opened


def sources() -> set[str]:
    """The names of all classes that give inputs and can be closed."""
    path, name = infilink.device.sources.__path__, infilink.device.sources.__name__
    modules = [importlib.import_module(f"{name}.{each.name}") for each in pkgutil.iter_modules(path)]
    found = [each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)]
    return {each.__name__ for each in found if {"__iter__", "close"} <= vars(each).keys() and each is not Source}


def test_every_source_is_checked():
    assert {name.partition(" ")[0] for name in OPENED} == {name.partition(" ")[0] for name in MISSING} == sources()


def test_every_kind_that_is_listed_is_checked(folder):
    (folder / "none.ndjson").touch()
    checked = {named(missing(folder)).kind for missing in MISSING.values()} | {"jsonl"}
    # There is no camera here.
    assert checked | {"camera"} == {kind.name for kind in KINDS}


def test_inputs_are_numbered_without_gaps_and_their_times_never_go_back(source):
    taken = list(islice(source, COUNT // 2))
    assert len(taken) == COUNT // 2
    numbers = [each.sequence for each in taken]
    assert numbers == list(range(numbers[0], numbers[0] + len(taken))) and numbers[0] >= 0
    times = np.asarray([each.captured_s for each in taken])
    assert (np.diff(times) >= 0).all() and np.isfinite(times).all()
    assert all((each.source_s is None) == source.live for each in taken)
    if source.times == "order":
        assert times.tolist() == numbers


def test_an_input_is_of_the_form_that_the_source_says_and_an_array_of_its_own(source):
    taken = list(islice(source, 3))
    before = [each.value.copy() for each in taken]
    for each in taken:
        source.form.check(each.value)
        assert each.value.flags.c_contiguous and each.value.dtype.kind in "uifV"
    next(iter(source))
    assert all(np.array_equal(each.value, kept) for each, kept in zip(taken, before, strict=True))
    assert not np.shares_memory(taken[0].value, taken[1].value)


def test_it_says_what_it_is(source):
    assert source.name and source.inputs_per_s > 0
    assert source.input_count is None or 0 < source.input_count <= COUNT + SHOTS
    assert source.times in ("read", "order") and not (source.live and source.times == "order")


def test_it_closes_twice_and_gives_nothing_more(source):
    next(iter(source))
    source.close()
    source.close()
    with pytest.raises((StopIteration, InfilinkError)):
        next(iter(source))


@pytest.mark.parametrize("kind", MISSING)
def test_what_is_not_there_is_one_line_that_names_it(kind, tmp_path):
    name = MISSING[kind](tmp_path)
    cut = Cut(window=10) if "microphone" in kind else Cut()
    with pytest.raises(InfilinkError) as raised:
        open_source(name, cut=cut)
    shown = name if kind != "JoinedSource" else str(tmp_path / "none.txt")
    assert shown.partition(":")[2] in str(raised.value) and "\n" not in str(raised.value)
