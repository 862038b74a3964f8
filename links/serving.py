"""Serves one stream under a plan: which models run on each input, and the answers for all of them."""

import math
import time
from collections.abc import Callable, Container, Mapping, Sequence

import numpy as np

from ..errors import InvalidInput, UnknownModel
from ..models.spec import ModelSpec
from ..outputs import Array
from .answer import Answer, Exact
from .expectation.live import LiveExpectation
from .expectation.logistic import log_odds, probability
from .graph import LinkGraph
from .planning.plan import Plan
from .table import AGE_EDGES_S, ASSUMED_EMPTY, STEM, assumed_held, bucket
from .trust.live import LiveTrust
from .way import Way

# Behind a filter inputs come in bursts, which is when outputs change: a lull of four turns pays for four of them.
_MOST_TURNS = 4.0


class Serving:
    """Serves one stream under one plan; call `due`, run what it names and the residents, then `complete`.

    Args:
        graph: the links; None: whatever does not run is held.
        plan: what runs.
        models: every model's spec; needed when there is no graph.
        local: the models that run on every input of the stream whatever the plan says: on its device.
        live: what earlier streams of the same device have shown of trust; None: nothing.
        expectation: what they have shown of how often answers agree; None: nothing.
        clock: Unix time; when trust was calibrated is told by it.

    Attributes:
        live: what the stream itself has shown of how far its answers may be trusted. A model that has its turn, or
            runs for an audit, is compared with what would have been served for it on that very input.
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
        for name in (*plan.resident, *plan.rotating):
            if name not in self.models:
                raise UnknownModel(name, tuple(self.models))
        self.expectation = expectation if expectation is not None else LiveExpectation(tuple(self.models))
        self._place = {name: at for at, name in enumerate(self.models)}
        self._turns: dict[str, float] = {}
        self._counted_s = math.inf
        self._last: dict[str, Exact] = {}
        self._last_s: dict[str, float] = {}
        self._then: dict[str, dict[str, Exact]] = {}

    def due(self, captured_s: float, *, audit: bool = False, wanted: Container[str] = ()) -> tuple[str, ...]:
        """The rotating models to run on the input captured then, beside the residents; all of them on the first.

        On average each has a turn every `refresh_s`. Up to three turns that nothing was sent for are saved up, so that
        inputs that come less often than the turns, or in bursts, make up for it. An audit has all of them run and takes
        no turn. Where only some models are wanted, the others keep their turn.
        """
        if audit:
            return tuple(name for name in self.plan.rotating if not wanted or name in wanted)
        passed_s = max(0.0, captured_s - self._counted_s)
        self._counted_s = captured_s
        due = []
        for name, refresh_s in self.plan.refresh_s.items():
            turns = min(_MOST_TURNS, self._turns.get(name, 1.0) + passed_s / refresh_s)
            # What was just added up in floating point may be a hair less than a whole turn.
            if turns >= 1.0 - 1e-6 and (not wanted or name in wanted):
                due.append(name)
                turns -= 1.0
            self._turns[name] = turns
        return tuple(due)

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
        known = ran | self._seen(features)
        shifts = self.expectation.shifts(self.expectation.rank(score))
        return {name: self._answer(name, captured_s, known, shifts) for name in self.models if name not in ran}

    def complete(
        self,
        captured_s: float,
        exact: Mapping[str, Array],
        *,
        features: Array | None = None,
        score: float | None = None,
        escalated: Container[str] = (),
    ) -> dict[str, Answer]:
        """Every model's answer for one input, from the outputs of those that ran on it.

        Args:
            captured_s: when it was captured.
            exact: the outputs.
            features: what the links' stem makes of the input; None: nobody looked.
            score: what the device's filter thought of it; None: there is none.
            escalated: the models that ran because of what was expected of their answers on this very input: they show
                nothing of how far others may be trusted.

        Raises:
            UnknownModel: an output is of no model known here.
            InvalidInput: an output does not fit its model.
        """
        ran = {name: self._exact(name, value) for name, value in exact.items()}
        looked = self._seen(features)
        known, rank = ran | looked, self.expectation.rank(score)
        self._compare(captured_s, ran, looked, rank, escalated)
        self.expectation.saw(score)
        shifts = self.expectation.shifts(rank)
        for name, value in ran.items():
            self._last[name], self._last_s[name] = value, captured_s
            self._then[name] = known
        return {
            name: Answer(ran[name].value, 1.0, "executed", (), "exact")
            if name in ran
            else self._answer(name, captured_s, known, shifts)
            for name in self.models
        }

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

    def _compare(
        self,
        captured_s: float,
        ran: Mapping[str, Exact],
        looked: Mapping[str, Exact],
        rank: float,
        escalated: Container[str],
    ) -> None:
        """Compares what models said on this input with what would have been answered, had each not run.

        Residents and the device's own always run: nobody is served anything else for them. What is expected was decided
        on before others ran, and is moved by every comparison; trust by those alone that are a fair sample. Most inputs
        are answered from what always runs, some also from what has its turn: trust is in both where they differ.
        """
        if self.graph is None:
            self._compare_held(captured_s, ran, rank)
            return
        always = {name: value for name, value in ran.items() if name in self.plan.resident or name in self.local}
        shifts = self.expectation.shifts(rank)
        for name, exact in ran.items():
            if name in always or name not in self.graph.models:
                continue
            seen = None
            for now in ({**always, **looked}, {**ran, **looked}):
                ways = self._ways(self.graph, name, captured_s, now, shifts)
                if seen is None:
                    self._expected(self.graph, name, captured_s, now, ways, exact, rank)
                way = ways[0]
                # A constant before the model ever ran tells nothing of the answers after that.
                told = (way.origin, way.sources)
                if name in escalated or told == seen or (name not in self._last and way.origin == "constant"):
                    break
                seen = told
                self.live.observe(
                    name,
                    self.models[name].output,
                    self._by(self.graph, name, captured_s, now, way),
                    exact.value,
                    never=name not in self._last,
                    age=self._age(name, captured_s),
                    captured_s=captured_s,
                    now_s=self._clock(),
                )

    def _compare_held(self, captured_s: float, ran: Mapping[str, Exact], rank: float) -> None:
        """The same where there are no links."""
        for name, exact in ran.items():
            last, output = self._last.get(name), self.models[name].output
            if name in self.plan.resident or name in self.local:
                continue
            way, odds, value = "constant", float(log_odds(ASSUMED_EMPTY)), output.empty()
            if last is not None:
                way, value = "held", last.value
                odds = float(log_odds(assumed_held(self._age_s(name, captured_s) or 0.0)))
            self.expectation.observe(name, way, odds, output.agreement(value, exact.value), rank=rank)

    def _expected(
        self,
        graph: LinkGraph,
        name: str,
        captured_s: float,
        now: Mapping[str, Exact],
        ways: Sequence[Way],
        exact: Exact,
        rank: float,
    ) -> None:
        output = self.models[name].output
        for way in ways:
            answer = self._by(graph, name, captured_s, now, way)
            self.expectation.observe(
                name, way.origin, way.learnt, output.agreement(answer.value, exact.value), rank=rank
            )

    def _answer(self, name: str, captured_s: float, ran: Mapping[str, Exact], shifts: Array) -> Answer:
        last = self._last.get(name)
        if self.graph is not None and name in self.graph.models:
            way = self._ways(self.graph, name, captured_s, ran, shifts)[0]
            answer = self._by(self.graph, name, captured_s, ran, way)
            return self.live.apply(name, answer, never=last is None, age=self._age(name, captured_s))
        output, (held, _, constant) = self.models[name].output, shifts[self._place[name]].tolist()
        if last is None:
            return Answer(
                output.empty(), float(probability(log_odds(ASSUMED_EMPTY) + constant)), "constant", output=output
            )
        odds = log_odds(assumed_held(self._age_s(name, captured_s) or 0.0)) + held
        return Answer(last.value, float(probability(odds)), "held", output=output)

    def _ways(
        self, graph: LinkGraph, name: str, captured_s: float, now: Mapping[str, Exact], shifts: Array
    ) -> list[Way]:
        """How a model may be answered for from the outputs of `now`, the best first."""
        age_s = self._age_s(name, captured_s) or 0.0
        return graph.ways(
            name, now, self._last.get(name), age_s, self._then.get(name, {}), shifts=shifts[self._place[name]]
        )

    def _by(self, graph: LinkGraph, name: str, captured_s: float, now: Mapping[str, Exact], way: Way) -> Answer:
        """The answer by one of those."""
        age_s = self._age_s(name, captured_s) or 0.0
        return graph.answer_by(name, way, now, self._last.get(name), age_s, self._then.get(name, {}))

    def _age_s(self, name: str, captured_s: float) -> float | None:
        """How old a model's last output is; None: it never ran."""
        then = self._last_s.get(name)
        if then is None:
            return None
        # Where a clock was set back it is not known how old the last output is: it is not taken to be fresh.
        return captured_s - then if captured_s >= then else AGE_EDGES_S[-1]

    def _age(self, name: str, captured_s: float) -> int:
        return bucket(self._age_s(name, captured_s))
