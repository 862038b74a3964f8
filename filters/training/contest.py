"""Everything that competes to be a filter, by name: made on the training part, each with its file's graph."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import onnx

from ... import __version__
from ...errors import InvalidInput
from ...reporting import Progress, part_of
from ...traces.trace import Trace
from ..gates.learned import Feed
from ..modalities import Learnable, Modality, fit_modality
from ..modalities.descriptor import Descriptor
from ..modalities.image import Image
from ..modalities.joint import Joint
from ..modalities.net import Net
from ..modalities.stream import LOW_LEVEL
from ..modalities.video import Video
from .candidates import (
    AloneCandidate,
    BlendCandidate,
    LowLevelCandidate,
    NetworkCandidate,
    PaceCandidate,
    RandomCandidate,
    ScalarCandidate,
)
from .fit import fit_encoder, fit_network
from .fit_loop import Checkpoint, Epoch
from .graphs import (
    blend_graph,
    check_same,
    compress,
    neighbours_graph,
    network_graph,
    pace_graph,
    random_graph,
    scalar_graph,
    session_of,
    traced_graph,
)
from .losses import Losses
from .replay import Replay, Singles
from .staleness import fit_blend, fit_pace
from .sweep import Candidate
from .temporal import TemporalNetwork
from .trace_split import Split

_STREAM_FREE = (*LOW_LEVEL, "difference", "age", "random")
SKIP = ("network", "image", "video", "image-paper", "video-paper", "knn", "background", *_STREAM_FREE)
UNCHANGED = ("blend", "pace", "network", *_STREAM_FREE)
ALONE = ("network", "paper", "filterforward", "knn", "random")
"""The names there are, by what the inputs are: frames and a rule on one input, frames and `unchanged`, arrays."""

_LEARNT_ALONE: dict[str, tuple[str, Net]] = {
    "network": ("", "ours"),
    "paper": ("", "paper"),
    "filterforward": ("", "filterforward"),
    "image": ("image", "ours"),
    "video": ("video", "ours"),
    "image-paper": ("image", "paper"),
    "video-paper": ("video", "paper"),
}
"""Encoders that see an input (or a window) by itself: of which modality ("": the one that was given), and whose."""

_DEFAULT = ("network", "image", "background", "difference", "age")
# Pace, age and difference are special cases of it; a choice among them on some hundred inputs is mostly luck.
_DEFAULT_UNCHANGED = ("blend",)
NEIGHBOURS = 10


@dataclass(frozen=True)
class Contestant:
    """A candidate and what its file would be.

    Attributes:
        candidate: scores inputs.
        graph: computes those scores.
        modality: how an input is prepared for it; None: it sees a stream's channels.
        curve: of its training; empty if nothing is learnt.
    """

    candidate: Candidate
    graph: onnx.ModelProto
    modality: Modality | None = None
    curve: list[Epoch] = field(default_factory=list)


class Contest:
    """Makes contestants on the training part of a trace.

    Args:
        trace: what is learnt from.
        losses: what is lost on an input that is not kept.
        split: where the training part ends.
        modality: of inputs that are no pictures.
        seed: of everything that is drawn.
        int8: whether large weights are rounded to int8.
        checkpoint: file names of trainings in progress begin with this; None: they are not kept.
        progress: is told the share done.
    """

    def __init__(
        self,
        trace: Trace,
        losses: Losses,
        split: Split,
        *,
        modality: str = "",
        seed: int = 0,
        int8: bool = False,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.trace = trace
        self.losses = losses
        self.split = split
        self.modality = modality
        self.seed = seed
        self.int8 = int8
        self.checkpoint = checkpoint
        self._progress = progress
        self.stream = trace.info.input == "image"
        self.replay: Replay | Singles = (
            Replay(trace, pairwise=losses.pairwise, progress=part_of(progress, 0.0, 0.1))
            if self.stream
            else Singles(trace, self._fitted("", "ours"))
        )

    def names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The candidates that are wanted, in order; without any, those that cost little to train; "all": all.

        Raises:
            InvalidInput: there is no such candidate for this trace and rule.
        """
        there: tuple[str, ...] = (UNCHANGED if self.losses.pairwise else SKIP) if self.stream else ALONE
        if not self.stream and self.modality != "map":
            there = tuple(name for name in there if name != "filterforward")
        if "+" in self.modality:
            there = tuple(name for name in there if name != "knn")
        if list(wanted) == ["all"]:
            return there
        unknown = [name for name in wanted if name not in there]
        if unknown:
            raise InvalidInput(
                f"candidate {', '.join(unknown)}: there is none of that name here; there are all, {', '.join(there)}"
            )
        default = _DEFAULT_UNCHANGED if self.stream and self.losses.pairwise else _DEFAULT
        return tuple(dict.fromkeys(wanted)) or tuple(name for name in default if name in there)

    def enter(self, wanted: Sequence[str] = ()) -> list[Contestant]:
        """Trains and makes them; those that are preferred among equals come first."""
        names = self.names(wanted)
        return [
            self._enter(name, part_of(self._progress, 0.1 + 0.7 * i / len(names), 0.1 + 0.7 * (i + 1) / len(names)))
            for i, name in enumerate(names)
        ]

    def clear(self) -> None:
        """Removes the checkpoints: what they are for is written."""
        if self.checkpoint is not None:
            for path in self.checkpoint.parent.glob(f"{self.checkpoint.name}.*.training"):
                path.unlink()

    def _enter(self, name: str, progress: Progress | None) -> Contestant:
        if name == "random":
            return Contestant(RandomCandidate(len(self.trace), seed=self.seed), random_graph(seed=self.seed))
        if name == "knn":
            return self._neighbours()
        if not self.stream or (name in _LEARNT_ALONE and name != "network"):
            return self._alone(name, progress)
        assert isinstance(self.replay, Replay), "a stream is replayed"
        stop = self.split.trained
        if name == "pace":
            pace = fit_pace(self.replay, self.losses, start=0, stop=stop)
            return Contestant(PaceCandidate(pace, self.replay), pace_graph(pace))
        if name == "blend":
            pace = fit_pace(self.replay, self.losses, start=0, stop=stop)
            graph = blend_graph(fit_blend(self.replay, self.losses, pace, start=0, stop=stop, seed=self.seed))
            return Contestant(BlendCandidate(session_of(graph), pace, self.replay), graph)
        if name in LOW_LEVEL:
            return Contestant(LowLevelCandidate(name, self.replay), scalar_graph(name))
        if name != "network":
            return Contestant(ScalarCandidate(name, self.replay), scalar_graph(name))
        network, curve = fit_network(
            self.replay,
            self.losses,
            start=0,
            stop=stop,
            seed=self.seed,
            checkpoint=self._kept(name),
            progress=progress,
        )
        graph = self._made(network_graph(network))
        candidate = NetworkCandidate(session_of(graph), self.replay)
        if not self.int8:
            self._check(network, candidate)
        return Contestant(candidate, graph, curve=curve)

    def _neighbours(self) -> Contestant:
        """What was said of the nearest inputs, by hand-made descriptors."""
        inner = None if self.stream else self._fitted("", "ours")
        descriptor = Descriptor(inner=None if isinstance(inner, Image | Video | Joint) else inner)
        described = Singles(self.trace, descriptor)
        known = described.rows(np.arange(self.split.trained))
        needed = self.losses.needed.mean(axis=0)[: self.split.trained]
        graph = neighbours_graph(descriptor, known, needed, neighbours=min(NEIGHBOURS, len(known)))
        candidate = AloneCandidate("knn", session_of(graph), described, start=self.split.calibrated)
        return Contestant(candidate, graph, descriptor)

    def _alone(self, name: str, progress: Progress | None) -> Contestant:
        """An encoder that sees an input by itself, or a window of frames."""
        made = self._fitted(*_LEARNT_ALONE[name])
        # Arrays are prepared for our own network already.
        ours = self.replay if made.net == "ours" and isinstance(self.replay, Singles) else None
        singles = ours or Singles(self.trace, made)
        network, curve = fit_encoder(
            singles,
            self.losses.needed.mean(axis=0),
            made,
            start=0,
            stop=self.split.trained,
            seed=self.seed,
            checkpoint=self._kept(name),
            progress=progress,
        )
        samples = singles.rows(np.arange(self.split.calibrated, min(self.split.calibrated + 16, self.split.stop)))
        graph = self._made(traced_graph(network, samples))
        candidate = AloneCandidate(name, session_of(graph), singles, start=self.split.calibrated)
        return Contestant(candidate, graph, made, curve)

    def _fitted(self, kind: str, net: Net) -> Learnable:
        """The modality of that kind, or the one that was given."""
        values = list(islice(self.trace.inputs(), 1 if self.stream else self.split.trained))
        return fit_modality(kind or self.modality, values, net=net)

    def _made(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        return compress(graph) if self.int8 else graph

    def _kept(self, name: str) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        told = hashlib.sha256(self.trace.captured_s.tobytes())
        told.update(self.losses.needed.tobytes())
        told.update(f"{self.losses.rule.text} {self.trace.info.digests} {self.seed} {__version__} {name}".encode())
        path = self.checkpoint.with_name(f"{self.checkpoint.name}.{name}.training")
        return Checkpoint(path, told.hexdigest())

    def _check(self, network: TemporalNetwork, candidate: NetworkCandidate) -> None:
        """Makes sure that the graph computes what was trained."""
        replay = candidate.replay
        now = np.arange(self.split.calibrated, min(self.split.calibrated + 16, self.split.stop))
        wanted = network.scores(replay.images(now - 1, now), replay.scalars(now - 1, now))
        computed = np.asarray([candidate.scores(np.asarray([i - 1]), int(i))[0] for i in now])
        check_same(wanted, computed, what="the graph's score")


_TIMED = 20


def decision_s(each: Contestant, trace: Trace, *, pairwise: bool, step_s: float) -> float:
    """The fastest of some decisions, from the input to the score, in seconds: what else runs here is left out.

    Args:
        each: the candidate.
        trace: whose first inputs are decided on.
        pairwise: whether it compares with the last kept input.
        step_s: the least time to the previous frame, in seconds of capture.
    """
    if each.modality is None and trace.info.input != "image":
        # Lots, for any kind of input.
        return 0.0
    feed = Feed(session_of(each.graph), each.modality, pairwise=pairwise, step_s=step_s)
    times = []
    part = trace.part(0, min(_TIMED, len(trace)))
    for value, captured_s in zip(part.inputs(), part.captured_s, strict=True):
        started = time.perf_counter()
        feed.run(value, float(captured_s))
        times.append(time.perf_counter() - started)
    return float(np.min(times))
