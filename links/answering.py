"""Answers for a model that does not run, from what is known of one input: by which ways, and by one of them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from ..models.encoding.boxes import translate_boxes
from ..models.encoding.encoding import Encoding
from ..models.spec import ModelSpec
from ..outputs import Array
from .answer import Answer, Exact
from .expectation.logistic import log_odds, probability
from .expectation.usual import Usual
from .linear.link import LinearLink
from .link import Link
from .table import STEM, Measured, Route, Table, bucket
from .trust.certificate import ALPHA
from .way import Way

_ROUTES = 4096
"""So many choices of a link are remembered, by what ran and how old the last output is."""


class Answering:
    """Of all models of a graph; what is the same for every input is worked out once.

    Args:
        models: each model's spec.
        tables: what was measured, by target.
        constants: the best constant output, by target.
        links: the links, by target; a target may have none.
        encodings: how outputs become vectors, by model.
        calibrated_s: Unix time of what was measured; 0: not known.
        unknown: whether those who are answered are cameras that nothing was learnt from. How their outputs age is told
            by the tables then: what other cameras' inputs tell of it holds there less.
    """

    def __init__(
        self,
        models: Mapping[str, ModelSpec],
        tables: Mapping[str, Table],
        constants: Mapping[str, Array],
        links: Mapping[str, Link | LinearLink],
        encodings: Mapping[str, Encoding],
        calibrated_s: float,
        *,
        unknown: bool = False,
    ) -> None:
        self.models = models
        self.tables = tables
        self.constants = constants
        self.links = links
        self.encodings = encodings
        self.calibrated_s = calibrated_s
        self.unknown = unknown
        # The same models run together again and again; with many there is no end to what may.
        self._route = lru_cache(maxsize=_ROUTES)(self._best_link)
        self._constants: dict[str, Array] = {}

    def best_link(self, target: str, available: frozenset[str], age_s: float | None) -> Route | None:
        """The link from what is there that was measured to be the best; None: there is none.

        Args:
            target: the model that did not run.
            available: what ran, and the stem if it looked.
            age_s: how old the target's last output is; None: it never ran.
        """
        return self._route(target, available, bucket(age_s))

    def _best_link(self, target: str, available: frozenset[str], age: int) -> Route | None:
        return self.tables[target].best_link(available - {target}, age)

    def ways(
        self,
        target: str,
        route: Route | None,
        now: Mapping[str, Exact],
        last: Exact | None,
        age_s: float,
        then: Mapping[str, Exact],
        *,
        shifts: Array | None = None,
        usual: Usual | None = None,
    ) -> list[Way]:
        """How the target may be answered for on this input, the way that most probably agrees first.

        Args:
            target: the model that did not run.
            route: as `best_link` gives it.
            now: the exact outputs of those that ran, and what the stem saw.
            last: the target's own last exact output; None: it never ran.
            age_s: how old that is.
            then: what was known on the input of `last`.
            shifts: what the stream itself has shown, as log-odds of each of `WAYS` (3,).
            usual: what the target usually says on the stream; None: the learnt constant.
        """
        table, link, vector = self.tables[target], self.links.get(target), None
        own = usual if usual is not None and usual.adapted else None
        held = 0.0 if last is None else float(log_odds(table.held_at(age_s)))
        linked = 0.0 if route is None else float(log_odds(route.measured.validation))
        constant = float(log_odds(table.constant.validation if own is None else own.share))
        if isinstance(link, LinearLink) and link.expectation is not None:
            vector, expected = link.expect(
                route.sources if route is not None else link.told(now),
                now,
                then,
                last,
                age_s,
                self._constant_vector(target) if own is None else own.exact.vector[: self.encodings[target].length],
                reached=None if own is None else own.share,
            )
            linked = expected[1]
            if not self.unknown:
                held, _, constant = expected
        moved = (0.0, 0.0, 0.0) if shifts is None else shifts.tolist()
        found = [Way("constant", (), table.constant, constant + moved[2], constant)]
        if own is not None:
            # It comes from the target's own outputs: another way, of which the recording certified nothing.
            measured = Measured(own.share, own.share)
            found = [Way("constant", (target,), measured, constant + moved[2], constant, value=own.exact.value)]
        if last is not None:
            found.insert(0, Way("held", (), table.held[bucket(age_s)], held + moved[0], held))
        # A link from nothing at all is but another constant.
        if route is not None and (route.sources or last is not None):
            found.append(Way("linked", route.sources, route.measured, linked + moved[1], linked, vector))
        return sorted(found, key=lambda way: -way.odds)

    def answer_by(
        self,
        target: str,
        way: Way,
        now: Mapping[str, Exact],
        last: Exact | None,
        age_s: float,
        then: Mapping[str, Exact],
        *,
        alpha: float = ALPHA,
    ) -> Answer:
        """The answer by one of `ways`, of the same input."""
        if way.origin == "constant":
            return self._answered(target, self.constants[target] if way.value is None else way.value, way, alpha)
        if way.origin == "held":
            assert last is not None
            return self._answered(target, last.value, way, alpha)
        vector = way.vector
        if vector is None:
            vector, said = self.links[target].predict(
                {name: now[name].vector for name in way.sources},
                {name: then[name].vector for name in way.sources if name in then},
                None if last is None else last.vector,
                age_s,
            )
            learnt = float(log_odds(said))
            way = replace(way, odds=learnt + way.odds - way.learnt, learnt=learnt)
        output = self.models[target].output
        hints = [
            translate_boxes(self.models[name].output, output, now[name].value) for name in way.sources if name != STEM
        ]
        value = self.encodings[target].decode(
            vector,
            last=None if last is None else last.value,
            hints=[hint for hint in hints if hint is not None],
        )
        return self._answered(target, value, way, alpha)

    def _answered(self, target: str, value: Array, way: Way, alpha: float) -> Answer:
        confidence = way.confidence
        return Answer(
            value,
            confidence,
            way.origin,
            way.sources,
            way.trust(min(confidence, float(probability(way.learnt))), alpha),
            alpha,
            self.models[target].output,
            way.measured.calibration,
            self.calibrated_s,
            alpha,
        )

    def _constant_vector(self, target: str) -> Array:
        if target not in self._constants:
            encoding = self.encodings[target]
            self._constants[target] = encoding.encode(self.constants[target])[: encoding.length]
        return self._constants[target]
