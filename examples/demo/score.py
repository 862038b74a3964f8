"""How a run compares with the full run on the same frames."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...device.results import Results
from ...models.spec import ModelSpec
from ...outputs import Array
from .daemons import Run

ORIGINS = ("executed", "linked", "held", "constant", "reused", "skipped")


@dataclass(frozen=True)
class Score:
    """A run's figures. Shares are from 0 to 1; an agreement is None where there was nothing to compare.

    Attributes:
        frames: how many frames the source gave.
        agreement: with the full run, the mean over all frames and models.
        agreement_linked: the same over the outputs that links predicted on the frames that were sent.
        agreement_skipped: the same over the frames that were not sent.
        filtering_rate: share of the frames that were not sent.
        throughput_fps: frames of the source per second of wall time.
        throughput_gain: that over the full run's.
        sent_bytes: the size of what the agent sent.
        bandwidth_saved: 1 - sent_bytes over the full run's.
        executions: how often any model ran.
        compute_s: the time inside the models, over all executions.
        compute_saved: 1 - compute_s over the full run's.
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
    filtering_rate: float
    throughput_fps: float
    throughput_gain: float
    sent_bytes: int
    bandwidth_saved: float
    executions: int
    compute_s: float
    compute_saved: float
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
    """

    score: Score
    agreement: Array
    origin: Array
    kept: Array


def compare(run: Run, full: Run, specs: dict[str, ModelSpec]) -> Compared:
    """Scores a run against the full run, frame by frame and model by model."""
    with Results(run.results) as served, Results(full.results) as exact:
        kept = np.asarray(served.kept, bool)
        agreement = np.empty((len(specs), len(kept)), np.float32)
        origin = np.empty((len(specs), len(kept)), np.int8)
        for row, (name, spec) in enumerate(specs.items()):
            pairs = zip(served.served(name), exact.served(name), strict=True)
            agreement[row] = [spec.output.agreement(ours, theirs) for ours, theirs in pairs]
            origin[row] = [ORIGINS.index(text) for text in served.origins(name)]
    return Compared(_score(run, full, agreement, origin, kept, list(specs)), agreement, origin, kept)


def _score(run: Run, full: Run, agreement: Array, origin: Array, kept: Array, names: list[str]) -> Score:
    compute_s = _compute_s(run)
    return Score(
        frames=len(kept),
        agreement=float(agreement.mean()),
        agreement_linked=_mean(agreement[(origin == ORIGINS.index("linked")) & kept[None]]),
        agreement_skipped=_mean(agreement[:, ~kept]),
        filtering_rate=float(1 - kept.mean()),
        throughput_fps=len(kept) / run.agent["wall_s"],
        throughput_gain=full.agent["wall_s"] / run.agent["wall_s"],
        sent_bytes=int(run.agent["sent_bytes"]),
        bandwidth_saved=1 - run.agent["sent_bytes"] / full.agent["sent_bytes"],
        executions=sum(model["executions"] for model in run.status["models"].values()),
        compute_s=compute_s,
        compute_saved=1 - compute_s / _compute_s(full),
        budget_bytes=run.status["budget_bytes"],
        peak_bytes=run.status["peak_bytes"],
        budget_violations=run.status["budget_violations"],
        wall_s=float(run.agent["wall_s"]),
        loads=sum(model["loads"] for model in run.status["models"].values()),
        by_model={name: float(row.mean()) for name, row in zip(names, agreement, strict=True)},
    )


def _compute_s(run: Run) -> float:
    return float(sum(model["infer_s"] for model in run.status["models"].values()))


def _mean(values: Array) -> float | None:
    return float(values.mean()) if values.size else None
