"""An input that a model ran on tells how each way to answer for it does now, from the others that ran on it."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...models.encoding.boxes import translate_boxes
from ...outputs import Array
from ..answer import Exact
from ..graph import LinkGraph
from ..link import Situation
from ..table import NEVER, STEM, bucket
from .posterior import Seen

_REMEMBERED = 32
_FEW = 3


@dataclass(frozen=True)
class _Before:
    """An earlier input of the same stream, and how old it is by now."""

    outputs: Mapping[str, Exact]
    age_s: float | None


class Profiler:
    """Compares every way to answer with the exact outputs, on one stream.

    Outputs of earlier profiled inputs stand in for a model's last output, so that every age that occurs is seen, and
    not only the one that the plan happens to leave.

    Args:
        graph: the links, and the table of ways that are compared.
    """

    def __init__(self, graph: LinkGraph) -> None:
        self.graph = graph
        self._past: deque[tuple[float, Mapping[str, Exact]]] = deque(maxlen=_REMEMBERED)

    def observe(
        self,
        captured_s: float,
        exact: Mapping[str, Array],
        *,
        features: Array | None = None,
        targets: Iterable[str] | None = None,
        thorough: bool = True,
    ) -> list[Seen]:
        """What an input shows on which models ran: as many as could, or a part.

        Args:
            captured_s: when it was captured.
            exact: their outputs.
            features: what the links' stem makes of it; None: nobody looked.
            targets: those of them to judge; None: all.
            thorough: every way at every age that is at hand, some milliseconds for each model; else the last output's
                own age and the few links that promise most at it.

        Raises:
            UnknownModel: an output is of no model of the graph.
            InvalidInput: an output does not fit its model.
        """
        now = {name: self.graph.exact(name, value) for name, value in exact.items()}
        judged = tuple(now) if targets is None else targets
        if features is not None and self.graph.stem is not None:
            now[STEM] = self.graph.seen(features)
        found = [seen for target in judged for seen in self._compare(target, now, captured_s, thorough)]
        self._past.append((captured_s, now))
        return found

    def _compare(self, target: str, now: Mapping[str, Exact], captured_s: float, thorough: bool) -> Iterator[Seen]:
        table, output, said = self.graph.tables[target], self.graph.models[target].output, now[target].value
        constant = output.agreement(self.graph.constants[target], said)
        yield Seen(target, "constant", (), NEVER, constant)
        befores = self._befores(target, captured_s)
        if not thorough:
            # In the order of age: the first is what really was its last output.
            youngest = next((age for age in befores if age != NEVER), NEVER)
            befores = {youngest: befores[youngest]}
        for age, before in befores.items():
            if age != NEVER:
                yield Seen(target, "held", (), age, output.agreement(before.outputs[target].value, said))
        ways = [sources for sources in table.linked if now.keys() >= set(sources)]
        if not thorough:
            (age,) = befores
            ways = sorted(ways, key=lambda sources: -table.linked[sources][age].validation)[:_FEW]
        if target in self.graph.links and ways:
            yield from self._linked(target, ways, now, befores)

    def _befores(self, target: str, captured_s: float) -> dict[int, _Before]:
        """The newest earlier input for each age bucket, and none at all."""
        found = {NEVER: _Before({}, None)}
        for then_s, outputs in reversed(self._past):
            age_s = captured_s - then_s
            if target in outputs and age_s >= 0.0:
                found.setdefault(bucket(age_s), _Before(outputs, age_s))
        return found

    def _linked(
        self, target: str, ways: Sequence[tuple[str, ...]], now: Mapping[str, Exact], befores: Mapping[int, _Before]
    ) -> Iterator[Seen]:
        """Every link at every age, in one call."""
        link, encoding, output = (
            self.graph.links[target],
            self.graph.encodings[target],
            self.graph.models[target].output,
        )
        cases = [(sources, age) for sources in ways for age in befores]
        situations = []
        for sources, age in cases:
            before = befores[age]
            last = before.outputs.get(target)
            situations.append(
                Situation(
                    {name: now[name].vector for name in sources},
                    {name: before.outputs[name].vector for name in sources if name in before.outputs},
                    None if last is None else last.vector,
                    before.age_s or 0.0,
                )
            )
        vectors, _ = link.predict_situations(situations)
        for vector, (sources, age) in zip(vectors, cases, strict=True):
            last = befores[age].outputs.get(target)
            hints = [
                translate_boxes(self.graph.models[name].output, output, now[name].value)
                for name in sources
                if name != STEM
            ]
            value = encoding.decode(
                vector, last=None if last is None else last.value, hints=[hint for hint in hints if hint is not None]
            )
            yield Seen(target, "linked", sources, age, output.agreement(value, now[target].value))


def by_target(seen: Iterable[Seen]) -> dict[str, list[Seen]]:
    """The same, by the model that was answered for."""
    found: dict[str, list[Seen]] = {}
    for one in seen:
        found.setdefault(one.target, []).append(one)
    return found
