"""Serves one stream under a plan: which models run on each input, and the answers for all of them."""

import math
import time
from collections.abc import Callable, Container, Mapping

import numpy as np

from ..errors import InvalidInput, UnknownModel
from ..models.spec import ModelSpec
from ..outputs import Array
from .answer import Answer, Exact
from .graph import LinkGraph
from .planning.plan import Plan
from .table import STEM, bucket
from .trust.live import LiveTrust

# Behind a filter inputs come in bursts, which is when outputs change: a lull of four turns pays for four of them.
_MOST_TURNS = 4.0


class Serving:
    """Serves one stream under one plan; call `due`, run what it names and the residents, then `complete`.

    Args:
        graph: the links; None: whatever does not run is held.
        plan: what runs.
        models: every model's spec; needed when there is no graph.
        local: the models that run on every input of the stream whatever the plan says: on its device.
        live: what earlier streams of the same device have shown; None: nothing.
        clock: Unix time; when trust was calibrated is told by it.

    Attributes:
        live: what the stream itself has shown of how far its answers may be trusted. A model that has its turn, or
            runs for an audit, is compared with what would have been served for it on that very input.
    """

    def __init__(
        self,
        graph: LinkGraph | None,
        plan: Plan,
        *,
        models: Mapping[str, ModelSpec] | None = None,
        local: Container[str] = (),
        live: LiveTrust | None = None,
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
        self, captured_s: float, exact: Mapping[str, Array], *, features: Array | None = None
    ) -> dict[str, Answer]:
        """What `complete` would answer for the models that did not run; everything stays as it is.

        Raises:
            UnknownModel: an output is of no model known here.
            InvalidInput: an output does not fit its model.
        """
        ran = {name: self._exact(name, value) for name, value in exact.items()}
        known = ran | self._seen(features)
        return {name: self._answer(name, captured_s, known) for name in self.models if name not in ran}

    def complete(
        self,
        captured_s: float,
        exact: Mapping[str, Array],
        *,
        features: Array | None = None,
        escalated: Container[str] = (),
    ) -> dict[str, Answer]:
        """Every model's answer for one input, from the outputs of those that ran on it.

        Args:
            captured_s: when it was captured.
            exact: the outputs.
            features: what the links' stem makes of the input; None: nobody looked.
            escalated: the models that ran because their answers were not trusted: they tell nothing of the others.

        Raises:
            UnknownModel: an output is of no model known here.
            InvalidInput: an output does not fit its model.
        """
        ran = {name: self._exact(name, value) for name, value in exact.items()}
        looked = self._seen(features)
        known = ran | looked
        self._audit(captured_s, {name: value for name, value in ran.items() if name not in escalated}, looked)
        for name, value in ran.items():
            self._last[name], self._last_s[name] = value, captured_s
            self._then[name] = known
        return {
            name: Answer(ran[name].value, 1.0, "executed", (), "exact")
            if name in ran
            else self._answer(name, captured_s, known)
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

    def _audit(self, captured_s: float, ran: Mapping[str, Exact], looked: Mapping[str, Exact]) -> None:
        """Compares what models said on this input with what would have been served, had each not run.

        Residents and the device's own always run: nobody is served anything else for them. Most inputs of the others
        are answered from these alone, some also from those whose turn it is: both are compared where they differ.
        """
        if self.graph is None:
            return
        always = {name: value for name, value in ran.items() if name in self.plan.resident or name in self.local}
        for name, exact in ran.items():
            if name in always or name not in self.graph.models:
                continue
            last, age = self._last.get(name), self._age(name, captured_s)
            seen = None
            for now in ({**always, **looked}, {**ran, **looked}):
                route = self.graph.choose(name, frozenset(now), self._age_s(name, captured_s))
                # A constant before the model ever ran tells nothing of the answers after that.
                if route == seen or (last is None and route.origin == "constant"):
                    continue
                seen = route
                answer = self._recorded(self.graph, name, captured_s, now)
                self.live.observe(
                    name,
                    self.models[name].output,
                    answer,
                    exact.value,
                    never=last is None,
                    age=age,
                    captured_s=captured_s,
                    now_s=self._clock(),
                )

    def _answer(self, name: str, captured_s: float, ran: Mapping[str, Exact]) -> Answer:
        last = self._last.get(name)
        if self.graph is not None and name in self.graph.models:
            answer = self._recorded(self.graph, name, captured_s, ran)
            return self.live.apply(name, answer, never=last is None, age=self._age(name, captured_s))
        output = self.models[name].output
        if last is None:
            return Answer(output.empty(), 0.0, "constant", output=output)
        return Answer(last.value, 0.0, "held", output=output)

    def _recorded(self, graph: LinkGraph, name: str, captured_s: float, now: Mapping[str, Exact]) -> Answer:
        """What the links answer from the outputs of `now`, whatever was seen live."""
        return graph.answer(
            name, now, self._last.get(name), self._age_s(name, captured_s) or 0.0, self._then.get(name, {})
        )

    def _age_s(self, name: str, captured_s: float) -> float | None:
        """How old a model's last output is; None: it never ran."""
        then = self._last_s.get(name)
        # A clock that was set back makes the last output new, not invalid.
        return None if then is None else max(0.0, captured_s - then)

    def _age(self, name: str, captured_s: float) -> int:
        return bucket(self._age_s(name, captured_s))
