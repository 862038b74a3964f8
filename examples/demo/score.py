"""How a policy's answers compare with the models' own on the same inputs: agreement, events, and what it took."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...outputs import Array, OutputSpec
from ...traces.events import GAP_S, WITHIN_S, clusters_of, delays, distinct, events_of, presence, worth
from .recorded import Site
from .served import ORIGINS, Served, Stream

_DAY_S = 86_400.0


@dataclass(frozen=True)
class Score:
    """A policy's figures. Shares are from 0 to 1; None where there was nothing to compare, or where it never came.

    Attributes:
        inputs: how many the cameras gave.
        agreement: with the models' own outputs, the mean over cameras, models and inputs.
        agreement_linked: the same over the outputs that links predicted.
        agreement_held: over those that were held, or the constant.
        agreement_skipped: over the inputs that were not sent.
        events: how many there were: a class that a model sees for at least half a second.
        events_found: of those, how many an answer states while they last.
        event_recall: the share.
        event_clusters: how many independent events they are worth.
        found_within_2s: share of the events that is found within two seconds.
        delay_p50_s: the median time from an event's start to the answer that states it.
        false_minutes: minutes a camera and day in which an answer states an event and there is none.
        filtering_rate: share of the inputs of which nothing was sent.
        sent_bytes: the size of what the devices sent.
        executions: how often any model ran.
        executions_share: of the full run's.
        cpu_s: the processors' time inside the models.
        cpu_share: of the full run's.
        peak_bytes: the most that the models took.
        budget_violations: how many measurements were over the budget.
        loads: how often a model was loaded after the start.
        by_model: agreement per model.
        by_camera: agreement per camera.
    """

    inputs: int
    agreement: float
    agreement_linked: float | None
    agreement_held: float | None
    agreement_skipped: float | None
    events: int
    events_found: int
    event_recall: float | None
    event_clusters: float
    found_within_2s: float | None
    delay_p50_s: float | None
    false_minutes: float
    filtering_rate: float
    sent_bytes: int
    executions: int
    executions_share: float
    cpu_s: float
    cpu_share: float
    peak_bytes: int
    budget_violations: int
    loads: int
    by_model: dict[str, float]
    by_camera: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The fields, as report.json has them."""
        return asdict(self)


@dataclass(frozen=True)
class Compared:
    """A score, and what it is made of.

    Attributes:
        score: the totals.
        agreement: by camera: float32 (models, inputs).
    """

    score: Score
    agreement: Mapping[str, Array]


def compare(served: Served, site: Site) -> Compared:
    """Scores a policy over the inputs that it served, which may be fewer than the site has."""
    agreement = {
        camera: np.stack(
            [
                _agreements(spec.output, stream.values[name], site.cameras[camera].outputs[name])
                for name, spec in site.specs.items()
            ]
        ).astype(np.float32)
        for camera, stream in served.streams.items()
    }
    flat = np.concatenate(list(agreement.values()), axis=1)
    origin = np.concatenate([each.origin for each in served.streams.values()], axis=1)
    kept = np.concatenate([each.kept for each in served.streams.values()])
    sent = kept[None].repeat(len(flat), axis=0)
    inputs = flat.shape[1]
    executions, cpu_s = sum(served.executions.values()), sum(served.cpu_s.values())
    full_s = inputs * sum(cost.infer_s for cost in site.costs.values())
    score = Score(
        inputs=inputs,
        agreement=float(np.mean([each.mean() for each in agreement.values()])),
        agreement_linked=_mean(flat[sent & (origin == ORIGINS.index("linked"))]),
        agreement_held=_mean(flat[sent & np.isin(origin, [ORIGINS.index("held"), ORIGINS.index("constant")])]),
        agreement_skipped=_mean(flat[:, ~kept]),
        **_events(served, site),
        filtering_rate=float(1 - kept.mean()),
        sent_bytes=served.sent_bytes,
        executions=executions,
        executions_share=executions / flat.size,
        cpu_s=cpu_s,
        cpu_share=cpu_s / full_s,
        peak_bytes=served.peak_bytes,
        budget_violations=served.violations,
        loads=served.loads,
        by_model={name: float(row.mean()) for name, row in zip(site.specs, flat, strict=True)},
        by_camera={name: float(each.mean()) for name, each in agreement.items()},
    )
    return Compared(score, agreement)


def agreements(camera: str, stream: Stream, site: Site) -> Array:
    """Of every answer of a camera with the model's own: float32 (models, inputs)."""
    theirs = site.cameras[camera].outputs
    rows = [_agreements(spec.output, stream.values[name], theirs[name]) for name, spec in site.specs.items()]
    return np.stack(rows).astype(np.float32)


def _agreements(output: OutputSpec, ours: Any, theirs: Any) -> Array:
    theirs = theirs[: len(ours)]
    a, b = output.compact(ours), output.compact(theirs)
    if a is None or b is None:
        return np.asarray([output.agreement(*pair) for pair in zip(ours, theirs, strict=True)])
    return output.agreements(a, b)


def _events(served: Served, site: Site) -> dict[str, Any]:
    late_s: list[float] = []
    independent = false_s = watched_s = 0.0
    for camera, stream in served.streams.items():
        count = len(stream.kept)
        at_s = site.cameras[camera].captured_s[:count]
        there: dict[str, Array] = {}
        stated: dict[str, Array] = {}
        for name, spec in site.specs.items():
            theirs = presence(site.cameras[camera].outputs[name][:count], spec.output)
            ours = presence(stream.values[name], spec.output)
            there |= {f"{name}: {what}": each for what, each in theirs.items()}
            stated |= {f"{name}: {what}": each for what, each in ours.items()}
        events = {what: events_of(what, each, at_s) for what, each in there.items()}
        counted = distinct(events)
        late_s += delays(counted, stated, at_s).tolist()
        independent += worth(clusters_of(counted))
        stands_s = np.minimum(np.append(np.diff(at_s), np.median(np.diff(at_s))), GAP_S)
        false_s += float(stands_s[_false(events, there, stated)].sum())
        watched_s += float(stands_s.sum())
    late = np.asarray(late_s)
    delay = float(np.quantile(late, 0.5, method="inverted_cdf")) if len(late) else math.inf
    return {
        "events": len(late),
        "events_found": int(np.isfinite(late).sum()),
        "event_recall": _mean(np.isfinite(late)),
        "event_clusters": independent,
        "found_within_2s": _mean(late <= WITHIN_S[0] + 1e-6),
        "delay_p50_s": delay if math.isfinite(delay) else None,
        "false_minutes": false_s / watched_s * _DAY_S / 60,
    }


def _false(events: Mapping[str, Any], there: Mapping[str, Array], stated: Mapping[str, Array]) -> Array:
    """On which inputs something is stated that is not there, outside its events."""
    false = np.zeros(len(next(iter(there.values()))), bool)
    for what, truth in there.items():
        true = truth.copy()
        for event in events[what]:
            true[event.first : event.last + 1] = True
        false |= stated[what] & ~true
    return false


def _mean(values: Array) -> float | None:
    return float(values.mean()) if values.size else None
