"""What would be served on a block of a recording, where ages of last outputs and what else ran are drawn at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...outputs import Array
from ..expectation.expectation import WAYS
from ..expectation.logistic import log_odds, probability
from ..table import NEVER, STEM, Table
from .fit_linear import FittedLinear
from .measure import Cases, TargetCases
from .predictor import Predictor


@dataclass(frozen=True)
class Served:
    """One answer for each input of a block, in the order of time.

    Attributes:
        inputs: the inputs (n,).
        ways: which of `WAYS` answers (n,).
        confidences: how probably it agrees, as it is said (n,).
        agreements: whether it does (n,).
    """

    inputs: Array
    ways: Array
    confidences: Array
    agreements: Array

    @classmethod
    def draw(
        cls,
        table: Table,
        cases: TargetCases,
        block: Cases,
        link: Predictor | None,
        *,
        never: bool,
        alone: float,
        seed: int,
    ) -> Self:
        """Draws the age of the last output for each input, and what else ran on it.

        Args:
            table: what was measured.
            cases: of the same target.
            block: on which it is served.
            link: what predicts it; None: nothing does.
            never: whether the model never ran before.
            alone: on which share of inputs nothing else runs; on the others what one of the links reads.
            seed: of the draws.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(block.inputs))
        order = order[(block.ages[order] == NEVER) == never]
        _, first = np.unique(block.places[order], return_index=True)
        rows = order[first]
        stem = frozenset([STEM] if link is not None and link.reads_stem else ())
        reads = [stem.union(each) for each in table.linked] or [stem]
        which = np.where(rng.random(len(rows)) < alone, -1, rng.integers(len(reads), size=len(rows)))
        available = [stem if at < 0 else reads[at] for at in which.tolist()]
        pairs = zip(available, block.ages[rows].tolist(), strict=True)
        routes = [table.best_link(each, age) for each, age in pairs]
        sources = [None if route is None else route.sources for route in routes]
        inputs, earlier = block.inputs[rows], block.earlier[rows]
        odds = np.zeros((len(rows), len(WAYS)))
        said = np.zeros((len(rows), len(WAYS)))
        reached = np.zeros((len(rows), len(WAYS)))
        reached[:, 0] = cases.judge.held(inputs, earlier)
        reached[:, 2] = cases.judge.constant(cases.constant, inputs)
        expects = isinstance(link, FittedLinear) and link.expectation is not None
        told = [
            each if each is not None else (STEM,) if STEM in there else ()
            for each, there in zip(sources, available, strict=True)
        ]
        for chosen in dict.fromkeys(told):
            at = np.flatnonzero([each == chosen for each in told])
            if isinstance(link, FittedLinear) and expects:
                vectors, odds[at] = link.odds(inputs[at], earlier[at], chosen)
                said[at] = probability(odds[at])
                reached[at, 1] = cases.judge.linked(vectors, inputs[at], earlier[at], [chosen] * len(at))
                continue
            ages_s = cases.judge.samples.ages(inputs[at], earlier[at])
            odds[at, 0] = [log_odds(table.held_at(age_s)) if np.isfinite(age_s) else 0.0 for age_s in ages_s]
            odds[at, 2] = log_odds(table.constant.validation)
            said[at] = probability(odds[at])
            linked = at[[sources[row] is not None for row in at]]
            if link is not None and len(linked):
                odds[linked, 1] = [log_odds(routes[row].measured.validation) for row in linked]
                vectors, said[linked, 1] = link(inputs[linked], earlier[linked], chosen)
                reached[linked, 1] = cases.judge.linked(
                    vectors, inputs[linked], earlier[linked], [chosen] * len(linked)
                )
        can_link = np.asarray([each is not None and (bool(each) or not never) for each in sources], np.bool_)
        odds[~can_link, 1] = -np.inf
        odds[:, 0] = -np.inf if never else odds[:, 0]
        # Of equals what is held, then the constant, as where it is served.
        ways = np.asarray([0, 2, 1])[odds[:, [0, 2, 1]].argmax(axis=1)] if len(rows) else np.zeros(0, np.int64)
        each = np.arange(len(rows))
        return cls(inputs, ways, said[each, ways], reached[each, ways])

    @classmethod
    def together(cls, served: Sequence["Served"]) -> Self:
        """Several of the same block, in the order of time."""
        inputs = np.concatenate([each.inputs for each in served])
        order = np.argsort(inputs, kind="stable")
        parts = zip(*((each.ways, each.confidences, each.agreements) for each in served), strict=True)
        return cls(inputs[order], *(np.concatenate(part)[order] for part in parts))

    def by(self, way: str) -> "Served":
        """Those that are answered in that way."""
        at = self.ways == WAYS.index(way)
        return Served(self.inputs[at], self.ways[at], self.confidences[at], self.agreements[at])
