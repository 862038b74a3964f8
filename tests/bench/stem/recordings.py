"""Recordings for a stem's benchmarks: clips as all models see them, turned and cut in time, in one work folder."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from infilink.device.sources.open import open_source
from infilink.outputs import Array
from infilink.traces.trace import Trace, TraceWriter
from judging import GAP, LEARNT
from real.data import DEMO_MODELS, find_data, link_models

RATE_FPS = 5.0
TURNS = 3
SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")
CLIPS = (
    "lobby_person",
    "shop_produce",
    "shop_aisle",
    "parking_cars",
    "table_bottles",
    "traffic_road",
    "campus_pedestrians",
    "highway_dense",
)


@dataclass(frozen=True)
class Place:
    """Where a benchmark reads and writes.

    Attributes:
        folder: of everything that is made.
        clips: the videos, or traces, that are judged on.
        models: the folder of the user's models.
        named: whether a person named the clips.
        stem: a stem that is used as it is; None: they are chosen by what is learnt from.
        latency: what a stem may take, as `infilink train stem` reads it.
    """

    folder: Path
    clips: tuple[Path, ...]
    models: Path
    named: bool = False
    stem: Path | None = None
    latency: str = "1ms"

    @classmethod
    def of(
        cls,
        folder: Path,
        clips: Path | None = None,
        models: Path | None = None,
        stem: Path | None = None,
        latency: str = "1ms",
    ) -> "Place | None":
        """With the clips and models that were named, or those of the data folder; None: there is neither."""
        folder.mkdir(parents=True, exist_ok=True)
        data = find_data()
        if data is None and (clips is None or models is None):
            return None
        if models is None:
            assert data is not None
            models = link_models(data, folder / "models", DEMO_MODELS)
        if clips is not None:
            found = tuple(path for path in sorted(clips.iterdir()) if path.suffix in (*SUFFIXES, ".trace"))
        else:
            assert data is not None
            found = tuple(next((data / "video").glob(f"{name}.*")) for name in CLIPS)
        return cls(folder, found, models, clips is not None, stem, latency)

    def recording(self, clip: Path, *, inputs: int = 0) -> Path:
        """A clip as all models see it, at about 5 inputs a second, or as many inputs in all; a trace as it is."""
        if clip.suffix == ".trace":
            return clip
        path = self.folder / f"{clip.stem}{f'_{inputs}' if inputs else ''}.trace"
        if not path.exists():
            with open_source(str(clip)) as opened:
                every = max(1, round(opened.inputs_per_s / RATE_FPS))
            if inputs:
                every = max(1, round(cv2.VideoCapture(str(clip)).get(cv2.CAP_PROP_FRAME_COUNT) / inputs))
            part = path.with_suffix(".part")
            command = [sys.executable, "-m", "infilink.cli", "record", "--source", str(clip), "--out", str(part)]
            command += ["--models", str(self.models), "--every", str(every)]
            subprocess.run(command, check=True, capture_output=True)
            part.rename(path)
        return path


def turned(recording: Path, folder: Path, turn: int) -> tuple[Trace, Trace]:
    """What is learnt from and what is judged, if a recording began a `turn` of its `TURNS` parts later.

    Its end is followed by its beginning, as if that came later. Of turn 0 all that is judged is later than what is
    learnt from. Gaps lie on both sides of what is judged.
    """
    whole = Trace(recording)
    n = len(whole)
    order = (np.arange(n) + turn * n // TURNS) % n
    learnt = order[: round(LEARNT * n)]
    judged = order[round((LEARNT + GAP) * n) : n if turn == 0 else n - round(GAP * n)]
    found = []
    for name, part in (("learnt", learnt), ("judged", judged)):
        path = folder / f"{recording.stem}_{turn}.{name}"
        if not path.exists():
            _write(whole, part, path)
        found.append(Trace(path))
    return found[0], found[1]


def _write(whole: Trace, part: Array, path: Path) -> None:
    """Some inputs of a trace as one of their own, in their order; where that goes back, time goes on."""
    times = whole.captured_s
    step_s = float(np.median(np.diff(times)))
    lasts_s = float(times[-1] - times[0]) + step_s
    later = np.append(0, np.cumsum(np.diff(part) < 0))
    payloads = list(whole.payloads())
    outputs = {name: whole.outputs(name) for name in whole.models}
    made = path.with_name(f"{path.name}.part")
    made.unlink(missing_ok=True)
    with TraceWriter(made, whole.info) as writer:
        for row, i in enumerate(part.tolist()):
            said = {name: values[i] for name, values in outputs.items()}
            writer.append(row, float(times[i] + later[row] * lasts_s), payloads[i], said)
    made.rename(path)
