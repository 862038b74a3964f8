"""How a run compares with the full run on the same frames."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...device.results import Results
from ...models.spec import ModelSpec
from ...outputs import Array
from ...traces.events import EventScore, events_of, presence, score_events
from .daemons import Run

ORIGINS = ("executed", "linked", "held", "constant", "reused", "skipped")


@dataclass(frozen=True)
class Score:
    """A run's figures. Shares are from 0 to 1; None where there was nothing to compare, or where it never came.

    Attributes:
        frames: how many frames the source gave.
        agreement: with the full run, the mean over all frames and models.
        agreement_linked: the same over the outputs that links predicted on the frames that were sent.
        agreement_skipped: the same over the frames that were not sent.
        events: how many there were: a class that a model of the full run sees for at least half a second.
        events_found: of those, how many an answer states while they last.
        event_recall: the share.
        event_interval: where it lies with 95 % confidence.
        found_within_2s: share of the events that is found within two seconds.
        delay_p50_s: the median time from an event's start to the frame whose answer states it.
        false_minutes: minutes a day in which an answer states an event and there is none.
        filtering_rate: share of the frames that were not sent.
        throughput_fps: frames of the source per second of wall time, with whatever else the machine did.
        sent_bytes: the size of what the agent sent.
        bandwidth_saved: 1 - sent_bytes over the full run's.
        executions: how often any model ran.
        cpu_s: the processors' time inside the models, over all executions.
        cpu_saved: 1 - cpu_s over the full run's.
        budget_bytes: the memory that the models were allowed; 0 without a budget.
        peak_bytes: the most that they were measured to take.
        budget_violations: how many measurements were over the budget.
        wall_s: how long the run took, without the start of the daemons.
        loads: how often a model was loaded after the start.
        by_model: agreement per model.
    """

    frames: int
    agreement: float
    agreement_linked: float | None
    agreement_skipped: float | None
    events: int
    events_found: int
    event_recall: float | None
    event_interval: tuple[float, float]
    found_within_2s: float | None
    delay_p50_s: float | None
    false_minutes: float
    filtering_rate: float
    throughput_fps: float
    sent_bytes: int
    bandwidth_saved: float
    executions: int
    cpu_s: float
    cpu_saved: float
    budget_bytes: int
    peak_bytes: int
    budget_violations: int
    wall_s: float
    loads: int
    by_model: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The fields, as report.json has them."""
        return asdict(self)


@dataclass(frozen=True)
class Compared:
    """A run's score, and the outputs that it is made of.

    Attributes:
        score: the totals.
        agreement: float32 (models, frames).
        origin: index into `ORIGINS`, int8 (models, frames).
        kept: whether a frame was sent, bool (frames,).
        captured_s: when each frame was captured, float64 (frames,).
    """

    score: Score
    agreement: Array
    origin: Array
    kept: Array
    captured_s: Array


def compare(run: Run, full: Run, specs: dict[str, ModelSpec]) -> Compared:
    """Scores a run against the full run, frame by frame, model by model, and event by event."""
    there: dict[str, Array] = {}
    stated: dict[str, Array] = {}
    with Results(run.results) as served, Results(full.results) as exact:
        kept, captured_s = np.asarray(served.kept, bool), np.asarray(served.captured_s)
        agreement = np.empty((len(specs), len(kept)), np.float32)
        origin = np.empty((len(specs), len(kept)), np.int8)
        for row, (name, spec) in enumerate(specs.items()):
            ours, theirs = served.served(name), exact.served(name)
            agreement[row] = [spec.output.agreement(*pair) for pair in zip(ours, theirs, strict=True)]
            origin[row] = [ORIGINS.index(text) for text in served.origins(name)]
            there |= {f"{name}: {what}": each for what, each in presence(theirs, spec.output).items()}
            stated |= {f"{name}: {what}": each for what, each in presence(ours, spec.output).items()}
    events = {what: events_of(what, each, captured_s) for what, each in there.items()}
    found = score_events(events, there, stated, captured_s)
    score = _score(run, full, agreement, origin, kept, list(specs), found)
    return Compared(score, agreement, origin, kept, captured_s)


def _score(
    run: Run, full: Run, agreement: Array, origin: Array, kept: Array, names: list[str], found: EventScore
) -> Score:
    cpu_s = _cpu_s(run)
    return Score(
        frames=len(kept),
        agreement=float(agreement.mean()),
        agreement_linked=_mean(agreement[(origin == ORIGINS.index("linked")) & kept[None]]),
        agreement_skipped=_mean(agreement[:, ~kept]),
        events=found.events,
        events_found=found.found,
        event_recall=found.recall,
        event_interval=found.interval,
        found_within_2s=found.within[2.0] if found.events else None,
        delay_p50_s=found.delay_p50_s if math.isfinite(found.delay_p50_s) else None,
        false_minutes=found.false_minutes,
        filtering_rate=float(1 - kept.mean()),
        throughput_fps=len(kept) / run.agent["wall_s"],
        sent_bytes=int(run.agent["sent_bytes"]),
        bandwidth_saved=1 - run.agent["sent_bytes"] / full.agent["sent_bytes"],
        executions=sum(model["executions"] for model in run.status["models"].values()),
        cpu_s=cpu_s,
        cpu_saved=1 - cpu_s / _cpu_s(full),
        budget_bytes=run.status["budget_bytes"],
        peak_bytes=run.status["peak_bytes"],
        budget_violations=run.status["budget_violations"],
        wall_s=float(run.agent["wall_s"]),
        loads=sum(model["loads"] for model in run.status["models"].values()),
        by_model={name: float(row.mean()) for name, row in zip(names, agreement, strict=True)},
    )


def _cpu_s(run: Run) -> float:
    return float(sum(model["cpu_s"] for model in run.status["models"].values()))


def _mean(values: Array) -> float | None:
    return float(values.mean()) if values.size else None
