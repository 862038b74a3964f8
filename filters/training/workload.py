"""What a filter is learnt for: a trace, what is lost on each input that is not kept, and where the trace is cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInput
from ...reporting import Progress
from ...traces.joined import JoinedTrace
from ...traces.trace import Trace
from ..modalities import MODALITIES, Learnable, fit_modality
from ..modalities.net import Net
from .losses import Losses
from .replay import Replay, Singles

if TYPE_CHECKING:  # that loads torch, which learning light answers does without
    from .stem_view import StemView

LEAST_INPUTS = 50
TRAIN_SHARE = 0.65
GAP_S = 2.0
_GAP_SHARE = 0.05


@dataclass(frozen=True)
class Split:
    """Where a trace is cut: inputs up to `trained` to learn from, those from `calibrated` on to certify with.

    Attributes:
        trained: the inputs before are learnt from.
        calibrated: those from here on are certified with.
        stop: the end of those.
        cameras: of several cameras' recordings the stretch that is certified with of each, by name.
    """

    trained: int
    calibrated: int
    stop: int
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def stretches(self) -> Sequence[tuple[int, int]]:
        """The streams that are certified with, one after the other."""
        return tuple(self.cameras.values()) or ((self.calibrated, self.stop),)


@dataclass(frozen=True)
class Workload:
    """Everything that candidates are made from and judged by.

    Attributes:
        trace: the inputs, and what the models said of each.
        losses: what is lost on an input that is not kept.
        split: where the trace is cut.
        replay: the inputs as a filter sees them: frames in a stream, or each input by itself.
        modality: of inputs that are no pictures, by name.
        seed: of everything that is drawn.
        seen: what a stem makes of the inputs; None: there is no stem.
    """

    trace: Trace
    losses: Losses
    split: Split
    replay: Replay | Singles
    modality: str = ""
    seed: int = 0
    seen: "StemView | None" = None

    @property
    def view(self) -> "StemView":
        """What a stem makes of the inputs, for candidates that have one."""
        assert self.seen is not None, "without a stem no candidate of that kind competes"
        return self.seen

    @property
    def stream(self) -> Replay:
        """The replay of frames, for candidates that look at a stream."""
        assert isinstance(self.replay, Replay), "only frames make a stream"
        return self.replay

    def prepared(self, kind: str = "", *, net: Net = "ours") -> Singles:
        """Each input prepared by itself for a network.

        Args:
            kind: the modality; "": that of the trace.
            net: whose network.
        """
        if isinstance(self.replay, Singles) and net == "ours":
            return self.replay
        name = kind or self.modality
        return Singles(self.trace, fitted_modality(self.trace, name, inputs=self.split.trained, net=net))


def modality_of(trace: Trace, asked: str) -> str:
    """The modality that inputs are seen by: what a user asks for, else what the trace says; "": frames of a stream.

    Raises:
        InvalidInput: nobody says it.
    """
    if asked or trace.info.input in ("image", "none"):
        return asked
    if not trace.info.modality:
        raise InvalidInput(
            f"{trace.path}: does not say what its inputs are: say it with --modality ({', '.join(MODALITIES)}, or "
            "several joined by +)"
        )
    return trace.info.modality


def read_inputs(
    trace: Trace, losses: Losses, modality: str, *, inputs: int, progress: Progress | None = None
) -> Replay | Singles:
    """A trace's inputs as a filter sees them.

    Args:
        trace: the inputs.
        losses: whether they are compared with the last kept one.
        modality: of inputs that are no pictures, by name.
        inputs: how many of them a modality is fitted to.
        progress: is told the share done.

    Raises:
        InvalidInput: the modality is not known, does not fit the inputs or the rule, or is given for pictures.
    """
    if trace.info.input == "image":
        if modality:
            raise InvalidInput(f"{trace.path}: its inputs are pictures; leave out the modality {modality!r}")
        return Replay(trace, pairwise=losses.pairwise, progress=progress)
    if losses.pairwise and trace.info.input != "none":
        raise InvalidInput("the rule `unchanged` compares with an earlier picture; give a rule on one input's output")
    return Singles(trace, fitted_modality(trace, modality, inputs=inputs))


def fitted_modality(trace: Trace, name: str, *, inputs: int, net: Net = "ours") -> Learnable:
    """The modality of that name, fitted to the first inputs of a trace; a picture is prepared alike whatever they are.

    Raises:
        InvalidInput: there is no such modality, or the inputs do not fit it.
    """
    values = list(islice(trace.inputs(), 1 if trace.info.input == "image" else inputs))
    return fit_modality(name, values, net=net)


def split_of(trace: Trace) -> Split:
    """The cut in time, with a gap so that what is certified on does not touch what was learnt from.

    Raises:
        InvalidInput: the trace is too short, or its times do not rise.
    """
    if len(trace) < LEAST_INPUTS:
        raise InvalidInput(
            f"{trace.path}: {len(trace)} inputs are too few to learn a filter from: record at least {LEAST_INPUTS}, "
            "better 600"
        )
    if not (np.diff(trace.captured_s) > 0).all():
        raise InvalidInput(f"{trace.path}: the times of capture do not rise from input to input")
    trained = round(TRAIN_SHARE * len(trace))
    end_s = trace.captured_s[trained] + GAP_S
    gap = min(int(np.searchsorted(trace.captured_s, end_s)) - trained, round(_GAP_SHARE * len(trace)))
    return Split(trained, trained + gap, len(trace))


def join_site(site: Mapping[str, Trace], *, most: int) -> tuple[Trace, Split]:
    """The traces of a site as one, and where it is cut: what each camera is learnt from, then what is certified with.

    Args:
        site: by camera; of one alone it is its trace as it is.
        most: of more inputs in all, so many of the newest are taken, of each camera alike.

    Raises:
        InvalidInput: a trace is too short, or its times do not rise.
    """
    newest = {name: trace.part(max(0, len(trace) - most // len(site)), len(trace)) for name, trace in site.items()}
    splits = {name: split_of(trace) for name, trace in newest.items()}
    if len(site) == 1:
        return next(iter(newest.values())), next(iter(splits.values()))
    first = [trace.part(0, splits[name].trained) for name, trace in newest.items()]
    second = [trace.part(splits[name].calibrated, splits[name].stop) for name, trace in newest.items()]
    trained = sum(map(len, first))
    ends = [trained + end for end in np.cumsum([0, *map(len, second)]).tolist()]
    cameras = dict(zip(site, pairwise(ends), strict=True))
    return JoinedTrace([*first, *second]), Split(trained, trained, ends[-1], cameras)


def check_accuracy(accuracy: float) -> None:
    """Refuses an accuracy that nothing or everything keeps.

    Raises:
        InvalidInput: it is not between 0 and 1.
    """
    if not 0.0 < accuracy < 1.0:
        raise InvalidInput(f"accuracy must be above 0 and below 1, not {accuracy:g}")


def check_worth(losses: Losses, split: Split, accuracy: float) -> None:
    """Refuses a rule that leaves nothing to learn, or nothing to keep.

    Raises:
        InvalidInput: with the numbers, and what to do.
    """
    check_fires(losses)
    if losses.pairwise:
        return
    name = _name_of(losses)
    needed = losses.needed.mean(axis=0)
    redundant = 1.0 - float(needed.mean())
    for part, values in (("training", needed[: split.trained]), ("calibration", needed[split.calibrated :])):
        if values.max() <= 0.0 or values.min() >= 1.0:
            kind = "redundant" if values.max() <= 0.0 else "needed"
            raise InvalidInput(
                f"{name}: all {len(values)} inputs of the {part} part are {kind}; record a longer trace, "
                "so that both kinds occur early and late"
            )
    if redundant >= accuracy:
        raise InvalidInput(
            f"{name} is trivial at accuracy {accuracy:g}: to skip everything is right for {redundant:.3f} of the "
            f"inputs; ask for more than that, for instance --accuracy {(1 + redundant) / 2:.3f}"
        )


def check_fires(losses: Losses) -> None:
    """Refuses a rule by which all inputs of a trace are alike.

    Raises:
        InvalidInput: with the numbers, and what to do.
    """
    name, needed = _name_of(losses), losses.needed.mean(axis=0)
    if losses.pairwise:
        current = np.arange(1, len(needed))
        if float(losses.of(np.zeros_like(current), current).max()) <= 0.0:
            raise InvalidInput(f"{name} is trivial: no output ever changes in this trace; record more, or other scenes")
    elif needed.min() >= 1.0:
        raise InvalidInput(f"{name} never fires: none of {len(needed)} inputs is redundant; give another rule")
    elif needed.max() <= 0.0:
        raise InvalidInput(f"{name} is trivial: all {len(needed)} inputs are redundant, so nothing needs the models")


def _name_of(losses: Losses) -> str:
    return f"rule {losses.rule.text!r} on {', '.join(losses.models)}"
