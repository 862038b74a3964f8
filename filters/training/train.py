"""Learns a filter from a trace: trains candidates, lets them compete, certifies the threshold, writes one ONNX file."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import onnx
import torch

from ... import __version__
from ...errors import InvalidInput, NotCertified
from ...models.stem.stem import Stem
from ...reporting import Progress, part_of
from ...traces.site import Site
from ...traces.trace import Trace
from ..learnt_from import LearntFrom
from ..modalities import Modality
from ..proof import check_times, unproven
from ..rules.code import digests_in
from ..rules.parser import Rule
from ..rules.zones import zones_in
from ..spec import CameraThreshold, FilterSpec, FilterStem
from .candidates import Candidate, EveryCandidate, RandomCandidate
from .contest import Contest
from .costs import Costs, counted_s, measured_s
from .entrants import Entrant
from .fit_loop import Epoch, one_thread
from .floors import Floor, Mask
from .free_gates import fit_free
from .graphs import save_filter
from .losses import Losses, answers_of
from .replay import LONGEST_S
from .selection import EQUAL, Choice, choose, choose_for_cameras
from .stem_view import StemView
from .sweep import Sweep, calibrate
from .workload import Workload, check_accuracy, check_worth, join_site, modality_of, read_inputs

MOST_INPUTS = 8000
_NEW = "it was learnt from several cameras, and nothing is proven for one that nobody has seen"


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
        decision_s: per candidate, what a decision takes here, as measured; nothing was chosen by it.
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
    source: Trace | Mapping[str, Trace],
    *,
    models: Sequence[str] = (),
    rule: Rule,
    accuracy: float,
    out: Path,
    modality: str = "",
    candidates: Sequence[str] = (),
    floors: Sequence[Floor] = (),
    stem: Stem | None = None,
    int8: bool = False,
    uncertified: bool = False,
    resume: bool = True,
    seed: int = 0,
    costs: Costs = counted_s,
    progress: Progress | None = None,
) -> FilterTraining:
    """Learns a filter for some of a trace's models (all, if none is named) and writes it to `out`.

    Of several cameras it is
    one filter with a threshold for each, and one for a camera that nobody has seen, of which nothing is proven.

    Args:
        source: the trace that is learnt from, or one of each camera; of longer ones, the newest `MOST_INPUTS` in all.
        models: whose outputs count.
        rule: what is redundant.
        accuracy: the least mean agreement with the models.
        out: the filter's file.
        modality: how inputs are seen that are no pictures; "": as the trace says.
        candidates: which compete, by name (`contest.py`); "all" of them; none: those that cost little to train.
        floors: least accuracies on a class or in slices.
        stem: whose features the candidate "stem" reads; None: it does not compete.
        int8: whether large weights are kept as int8: a quarter of the size; a stem stays as it is.
        uncertified: whether a filter is written although nothing is proven of it; its file then says so.
        resume: whether a training that was interrupted is resumed.
        seed: of everything that is drawn: same seed, same filter.
        costs: what a decision of a candidate costs, which is weighed against what it saves. `measured_s` asks this
            machine, which makes the choice hang on it.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: a trace is too short, the rule never or always fires, or what wins (of candidates that were not
            named) drops no more than what costs nothing.
        NotCertified: no threshold keeps the accuracy, or is proven to.
        UnknownModel: the trace has no such model.
    """
    site = Site.of(source)
    if not uncertified:
        for trace in site.values():
            check_times(trace)
    trainer = FilterTrainer.compete(
        site,
        models=models,
        rule=rule,
        accuracy=accuracy,
        modality=modality,
        candidates=candidates,
        floors=floors,
        stem=stem,
        int8=int8,
        checkpoint=out if resume else None,
        seed=seed,
        costs=costs,
        progress=progress,
    )
    return trainer.finish(out, accuracy=accuracy, useless=bool(candidates), uncertified=uncertified)


@dataclass(frozen=True)
class FilterTrainer:
    """Candidates that were trained and run over the calibration part; any number of filters can be chosen from them.

    Attributes:
        contest: made the candidates.
        entered: the candidates, in the order of preference.
        sweeps: what each threshold of each of them brought on the calibration part.
        references: the same for free gates, which stand in the table but can't win.
        costs_s: what a decision of each of the candidates costs, in seconds.
        floors: where in the calibration part a least accuracy of its own holds.
        site: what it is learnt from.
        began_s: when the training began, by `time.perf_counter`.
    """

    contest: Contest
    entered: Sequence[Entrant]
    sweeps: Sequence[Sweep]
    references: Sequence[Sweep]
    costs_s: Sequence[float]
    floors: Sequence[Mask]
    site: Site
    began_s: float

    @classmethod
    def compete(
        cls,
        source: Trace | Mapping[str, Trace],
        *,
        models: Sequence[str] = (),
        rule: Rule,
        accuracy: float,
        modality: str = "",
        candidates: Sequence[str] = (),
        floors: Sequence[Floor] = (),
        stem: Stem | None = None,
        int8: bool = False,
        checkpoint: Path | None = None,
        seed: int = 0,
        costs: Costs = counted_s,
        progress: Progress | None = None,
    ) -> Self:
        """Trains the candidates and tries their thresholds; nothing is chosen yet.

        The arguments are those of `train_filter`; `accuracy` is the least that will be asked for.
        """
        began_s = time.perf_counter()
        check_accuracy(accuracy)
        site = Site.of(source)
        trace, split = join_site(site, most=MOST_INPUTS)
        losses = Losses(trace, tuple(dict.fromkeys(models)) or tuple(trace.models), rule)
        check_worth(losses, split, accuracy)
        modality = modality_of(trace, modality)
        calibration = slice(split.calibrated, split.stop)
        masks = [mask.within(calibration) for floor in floors for mask in floor.on(trace, losses)]
        with one_thread():
            inputs = read_inputs(trace, losses, modality, inputs=split.trained, progress=part_of(progress, 0.0, 0.1))
            seen = StemView.beside(stem, trace, modality)
            work = Workload(trace, losses, split, inputs, modality, seed, seen)
            contest = Contest(work, int8=int8, checkpoint=checkpoint, progress=part_of(progress, 0.1, 0.8))
            entered = contest.enter(candidates)
            sweeps = _calibrated(work, [each.candidate for each in entered], part_of(progress, 0.8, 1.0))
            references = _calibrated(work, _references(work, entered))
        costs_s = [costs(each, work) for each in entered]
        return cls(contest, entered, sweeps, references, costs_s, masks, site, began_s)

    def finish(self, out: Path, *, accuracy: float, useless: bool = True, uncertified: bool = False) -> FilterTraining:
        """Chooses the best for an accuracy and writes it.

        Args:
            out: the filter's file.
            accuracy: the least mean agreement with the models.
            useless: whether a filter is written even if it is no better than what costs nothing.
            uncertified: whether it is written although nothing is proven of it.

        Raises:
            InvalidInput: the best candidate is useless.
            NotCertified: no candidate keeps the accuracy at any threshold, or is proven to.
        """
        check_accuracy(accuracy)
        work = self.contest.work
        choice = choose(
            self.sweeps,
            accuracy=accuracy,
            floors=self.floors,
            references=self.references,
            costs=[cost_s / self._models_s if self._models_s else 0.0 for cost_s in self.costs_s],
        )
        cameras = self._cameras(choice, accuracy)
        if not uncertified:
            check_times(work.trace)
            check_certified(choice, what=f"an accuracy of {accuracy:g}", cameras=cameras)
        if not useless:
            self._check_useful(choice, accuracy)
        winner = next(each for each in self.entered if each.candidate.name == choice.name)
        spec = filter_spec(
            work, choice, accuracy=accuracy, modality=winner.modality, stem=winner.stem, compared=winner.compared
        )
        if cameras:
            spec = spec.model_copy(update=_of_site(choice) | {"cameras": cameras})
        save_filter(out, winner.graph, spec)
        self.contest.clear()
        return FilterTraining(
            path=out,
            spec=spec,
            trained=work.split.trained,
            calibrated=work.split.stop - work.split.calibrated,
            redundant=None if work.losses.pairwise else float(1.0 - work.losses.needed.mean()),
            curves={each.candidate.name: each.curve for each in self.entered if each.curve},
            decision_s={each.candidate.name: measured_s(each, work) for each in self.entered},
            seconds=time.perf_counter() - self.began_s,
        )

    def _cameras(self, choice: Choice, accuracy: float) -> dict[str, CameraThreshold]:
        """What the winner does at each of several cameras."""
        split = self.contest.work.split
        if not split.cameras:
            return {}
        parts = {
            name: slice(start - split.calibrated, stop - split.calibrated)
            for name, (start, stop) in split.cameras.items()
        }
        found = choose_for_cameras(
            next(each for each in self.sweeps if each.name == choice.name),
            parts,
            accuracy=accuracy,
            competed=len(self.sweeps),
            floors=self.floors,
            references=self.references,
        )
        return {
            name: CameraThreshold(
                threshold=each.threshold,
                certificate=unproven(each.certificate, self.site[name]),
                table=each.table,
                learnt_from=LearntFrom.of(self.site[name]),
            )
            for name, each in found.items()
        }

    @property
    def _models_s(self) -> float:
        """What the models take for an input, as far as it was recorded."""
        work = self.contest.work
        recorded = work.trace.info.costs
        return sum(recorded[name].infer_s for name in work.losses.models if name in recorded)

    def _check_useful(self, choice: Choice, accuracy: float) -> None:
        """Of frames whose answer is held, the free gates are candidates themselves, and may well win."""
        if self.contest.work.losses.pairwise:
            return
        certified = choice.certificate.certified
        found = {each.name: choice.candidates[each.name] for each in self.references}
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


def _of_site(choice: Choice) -> dict[str, Any]:
    """What a filter of several cameras says of one that nobody has seen: nothing is proven there."""
    found = choice.certificate.model_copy(
        update={"certified": False, "upper_bound": 1.0, "more_runs": 0, "method": f"none: {_NEW}"}
    )
    table = tuple(level.model_copy(update={"upper_bound": 1.0}) for level in choice.table)
    return {"certificate": found, "table": table, "learnt_from": None}


def check_certified(choice: Choice, *, what: str, cameras: Mapping[str, CameraThreshold] | None = None) -> None:
    """Refuses what is not proven; of several cameras, at any of them.

    Raises:
        NotCertified: with what was found, and how much more it takes.
    """
    found = choice.certificate
    if cameras:
        if any(each.certificate.certified for each in cameras.values()):
            return
        missing = ", ".join(f"{name} {each.certificate.more_runs or '?'}" for name, each in cameras.items())
        raise NotCertified(
            f"nothing is certified to keep {what} at any camera; that would probably take so many more runs of each: "
            f"{missing}; ask for less, or have it without a proof with --uncertified"
        )
    if found.certified:
        return
    more = f"some {found.more_runs} more runs would probably do" if found.more_runs else "record a longer trace"
    raise NotCertified(
        f"nothing is certified to keep {what}: on the {found.inputs} calibration inputs, worth "
        f"{found.runs:.0f} independent runs, the best candidate, {choice.name}, dropped {found.rate:.3f} "
        f"with an error of {found.error:.3f}, at most {found.upper_bound:.3f} with {found.confidence:.0%} confidence; "
        f"{more}, ask for less, or have it without a proof with --uncertified (what was learnt is kept beside it in "
        "*.training, so that another try takes seconds)"
    )


def _calibrated(work: Workload, candidates: Sequence[Candidate], progress: Progress | None = None) -> list[Sweep]:
    sweeps = []
    for i, candidate in enumerate(candidates):
        if progress is not None:
            progress(i / len(candidates), f"calibrating: {candidate.name}")
        sweeps.append(calibrate(candidate, work))
    if progress is not None:
        progress(1.0, "choosing")
    return sweeps


def _references(work: Workload, entered: Sequence[Entrant]) -> list[Candidate]:
    """Free gates: a random draw that is certified for next to nothing must not win over what is learnt."""
    free: list[Candidate] = [RandomCandidate(len(work.trace), seed=work.seed), EveryCandidate()]
    names = {each.candidate.name for each in entered}
    return [each for each in free if each.name not in names]


def filter_spec(
    work: Workload,
    choice: Choice,
    *,
    accuracy: float,
    modality: Modality | None,
    stem: FilterStem | None = None,
    compared: Mapping[str, tuple[int, ...]] | None = None,
) -> FilterSpec:
    """What the file of the winner says of itself."""
    trace, losses = work.trace, work.losses
    return FilterSpec(
        kind=choice.name,
        rule=losses.rule.text,
        zones=zones_in(losses.rule),
        rule_files=digests_in(losses.rule),
        models={model: trace.info.digests.get(model, "") for model in losses.models},
        outputs={model: trace.models[model].output for model in losses.models},
        reference="last kept" if losses.pairwise else "previous",
        threshold=choice.threshold,
        accuracy=accuracy,
        step_s=work.replay.step_s,
        longest_s=LONGEST_S if losses.pairwise else None,
        answers=answers_of(trace, losses),
        modality=modality,
        stem=stem,
        compared=dict(compared or {}),
        certificate=unproven(choice.certificate, trace),
        table=choice.table,
        candidates=choice.candidates,
        floors=choice.floors,
        learnt_from=LearntFrom.of(trace),
        free=fit_free(work.replay, work.split.calibrated, work.split.stop, choice.certificate.rate),
        versions={"infilink": __version__, "torch": str(torch.__version__), "onnx": onnx.__version__},
        seed=work.seed,
    )
