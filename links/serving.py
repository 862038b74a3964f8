"""Serves one stream: the answers of all models, from the outputs of those that ran."""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InvalidInput, UnknownModel
from ..models.spec import ModelSpec
from ..outputs import Array
from .answer import Answer, Exact
from .expectation.live import LiveExpectation
from .expectation.logistic import log_odds, probability
from .expectation.usual import Usual
from .graph import LinkGraph
from .planning.plan import Plan
from .table import AGE_EDGES_S, ASSUMED_EMPTY, STEM, assumed_held, bucket
from .trust.live import LiveTrust
from .way import Way


class Serving:
    """Serves one stream; `preview` an input, run what is worth it, then `complete`.

    Args:
        graph: the links; None: whatever does not run is held.
        plan: whose residents run on every input.
        models: every model's spec; needed when there is no graph.
        local: the models that run on every input of the stream whatever the plan says: on its device.
        live: what earlier streams of the same device have shown of trust; None: nothing.
        expectation: what they have shown of how often answers agree; None: nothing.
        clock: Unix time; when trust was calibrated is told by it.

    Attributes:
        live: what the stream itself has shown of how far its answers may be trusted. A model that runs
            whatever was expected of its answer is compared with what would have been served on that very input.
        expectation: what it has shown of how often answers agree, from all such comparisons.
    """

    def __init__(
        self,
        graph: LinkGraph | None,
        plan: Plan,
        *,
        models: Mapping[str, ModelSpec] | None = None,
        local: Container[str] = (),
        live: LiveTrust | None = None,
        expectation: LiveExpectation | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.local = local
        self.live = live if live is not None else LiveTrust()
        self._clock = clock
        self.models = dict(models if models is not None else graph.models if graph is not None else {})
        for name in plan.resident:
            if name not in self.models:
                raise UnknownModel(name, tuple(self.models))
        self.expectation = expectation if expectation is not None else LiveExpectation(tuple(self.models))
        # A camera with links of its own is given these: what all cameras taught is left for those nobody knows.
        self.expectation.unknown = graph is not None and bool(graph.cameras)
        # What the device showed may be of more models than look at this stream.
        self._place = self.expectation.place
        self._at: _Input | None = None
        self._last: dict[str, Exact] = {}
        self._last_s: dict[str, float] = {}
        self._then: dict[str, dict[str, Exact]] = {}
        self._usual: dict[str, Usual] = {}

    def preview(
        self,
        captured_s: float,
        exact: Mapping[str, Array],
        *,
        features: Array | None = None,
        score: float | None = None,
    ) -> dict[str, Answer]:
        """What `complete` would answer for the models that did not run; everything stays as it is.

        Args:
            captured_s: when the input was captured.
            exact: the outputs of those that ran.
            features: what the links' stem makes of the input; None: nobody looked.
            score: what the device's filter thought of it, the more the likelier something happened; None: no filter.

        Raises:
            UnknownModel: an output is of no model known here.
            InvalidInput: an output does not fit its model.
        """
        ran = {name: self._exact(name, value) for name, value in exact.items()}
        at = self._looked_at(captured_s, features, score)
        return {name: self._answer(name, at, ran | at.looked) for name in self.models if name not in ran}

    def complete(
        self,
        captured_s: float,
        exact: Mapping[str, Array],
        *,
        features: Array | None = None,
        score: float | None = None,
        biased: Container[str] = (),
        is_late: bool = False,
    ) -> dict[str, Answer]:
        """Every model's answer for one input, from the outputs of those that ran on it.

        Args:
            captured_s: when it was captured.
            exact: the outputs.
            features: what the links' stem makes of the input; None: nobody looked.
            score: what the device's filter thought of it; None: there is none.
            biased: the models that ran because of what was expected of their answers on this very input: they show
                nothing of how far others may be trusted.
            is_late: it comes after inputs that were captured later: what these said stays what is held.

        Raises:
            UnknownModel: an output is of no model known here.
            InvalidInput: an output does not fit its model.
        """
        ran = {name: self._exact(name, value) for name, value in exact.items()}
        at = self._looked_at(captured_s, features, score)
        known = ran | at.looked
        self._compare(at, ran, biased)
        self.expectation.saw(score)
        for name, value in ran.items():
            if not is_late or name not in self._last:
                self._last[name], self._last_s[name] = value, captured_s
                self._then[name] = known
            self._learn(name, value)
        self._at = None
        return {
            name: Answer(ran[name].value, 1.0, "executed", (), "exact")
            if name in ran
            else self._answer(name, at, known)
            for name in self.models
        }

    def _learn(self, name: str, exact: Exact) -> None:
        """What a model usually says on the stream is told by its outputs; a resident is always known."""
        graph = self.graph
        if graph is None or name not in graph.models or name in self.plan.resident:
            return
        if name not in self._usual:
            constant = graph.exact(name, graph.constants[name])
            self._usual[name] = Usual(graph.models[name].output, constant, graph.tables[name].constant.validation)
        self._usual[name].observe(exact)

    def _looked_at(self, captured_s: float, features: Array | None, score: float | None) -> "_Input":
        """What is known of an input; the same that it was previewed with, so that nothing is worked out twice."""
        at = self._at
        if at is None or at.captured_s != captured_s or at.features is not features or at.score != score:
            rank = self.expectation.rank(score)
            shifts = self.expectation.shifts(rank)
            at = self._at = _Input(captured_s, features, score, self._seen(features), rank, shifts)
        return at

    def _exact(self, name: str, value: Array) -> Exact:
        if self.graph is not None and name in self.graph.models:
            return self.graph.exact(name, value)
        if name not in self.models:
            raise UnknownModel(name, tuple(self.models))
        try:
            return Exact(self.models[name].output.check(value), np.zeros(0, np.float32))
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error}") from error

    def _seen(self, features: Array | None) -> dict[str, Exact]:
        """The stem as a source."""
        if features is None or self.graph is None or self.graph.stem is None:
            return {}
        return {STEM: self.graph.seen(features)}

    def _compare(self, at: "_Input", ran: Mapping[str, Exact], biased: Container[str]) -> None:
        """Compares what models said on this input with what would have been answered, had each not run.

        Residents and the device's own always run: nobody is served anything else for them. What is expected was decided
        on before others ran, and is moved by every comparison; trust by those alone that are a fair sample. Most inputs
        are answered from what always runs, some also from what else ran: trust is in both where they differ.
        """
        always = {name: value for name, value in ran.items() if name in self.plan.resident or name in self.local}
        for name, exact in ran.items():
            if name in always:
                continue
            if self.graph is None or name not in self.graph.models:
                odds, value = self._held(name, at)
                agreed = self.models[name].output.agreement(value, exact.value)
                self.expectation.observe(name, "held" if name in self._last else "constant", odds, agreed, rank=at.rank)
                continue
            told: list[tuple[str, ...]] = []
            for now in ({**always, **at.looked}, {**ran, **at.looked}):
                ways = self._ways(self.graph, name, at, now)
                if not told:
                    self._expect(self.graph, name, at, now, ways, exact)
                way = ways[0]
                # A constant before the model ever ran tells nothing of the answers after that.
                if name in biased or (name not in self._last and way.origin == "constant"):
                    break
                if (way.origin, *way.sources) not in told:
                    told.append((way.origin, *way.sources))
                    self._audit(name, at, self._by(self.graph, name, at, now, way), exact)

    def _expect(
        self, graph: LinkGraph, name: str, at: "_Input", now: Mapping[str, Exact], ways: Sequence[Way], exact: Exact
    ) -> None:
        """Compares every way to answer with what the model said."""
        output = self.models[name].output
        for way in ways:
            agreed = output.agreement(self._by(graph, name, at, now, way).value, exact.value)
            self.expectation.observe(name, way.origin, way.learnt, agreed, rank=at.rank)

    def _audit(self, name: str, at: "_Input", answer: Answer, exact: Exact) -> None:
        """Compares what would have been served with what the model said: a fair sample of how far it may be trusted."""
        self.live.observe(
            name,
            self.models[name].output,
            answer,
            exact.value,
            never=name not in self._last,
            age=self._age(name, at.captured_s),
            captured_s=at.captured_s,
            now_s=self._clock(),
        )

    def _answer(self, name: str, at: "_Input", known: Mapping[str, Exact]) -> Answer:
        if self.graph is not None and name in self.graph.models:
            answer = self._by(self.graph, name, at, known, self._ways(self.graph, name, at, known)[0])
            return self.live.apply(name, answer, never=name not in self._last, age=self._age(name, at.captured_s))
        odds, value = self._held(name, at)
        held, _, constant = at.shifts[self._place[name]].tolist()
        output = self.models[name].output
        if name in self._last:
            return Answer(value, float(probability(odds + held)), "held", output=output)
        return Answer(value, float(probability(odds + constant)), "constant", output=output)

    def _held(self, name: str, at: "_Input") -> tuple[float, Array]:
        """What is answered without links, and the log-odds that are assumed of it."""
        if name not in self._last:
            return float(log_odds(ASSUMED_EMPTY)), self.models[name].output.empty()
        return float(log_odds(assumed_held(self._age_s(name, at.captured_s) or 0.0))), self._last[name].value

    def _ways(self, graph: LinkGraph, name: str, at: "_Input", now: Mapping[str, Exact]) -> list[Way]:
        """How a model may be answered for from the outputs of `now`, the best first."""
        last, age_s, then = self._last.get(name), self._age_s(name, at.captured_s) or 0.0, self._then.get(name, {})
        route = graph.answering.best_link(name, frozenset(now), None if last is None else age_s)
        shifts, usual = at.shifts[self._place[name]], self._usual.get(name)
        if route is not None and not set(route.sources) <= {STEM}:
            return graph.answering.ways(name, route, now, last, age_s, then, shifts=shifts, usual=usual)
        # From the stem or nothing it is the same whatever ran since.
        if name not in at.ways:
            at.ways[name] = graph.answering.ways(name, route, now, last, age_s, then, shifts=shifts, usual=usual)
        return at.ways[name]

    def _by(self, graph: LinkGraph, name: str, at: "_Input", now: Mapping[str, Exact], way: Way) -> Answer:
        """The answer by one of those."""
        answer = at.answers.get((name, way.origin)) if set(way.sources) <= {STEM, name} else None
        if answer is None:
            age_s = self._age_s(name, at.captured_s) or 0.0
            answer = graph.answering.answer_by(name, way, now, self._last.get(name), age_s, self._then.get(name, {}))
            if set(way.sources) <= {STEM, name}:
                at.answers[name, way.origin] = answer
        return answer

    def _age_s(self, name: str, captured_s: float) -> float | None:
        """How old a model's last output is; None: it never ran."""
        then = self._last_s.get(name)
        if then is None:
            return None
        # Where a clock was set back it is not known how old the last output is: it is not taken to be fresh.
        return captured_s - then if captured_s >= then else AGE_EDGES_S[-1]

    def _age(self, name: str, captured_s: float) -> int:
        return bucket(self._age_s(name, captured_s))


@dataclass(frozen=True)
class _Input:
    """One input of the stream.

    Attributes:
        captured_s: when it was captured.
        features: what the stem makes of it; None: nobody looked.
        score: what the device's filter thought of it.
        looked: the stem as a source.
        rank: of the score.
        shifts: what the stream has shown, on an input like that (models, ways).
        ways: how models may be answered for from the stem or nothing, worked out so far.
        answers: by those ways.
    """

    captured_s: float
    features: Array | None
    score: float | None
    looked: dict[str, Exact]
    rank: float
    shifts: Array
    ways: dict[str, list[Way]] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
