"""What every table of the site's benchmark starts from: recordings, a stem, links, and what the stem costs."""

import argparse
import hashlib
import json
import os
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from cameras import Site, learnt, read_site
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import find_models
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.trace import Trace
from infilink.traces.train_stem import train_stem
from real.data import find_data
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
        named = hashlib.sha256("\n".join(str(clip.resolve()) for clip in self.place.clips).encode()).hexdigest()[:8]
        path = self.place.folder / f"stem_{named}.onnx"
        if not path.exists():
            # It looks at the first half of each alone.
            train_stem([Trace(each) for each in self.recordings], find_models(self.place.models), out=path)
        return path

    @property
    def links(self) -> Path:
        """The folder of links, learnt on the first part of all cameras."""
        return learnt(self.recordings, self.stem, self.place.folder)

    @cached_property
    def site(self) -> Site:
        """The cameras with their links."""
        found = read_site(self.recordings, self.stem, self.place.folder)
        return replace(found, stem_share=self.stem_share)

    @property
    def second(self) -> "Bench":
        """Of the data folder's other site, eight traffic cameras of one city; where clips were named, of those."""
        data = find_data()
        if self.place.named or data is None:
            return self
        return replace(self, place=replace(self.place, clips=tuple(sorted((data / "video" / "site").glob("jamcam_*")))))

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
