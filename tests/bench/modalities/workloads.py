"""What the modalities' benchmark is run on: six kinds of inputs, a real model for each, what is learnt from and later.

The models are trained on the first part of the data by its labels, recorded on the next, and judged on the last, which
is later or drawn; needs the data folder of tests/real.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from infilink.examples.datasets import digits, motion
from infilink.examples.datasets.learner import accuracy, save, shares, train
from infilink.outputs import Array
from infilink.traces.trace import Trace
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from real.data import find_data, link_models

DETECTOR = "yolox_nano_416x416"
PERSON = "yolox_nano"
# Of the detector: its last tensor that everything flows through, 64 x 52 x 52.
CUT = "781"
LOBBY_FPS, LOBBY_FRAMES = 10.0, 1394
_FRAMES, _STEP, _SIDE = 8, 2, 64
_TOKENS, _WORDS = 64, 6000


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes:
        name: of it.
        models: the folder that the coordinator serves.
        learn: the options of `infilink record` for the part to learn from.
        live: likewise, and of `infilink device`, for the part that comes later.
        model: whose outputs count.
        rule: what is redundant.
        timed: whether its inputs have times, so that there are events.
        device: more options of `infilink device`.
        learnt: the trace to learn from, where it is not what `learn` records.
    """

    name: str
    models: Path
    learn: Sequence[str]
    live: Sequence[str]
    model: str
    rule: str
    timed: bool = True
    device: Sequence[str] = ()
    learnt: Path | None = None
    judged: Path | None = None


