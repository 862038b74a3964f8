"""Which models run on which input under a plan, and the answers for all of them: the state between two inputs."""

import math
from collections.abc import Mapping

import numpy as np

from ..errors import InvalidInput, UnknownModel
from ..models import ModelSpec
from ..outputs import Array
from .graph import Exact, Linked, LinkGraph
from .plan import Plan

_MOST_TURNS = 2.0


class Serving:
    """Serves one stream under one plan; call `due`, run what it names and the residents, then `complete`.

    Args:
        graph: the links; None: whatever does not run is held.
        plan: what runs.
        models: every model's spec; needed when there is no graph.
    """

    def __init__(self, graph: LinkGraph | None, plan: Plan, *, models: Mapping[str, ModelSpec] | None = None) -> None:
        self.graph = graph
        self.plan = plan
        self.models = dict(models if models is not None else graph.models if graph is not None else {})
        for name in (*plan.resident, *plan.rotating):
            if name not in self.models:
                raise UnknownModel(name, tuple(self.models))
        self._turns: dict[str, float] = {}
        self._counted_s = math.inf
        self._last: dict[str, Exact] = {}
        self._last_s: dict[str, float] = {}
        self._then: dict[str, dict[str, Exact]] = {}

    def due(self, captured_s: float, *, audit: bool = False) -> tuple[str, ...]:
        """The rotating models to run on the input captured then, beside the residents; all of them on the first.

        On average each has a turn every `refresh_s`. One turn that nothing was sent for is saved up, so that inputs
        that come less often than the turns make up for it. An audit has all of them run and takes no turn.
        """
        if audit:
            return self.plan.rotating
        passed_s = max(0.0, captured_s - self._counted_s)
        self._counted_s = captured_s
        due = []
        for name, refresh_s in self.plan.refresh_s.items():
            turns = min(_MOST_TURNS, self._turns.get(name, 1.0) + passed_s / refresh_s)
            # What was just added up in floating point may be a hair less than a whole turn.
            if turns >= 1.0 - 1e-6:
                due.append(name)
                turns -= 1.0
            self._turns[name] = turns
        return tuple(due)

    def complete(self, captured_s: float, exact: Mapping[str, Array]) -> dict[str, Linked]:
        """Every model's answer for one input, from the outputs of those that ran on it.

        Raises:
            UnknownModel: an output is of no model known here.
            InvalidInput: an output does not fit its model, or the input is older than the one before.
        """
        ran = {name: self._exact(name, value) for name, value in exact.items()}
        for name, value in ran.items():
            self._last[name], self._last_s[name] = value, captured_s
            self._then[name] = ran
        return {
            name: Linked(ran[name].value, 1.0, "executed", (), True)
            if name in ran
            else self._answer(name, captured_s, ran)
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

    def _answer(self, name: str, captured_s: float, ran: Mapping[str, Exact]) -> Linked:
        last = self._last.get(name)
        if self.graph is not None and name in self.graph.models:
            # A clock that was set back makes the last output new, not invalid.
            age_s = max(0.0, captured_s - self._last_s.get(name, captured_s))
            return self.graph.answer(name, ran, last, age_s, self._then.get(name, {}))
        if last is None:
            return Linked(self.models[name].output.empty(), 0.0, "constant")
        return Linked(last.value, 0.0, "held")
