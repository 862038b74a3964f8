"""Events that a stream's answers find, beside what is free at the same number of executions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...models.spec import ModelSpec
from ...outputs import Array
from ...traces.events import EventScore, events_of, presence, score_events
from .tally import Tally

OURS = "links"
WAYS = {
    OURS: "as served",
    "held": "the same inputs run, the last output held",
    "constant": "the same inputs run, else the best constant",
    "every K-th": "as many inputs run, evenly spread, the last output held",
    "round robin": "as many inputs run in all, the same of every model, the last output held",
}
"""The ways to answer that are compared; all of them together run as many models on inputs as ours does."""


@dataclass(frozen=True)
class TargetEvents:
    """How the events in one model's outputs were found.

    Attributes:
        executed: on how many inputs the model ran.
        ways: what every way of `WAYS` found.
    """

    executed: int
    ways: Mapping[str, EventScore]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what is never, or not known, is None."""
        return {"executed": self.executed, "ways": {way: _plain(asdict(score)) for way, score in self.ways.items()}}


def score_links(
    models: Mapping[str, ModelSpec],
    tally: Tally,
    outputs: Mapping[str, Sequence[Array]],
    constants: Mapping[str, Array],
    captured_s: Array,
) -> dict[str, TargetEvents]:
    """The events of every model whose outputs state any.

    Args:
        models: each model's spec.
        tally: of the answers as they were served.
        outputs: the exact outputs.
        constants: each model's best constant.
        captured_s: when each input was captured.
    """
    running = [name for name in outputs if not models[name].virtual]
    each = sum(len(tally.ran[name]) for name in running) / max(1, len(running))
    found = {}
    for name, values in outputs.items():
        spec, ran = models[name].output, np.asarray(tally.ran[name], np.int64)
        there = presence(values, spec)
        events = {what: events_of(what, on, captured_s) for what, on in there.items()}
        if not any(events.values()):
            continue
        constant = {what: bool(on[0]) for what, on in presence([constants[name]], spec).items()}
        exact = np.isin(np.arange(len(values)), ran)
        turns = ran if models[name].virtual else _evenly(len(values), round(each))
        stated = {
            OURS: presence(tally.served[name], spec),
            "held": _held(there, constant, ran),
            "constant": {what: np.where(exact, on, constant[what]) for what, on in there.items()},
            "every K-th": _held(there, constant, _evenly(len(values), len(ran))),
            "round robin": _held(there, constant, turns),
        }
        found[name] = TargetEvents(
            len(ran), {way: score_events(events, there, states, captured_s) for way, states in stated.items()}
        )
    return found


def verdict(found: Mapping[str, TargetEvents]) -> str:
    """What came of all events together, and whether something free found more of them."""
    total = sum(target.ways[OURS].events for target in found.values())
    if not total:
        return "events: none in this recording: it says nothing of how many links would find"
    hits = {way: sum(target.ways[way].found for target in found.values()) for way in WAYS}
    false = {way: sum(target.ways[way].false_minutes for target in found.values()) for way in WAYS}
    best = max((way for way in WAYS if way != OURS), key=lambda way: (hits[way], -false[way]))
    ours, free = (f"{hits[way]} with {false[way]:.0f} false minutes a day" for way in (OURS, best))
    ahead = ": what is free is ahead" if hits[best] > hits[OURS] else ""
    return f"events: of {total} ({len(found)} models) links found {ours}, {best}, at as many executions, {free}{ahead}"


def _held(there: Mapping[str, Array], constant: Mapping[str, bool], ran: Array) -> dict[str, Array]:
    """What is stated where a model ran on some inputs (rising) and its last output is held."""
    inputs = len(next(iter(there.values())))
    at = np.searchsorted(ran, np.arange(inputs), side="right") - 1
    rows = ran[np.maximum(at, 0)] if len(ran) else at
    return {what: np.where(at < 0, constant[what], on[rows]) for what, on in there.items()}


def _evenly(inputs: int, runs: int) -> Array:
    """So many of the inputs, evenly spread, the first among them."""
    return np.unique(np.arange(min(runs, inputs)) * inputs // max(1, min(runs, inputs)))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return list(value) if isinstance(value, tuple) else value
