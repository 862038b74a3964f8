"""What every table of the site's benchmark starts from: recordings, a stem, links, and what the stem costs."""

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from cameras import LEARNT, Site, read_site
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import find_models
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace
from infilink.traces.train_stem import train_stem
from recordings import Place

_TIMED = 15


@dataclass(frozen=True)
class Bench:
    """Where a run of the benchmark reads and writes, and its site.

    Attributes:
        options: of the command line.
        place: clips, models, and the folder of all that is made.
    """

    options: argparse.Namespace
    place: Place

    @cached_property
    def recordings(self) -> list[Path]:
        """A trace of every clip."""
        return [self.place.recording(clip) for clip in self.place.clips]

    @cached_property
    def stem(self) -> Path:
        """Chosen by the first part of the recordings, of one of the models."""
        if self.place.stem is not None:
            return self.place.stem
        path = self.place.folder / "stem.onnx"
        if not path.exists():
            traces = [Trace(each) for each in self.recordings]
            train_stem(
                [each.part(0, int(LEARNT * len(each))) for each in traces], find_models(self.place.models), out=path
            )
        return path

    @cached_property
    def site(self) -> Site:
        """The cameras, each with links of its own."""
        found = read_site(self.recordings, self.stem, self.place.folder)
        return replace(found, stem_share=self.stem_share)

    @cached_property
    def stem_share(self) -> float:
        """What the stem takes on an input, as a share of what all models take there; processor time of one thread."""
        path = self.place.folder / f"stem_share_{Stem(self.stem).digest}.json"
        if not path.exists():
            with Trace(self.recordings[0]) as trace:
                frames = [frame for _, frame in zip(range(_TIMED), trace.frames(), strict=False)]
            models = sum(_seconds(OnnxModel(each), frames) for each in find_models(self.place.models).values())
            path.write_text(json.dumps(_seconds(Stem(self.stem), frames) / models))
        return float(json.loads(path.read_text()))


def open_bench(options: argparse.Namespace, temporary: Path) -> Bench | None:
    """The benchmark's place; None: there are no clips or models."""
    if options.data is not None:
        os.environ["INFILINK_DATA"] = str(options.data.resolve())
    place = Place.of(options.folder or temporary, options.clips, options.models, options.stem)
    return None if place is None else Bench(options, place)


def _seconds(model: "OnnxModel | Stem", frames: list[Array]) -> float:
    see = model.see if isinstance(model, Stem) else model.infer
    times = []
    for frame in frames:
        began_s = time.process_time()
        see(frame)
        times.append(time.process_time() - began_s)
    return float(np.median(times))