def command(*args: object) -> str:
    """What an infilink command prints."""
    called = [sys.executable, "-m", "infilink.cli", *map(str, args)]
    done = subprocess.run(called, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"infilink {' '.join(map(str, args))}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def make(folder: Path, wanted: Sequence[str] = ()) -> list[Workload]:
    """The workloads that are wanted (all), by parts of their names, prepared once in `folder`."""
    data = find_data()
    if data is None:
        return []
    makers: dict[str, Callable[[Path, Path], Workload]] = {
        "spoken digits, 5 to 9": _digits,
        "wrist, not walking": _wrist,
        "SMS, not spam": _sms,
        "sentiment, negative": _sentiment,
        "lobby at a cut, no person": _maps,
        "lobby in windows, no person": _windows,
    }
    found = []
    for name, maker in makers.items():
        if not wanted or any(part in name for part in wanted):
            place = folder / name.replace(" ", "_").replace(",", "")
            place.mkdir(parents=True, exist_ok=True)
            found.append(maker(data, place))
    return found


def _digits(data: Path, folder: Path) -> Workload:
    if not (folder / "live").is_dir():
        digits.prepare(data / "audio" / "spoken_digits", folder)
    learn, live = (("--source", str(folder / part)) for part in ("learn", "live"))
    rule = "label in (5, 6, 7, 8, 9)"
    return Workload("spoken digits, 5 to 9", folder / "models", learn, live, "digit", rule, timed=False)


def _wrist(data: Path, folder: Path) -> Workload:
    if not (folder / "live.csv").is_file():
        motion.prepare(data / "sensor" / "wrist_motion", folder)
    cut = ("--window", "4s", "--stride", "2s")
    learn, live = (("--source", str(folder / f"{part}.csv"), *cut) for part in ("learn", "live"))
    rule = f"label not in ({', '.join(motion.WALKS)})"
    return Workload("wrist, not walking", folder / "models", learn, live, "activity", rule)


def _sms(data: Path, folder: Path) -> Workload:
    lines = (data / "text" / "sms_spam.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [(text, label) for label, _, text in (line.partition("\t") for line in lines)]
    parts = [rows[part] for part in shares(len(rows), 0.40, 0.36, 0.24)]
    return _texts("SMS, not spam", folder, parts, "spam", "label in (ham)")


def _sentiment(data: Path, folder: Path) -> Workload:
    def read(name: str) -> list[tuple[str, str]]:
        lines = (data / "text" / name).read_text(encoding="utf-8").splitlines()
        return [(text, label) for text, _, label in (line.rpartition("\t") for line in lines)]

    rows, later = read("sst2_train.tsv"), read("sst2_dev.tsv")
    return _texts("sentiment, negative", folder, [rows[:4000], rows[4000:], later], "sentiment", "label in (0)")


class ReadingNetwork(nn.Module):
    """Embedded words, their mean and most."""

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 48, padding_idx=0)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(96, classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        seen = self.words(ids)
        there = (ids != 0).unsqueeze(2).to(seen.dtype)
        mean = (seen * there).sum(1) / there.sum(1).clamp(min=1.0)
        most = (seen - 1e3 * (1.0 - there)).amax(1)
        return self.head(self.drop(torch.cat((mean, most), dim=1)))


def _texts(name: str, folder: Path, parts: list[list[tuple[str, str]]], model: str, rule: str) -> Workload:
    """Lines of text, and a model that reads them by a tokenizer of its own."""
    if not (folder / "live.txt").is_file():
        import tokenizers
        from tokenizers.models import WordLevel
        from tokenizers.normalizers import Lowercase
        from tokenizers.pre_tokenizers import Whitespace
        from tokenizers.trainers import WordLevelTrainer

        tokenizer = tokenizers.Tokenizer(WordLevel(unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
        trainer = WordLevelTrainer(vocab_size=_WORDS, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
        tokenizer.train_from_iterator((text for text, _ in parts[0]), trainer)
        tokenizer.enable_truncation(_TOKENS)
        tokenizer.enable_padding(length=_TOKENS)
        ids = [np.asarray([each.ids for each in tokenizer.encode_batch([text for text, _ in part])]) for part in parts]
        classes = sorted({label for _, label in parts[0]})
        labels = [[classes.index(label) for _, label in part] for part in parts]
        network = train(partial(ReadingNetwork, tokenizer.get_vocab_size(), len(classes)), ids[0], labels[0], epochs=12)
        print(f"{model}: right on {accuracy(network, ids[2], labels[2]):.3f} of the texts that come later")
        spec = {
            "name": model,
            "input": {"modality": "text", "length": _TOKENS, "padded": True},
            "output": {"kind": "label", "classes": classes},
            "decoder": {"name": "softmax"},
        }
        (folder / "models").mkdir(exist_ok=True)
        tokenizer.no_padding()
        tokenizer.save(str(folder / "models" / "tokenizer.json"))
        save(network, folder / "models" / f"{model}.onnx", example=ids[0][:1], spec=spec)
        for part, rows in (("learn", parts[1]), ("live", parts[2])):
            (folder / f"{part}.txt").write_text("\n".join(text for text, _ in rows) + "\n", encoding="utf-8")
    learn, live = (("--source", str(folder / f"{part}.txt")) for part in ("learn", "live"))
    return Workload(name, folder / "models", learn, live, model, rule, timed=False)


def _lobby(data: Path, folder: Path) -> tuple[Path, Path]:
    """The clip, and a trace of the detector on it."""
    clip, trace = data / "video" / "lobby_person.mp4", folder / "pictures.trace"
    if not trace.is_file():
        models = link_models(data, folder / "detector", [DETECTOR])
        command("record", "--source", clip, "--models", models, "--out", trace)
    return clip, trace


def _maps(data: Path, folder: Path) -> Workload:
    """A detector in two parts: maps of its first part are learnt from and sent; every second frame."""
    clip, whole = _lobby(data, folder)
    parts, learn = folder / "parts", folder / "learn.trace"
    half_s = 0.6 * LOBBY_FRAMES / LOBBY_FPS
    if not (folder / "live.trace").is_file():
        detector = folder / "detector" / f"{DETECTOR}.onnx"
        command("split", detector, "--at", CUT, "--out", parts, "--trace", whole)
        for name, extra in (("learn", ("--seconds", half_s)), ("live", ("--start", half_s))):
            pictures = folder / f"{name}.pictures"
            models = folder / "detector"
            command("record", "--source", clip, "--models", models, "--every", 2, *extra, "--out", pictures)
            command("split", detector, "--at", CUT, "--features", pictures, "--out", folder / f"{name}.trace")
    head = next(parts.rglob("*head*.onnx"))
    tail = next(parts.rglob("*tail*/*.onnx"), None) or next(each for each in parts.rglob("*.onnx") if each != head)
    live = ("--source", str(clip), "--every", "2", "--start", str(half_s))
    return Workload(
        "lobby at a cut, no person",
        tail.parent,
        (),
        live,
        PERSON,
        "count(person) == 0",
        device=("--head", str(head)),
        learnt=learn,
        judged=folder / "live.trace",
    )


class WatchingNetwork(nn.Module):
    """A clip's frames as channels, and four convolutions."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3 * _FRAMES, 16, 24, 32, 48)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(48, 2)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(clip.flatten(1, 2)).mean((2, 3)))


def _windows(data: Path, folder: Path) -> Workload:
    """Windows of .8 s, and a model that says whether somebody is there, as a detector taught it."""
    clip, whole = _lobby(data, folder)
    ends = [round(share * LOBBY_FRAMES) / LOBBY_FPS for share in (0.4, 0.75)]
    if not (folder / "models" / "watch.onnx").is_file():
        import cv2

        with Trace(whole) as trace:
            frames = [cv2.resize(frame, (_SIDE, _SIDE)) for frame in trace.frames()]
            there = [bool((boxes[:, 5] == 0).any()) for boxes in trace.outputs(PERSON)]
        starts = range(0, round(ends[0] * LOBBY_FPS) - _FRAMES, _STEP)
        inputs = np.stack([_clip_of(frames, start) for start in starts])
        network = train(WatchingNetwork, inputs, [int(there[start + _FRAMES - 1]) for start in starts], epochs=12)
        later = range(round(ends[1] * LOBBY_FPS), len(frames) - _FRAMES, _STEP)
        wanted = [int(there[start + _FRAMES - 1]) for start in later]
        print(f"watch: right on {accuracy(network, np.stack([_clip_of(frames, s) for s in later]), wanted):.3f}")
        spec = {
            "name": "watch",
            "input": {
                "modality": "video",
                "size": [_SIDE, _SIDE],
                "frames": _FRAMES,
                "layout": "NTCHW",
                "color": "BGR",
                "mean": [0],
                "std": [255],
            },
            "output": {"kind": "label", "classes": ["nobody", "somebody"]},
            "decoder": {"name": "softmax"},
        }
        (folder / "models").mkdir(exist_ok=True)
        save(network, folder / "models" / "watch.onnx", example=inputs[:1], spec=spec)
    cut = ("--source", str(clip), "--window", str(_FRAMES), "--stride", str(_STEP))
    learn = (*cut, "--start", str(ends[0]), "--seconds", str(ends[1] - ends[0]))
    live = (*cut, "--start", str(ends[1]))
    return Workload("lobby in windows, no person", folder / "models", learn, live, "watch", "label in (nobody)")


def _clip_of(frames: list[Array], start: int) -> Array:
    taken = np.stack(frames[start : start + _FRAMES]).transpose(0, 3, 1, 2)
    return taken.astype(np.float32) / np.float32(255)


def said_by(text: str) -> dict[str, object]:
    """The JSON object that a command printed."""
    found: dict[str, object] = json.loads(text)
    return found
