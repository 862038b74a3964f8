"""Learns a filter from a trace: trains, lets the candidates compete, certifies the threshold, writes one ONNX file."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from ... import __version__
from ...errors import InvalidInput
from ...reporting import Progress
from ...traces.trace import Trace
from ..rules.parser import Rule
from ..spec import FilterSpec
from .candidates import EveryCandidate, RandomCandidate
from .contest import Contest, Contestant, decision_s
from .fit_loop import Epoch
from .floors import Floor
from .graphs import save_filter
from .losses import Losses, answers_of
from .replay import LONGEST_S
from .selection import EQUAL, Choice, choose
from .sweep import Candidate, Sweep, calibrate
from .temporal import one_thread
from .trace_split import check_worth, split_of

MOST_INPUTS = 8000


@dataclass(frozen=True)
class FilterTraining:
    """What came of a training.

    Attributes:
        path: the filter.
        spec: what it says of itself: rule, winner, threshold, certificate, table.
        trained: inputs that it was trained on.
        calibrated: inputs that its threshold was certified on, all later than those.
        redundant: SKIP: share of the inputs that are redundant by the rule, over the whole trace.
        seconds: what it all took.
        curves: per learned candidate, its losses epoch by epoch.
        decision_s: per candidate, what a decision takes here.
    """

    path: Path
    spec: FilterSpec
    trained: int
    calibrated: int
    redundant: float | None
    seconds: float
    curves: dict[str, list[Epoch]] = field(default_factory=dict)
    decision_s: dict[str, float] = field(default_factory=dict)


def train_filter(
    trace: Trace,
    *,
    models: Sequence[str] = (),
    rule: Rule,
    accuracy: float,
    out: Path,
    modality: str = "",
    candidates: Sequence[str] = (),
    floors: Sequence[Floor] = (),
    int8: bool = False,
    resume: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> FilterTraining:
    """Learns a filter for some of a trace's models (all, if none is named) and writes it to `out`.

    Inputs that are no pictures need a `modality`: text, image, video, audio, signal or map.

    Args:
        trace: what is learnt from; of a longer one, the newest `MOST_INPUTS`.
        models: whose outputs count.
        rule: what is redundant.
        accuracy: the least mean agreement with the models.
        out: the filter's file.
        modality: of inputs that are no pictures.
        candidates: which compete, by name (`contestants.py`); "all" of them; none: those that cost little to train.
        floors: what must be kept besides: of a class, or in a slice.
        int8: whether large weights are kept as int8: a quarter of the size.
        resume: whether a training that was interrupted is gone on with.
        seed: of everything that is drawn: same seed, same filter.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the trace is too short, the rule never or always fires, no threshold keeps the accuracy, or what
            wins (of candidates that were not named) drops no more than what costs nothing.
        UnknownModel: the trace has no such model.
    """
    competition = Competition(
        trace,
        models=models,
        rule=rule,
        accuracy=accuracy,
        modality=modality,
        candidates=candidates,
        int8=int8,
        floors=floors,
        checkpoint=out if resume else None,
        seed=seed,
        progress=progress,
    )
    return competition.finish(out, accuracy=accuracy, useless=bool(candidates))


class Competition:
    """Candidates that were trained and run over the calibration part; any number of filters can be chosen from it.

    The arguments are those of `train_filter`; `accuracy` is the least that will be asked for.

    Attributes:
        trace: what was learnt from.
        losses: what is lost on an input that is not kept.
        split: where the trace was cut.
        contest: made the candidates.
        entered: the candidates, in the order of preference.
        sweeps: what each threshold of each of them brought on the calibration part.
        decision_s: what a decision of each of them takes.
    """

    def __init__(
        self,
        trace: Trace,
        *,
        models: Sequence[str] = (),
        rule: Rule,
        accuracy: float,
        modality: str = "",
        candidates: Sequence[str] = (),
        int8: bool = False,
        floors: Sequence[Floor] = (),
        checkpoint: Path | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self._started = time.perf_counter()
        _check_accuracy(accuracy)
        self.trace = trace = trace.part(max(0, len(trace) - MOST_INPUTS), len(trace))
        models = tuple(dict.fromkeys(models)) or tuple(trace.models)
        self.losses = Losses(trace, models, rule)
        self.split = split_of(trace)
        self.seed = seed
        check_worth(self.losses, self.split, accuracy)
        if trace.info.input == "array" and self.losses.pairwise:
            raise InvalidInput("`unchanged` compares with an earlier picture; give a rule on one input's output")
        if trace.info.input == "image" and modality:
            raise InvalidInput(f"{trace.path}: its inputs are pictures; leave out the modality {modality!r}")
        part = slice(self.split.calibrated, self.split.stop)
        self._masks = [mask.within(part) for floor in floors for mask in floor.on(trace, self.losses)]
        with one_thread():
            self.contest = Contest(
                trace,
                self.losses,
                self.split,
                modality=modality,
                seed=seed,
                int8=int8,
                checkpoint=checkpoint,
                progress=progress,
            )
            self.entered = self.contest.enter(candidates)
            self.sweeps = []
            for i, each in enumerate(self.entered):
                if progress is not None:
                    progress(0.8 + 0.2 * i / len(self.entered), f"calibrating: {each.candidate.name}")
                self.sweeps.append(self._calibrate(each.candidate))
            self.decision_s = [
                decision_s(each, trace, pairwise=self.losses.pairwise, step_s=self.contest.replay.step_s)
                for each in self.entered
            ]
            if progress is not None:
                progress(1.0, "choosing")
            # They stand in the table; a lot that is certified for next to nothing must not win over what is learnt.
            lots: list[Candidate] = [RandomCandidate(len(trace), seed=seed), EveryCandidate()]
            entered = {each.candidate.name for each in self.entered}
            self._free = [self._calibrate(each) for each in lots if each.name not in entered]

    def finish(self, out: Path, *, accuracy: float, useless: bool = True) -> FilterTraining:
        """Chooses the best for an accuracy and writes it.

        Args:
            out: the filter's file.
            accuracy: the least mean agreement with the models.
            useless: whether a filter is written also if it is no better than what costs nothing.

        Raises:
            InvalidInput: no candidate keeps it at any threshold, or the best one is useless.
        """
        _check_accuracy(accuracy)
        choice = choose(self.sweeps, accuracy=accuracy, floors=self._masks, references=self._free, costs=self._costs())
        if not useless:
            self._check_useful(choice, accuracy)
        winner = next(each for each in self.entered if each.candidate.name == choice.name)
        spec = self._spec(winner, choice, accuracy)
        save_filter(out, winner.graph, spec)
        self.contest.clear()
        return FilterTraining(
            path=out,
            spec=spec,
            trained=self.split.trained,
            calibrated=self.split.stop - self.split.calibrated,
            redundant=None if self.losses.pairwise else float(1.0 - self.losses.needed.mean()),
            seconds=time.perf_counter() - self._started,
            decision_s={
                each.candidate.name: took_s for each, took_s in zip(self.entered, self.decision_s, strict=True)
            },
            curves={each.candidate.name: each.curve for each in self.entered if each.curve},
        )

    def _costs(self) -> list[float]:
        """What each candidate's decision takes of the time that the models do; nothing where that is not known."""
        known = [self.trace.info.costs[name].infer_s for name in self.losses.models if name in self.trace.info.costs]
        models_s = sum(known)
        return [decided_s / models_s if models_s else 0.0 for decided_s in self.decision_s]

    def _check_useful(self, choice: Choice, accuracy: float) -> None:
        """Of frames whose answer is held, the free gates are candidates themselves, and may well win."""
        if self.losses.pairwise:
            return
        certified = choice.certificate.certified
        found = {each.name: choice.candidates[each.name] for each in self._free}
        # What is proven is not weighed against what is not.
        free = {name: each.rate for name, each in found.items() if each.certified or not certified}
        best = max(free, key=free.__getitem__, default="")
        if best and choice.certificate.rate <= free[best] + EQUAL:
            raise InvalidInput(
                f"what was learnt is useless: at accuracy {accuracy:g} the best of {len(self.sweeps)} candidates, "
                f"{choice.name}, drops {choice.certificate.rate:.3f} of the inputs, and {best} drops {free[best]:.3f} "
                f"for nothing; see what can be learnt here with `infilink assess`, record more inputs, or have it all "
                f"the same with --candidate {choice.name}"
            )

    def _calibrate(self, candidate: Candidate) -> Sweep:
        return calibrate(candidate, self.contest.replay, self.losses, self.split, seed=self.seed)

    def _spec(self, winner: Contestant, choice: Choice, accuracy: float) -> FilterSpec:
        import torch

        losses, pairwise = self.losses, self.losses.pairwise
        return FilterSpec(
            kind=choice.name,
            rule=losses.rule.text,
            models={model: self.trace.info.digests.get(model, "") for model in losses.models},
            reference="last kept" if pairwise else "previous",
            threshold=choice.threshold,
            accuracy=accuracy,
            step_s=self.contest.replay.step_s,
            longest_s=LONGEST_S if pairwise else None,
            answers=answers_of(self.trace, losses),
            modality=winner.modality,
            certificate=choice.certificate,
            table=choice.table,
            candidates=choice.candidates,
            floors=choice.floors,
            versions={"infilink": __version__, "torch": str(torch.__version__), "onnx": onnx.__version__},
            seed=self.seed,
        )


def _check_accuracy(accuracy: float) -> None:
    if not 0.0 < accuracy < 1.0:
        raise InvalidInput(f"accuracy must be above 0 and below 1, not {accuracy:g}")
