"""Everything that competes to be a filter, by name, and how each is made.

To add one: a function that takes the workload and an entry and gives an `Entrant`, and its name in a table here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ... import __version__
from ...errors import InvalidInput
from ...reporting import Progress, part_of
from ..modalities.stream import LOW_LEVEL
from .entrants import Entrant, Entry, Maker, low_level_entrant, random_entrant, scalar_entrant
from .event_gates import FLIP, event_makers, flip_of
from .fit_loop import Checkpoint
from .replay import Replay
from .single_input import encoder_entrant, neighbours_entrant
from .stem_events import cues_entrant
from .stem_presence import presence_entrant
from .stem_staleness import blend_entrant, stem_entrant
from .temporal import temporal_entrant
from .workload import Workload

STEM = "stem"
_FREE_ON_A_STREAM: Mapping[str, Maker] = {
    **dict.fromkeys(LOW_LEVEL, low_level_entrant),
    "difference": scalar_entrant,
    "age": scalar_entrant,
    "random": random_entrant,
}
SKIP: Mapping[str, Maker] = {
    STEM: presence_entrant,
    "network": temporal_entrant,
    "image": partial(encoder_entrant, kind="image"),
    "image-paper": partial(encoder_entrant, kind="image", net="paper"),
    "video-paper": partial(encoder_entrant, kind="video", net="paper"),
    "knn": neighbours_entrant,
    "background": scalar_entrant,
    **_FREE_ON_A_STREAM,
}
"""On frames with a rule on one input's output. Here and below those come first that are preferred among equals."""

UNCHANGED: Mapping[str, Maker] = {
    "blend": blend_entrant,
    STEM: stem_entrant,
    "network": temporal_entrant,
    **_FREE_ON_A_STREAM,
}
"""On frames with the rule `unchanged`."""

STEM_EVENTS: Mapping[str, Maker] = {
    "stem-blend": partial(cues_entrant, used=("age", "kept", "new")),
    "stem-flip": partial(cues_entrant, used=("age", "new")),
    "stem-kept": partial(cues_entrant, used=("kept",)),
}
"""On frames, to find events."""

ARRAYS: Mapping[str, Maker] = {
    STEM: presence_entrant,
    "network": encoder_entrant,
    "paper": partial(encoder_entrant, net="paper"),
    "filterforward": partial(encoder_entrant, net="filterforward"),
    "knn": neighbours_entrant,
    "random": random_entrant,
}
"""On inputs that are no pictures."""

# Those that train in a minute. Of the free ones, pace, age and difference are special cases of "blend"; a choice among
# them on some hundred inputs is mostly luck. If events are asked for, each that competes costs more of them.
_DEFAULTS: Mapping[tuple[bool, bool], tuple[str, ...]] = {
    (False, False): ("network", "image", "background", "difference", "age"),
    (False, True): ("blend",),
    (True, False): ("blend", "kept-blocks", "flip", "age"),
    (True, True): ("blend", "kept-blocks", "age"),
}
"""Who competes if nobody is named, by whether events are asked for and whether the rule is `unchanged`."""

# A network that is trained from nothing has not won beside a stem, and takes a minute and a part of the proof.
_WITH_STEM: Mapping[tuple[bool, bool], tuple[str, ...]] = {
    (False, False): (STEM, "background", "difference", "age"),
    (False, True): ("blend",),
    (True, False): ("stem-blend", "stem-kept", "kept-blocks", "age"),
    (True, True): ("stem-blend", "stem-kept", "kept-blocks", "age"),
}
"""The same where there is a stem."""


class Contest:
    """Makes entrants on the training part of a workload.

    Args:
        work: what they compete for.
        int8: whether large weights are rounded to int8.
        checkpoint: file names of trainings in progress begin with this; None: they are not kept.
        progress: is told the share done.
        events: whether they compete to find events, so that gates that hold the last answer do, too.
    """

    def __init__(
        self,
        work: Workload,
        *,
        int8: bool = False,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
        events: bool = False,
    ) -> None:
        self.work = work
        self.events = events
        self.int8 = int8
        self.checkpoint = checkpoint
        self.progress = progress

    def enter(self, wanted: Sequence[str] = (), *, start: int = 0) -> list[Entrant]:
        """Trains and makes them; those that are preferred among equals come first.

        Args:
            wanted: their names; "all": all there are; none: those that cost little to train.
            start: the first input that they are trained on.

        Raises:
            InvalidInput: there is no such candidate for this workload.
        """
        names = self.names(wanted)
        makers = self.makers()
        entered: list[Entrant] = []
        for i, name in enumerate(names):
            progress = part_of(self.progress, i / len(names), (i + 1) / len(names))
            entry = Entry(name, start, self.int8, self._checkpoint_of(name), progress)
            network = next((each for each in entered if each.candidate.name == "network"), None)
            # One network serves as two gates.
            if name == FLIP and network is not None:
                entered.append(flip_of(network, self.work, start=start))
            else:
                entered.append(makers[name](self.work, entry))
        return entered

    def names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The candidates that are wanted, in order; without any, those that cost little to train; "all": all.

        Raises:
            InvalidInput: there is no such candidate for this workload.
        """
        there = tuple(self.makers())
        if list(wanted) == ["all"]:
            return there
        unknown = [name for name in wanted if name not in there]
        if any(name.startswith(STEM) for name in unknown) and self.work.seen is None:
            raise InvalidInput(
                f"candidate {', '.join(unknown)}: there is no stem: give one with --stem, or make one with "
                "`infilink train stem`"
            )
        if unknown:
            raise InvalidInput(
                f"candidate {', '.join(unknown)}: there is none of that name here; there are all, {', '.join(there)}"
            )
        events = self.events and isinstance(self.work.replay, Replay)
        defaults = _DEFAULTS if self.work.seen is None else _WITH_STEM
        default = defaults[events, self.work.losses.pairwise]
        return tuple(dict.fromkeys(wanted)) or tuple(name for name in default if name in there)

    def makers(self) -> Mapping[str, Maker]:
        """The candidates that can compete for this workload, by name."""
        if isinstance(self.work.replay, Replay):
            makers = dict(UNCHANGED if self.work.losses.pairwise else SKIP)
            if self.events:
                makers = {**STEM_EVENTS, **makers, **event_makers(pairwise=self.work.losses.pairwise)}
        else:
            makers = dict(ARRAYS)
        left_out = set() if self.work.seen is not None else {name for name in makers if name.startswith(STEM)}
        if self.work.modality != "map":
            left_out.add("filterforward")
        if "+" in self.work.modality:
            left_out.add("knn")
        return {name: maker for name, maker in makers.items() if name not in left_out}

    def clear(self) -> None:
        """Removes the checkpoints: what they are for is written."""
        if self.checkpoint is not None:
            for path in self.checkpoint.parent.glob(f"{self.checkpoint.name}.*.training"):
                path.unlink()

    def _checkpoint_of(self, name: str) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        trace, losses = self.work.trace, self.work.losses
        told = hashlib.sha256(trace.captured_s.tobytes())
        told.update(losses.needed.tobytes())
        told.update(f"{losses.rule.text} {trace.info.digests} {self.work.seed} {__version__} {name}".encode())
        return Checkpoint(self.checkpoint.with_name(f"{self.checkpoint.name}.{name}.training"), told.hexdigest())
