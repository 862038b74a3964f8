"""All links of one recording: predict any model's output from whichever others ran, by what was measured to be best."""

import logging
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from ..errors import InvalidInput, UnknownModel
from ..models.cost import ModelCost
from ..models.encoding.boxes import translate_boxes
from ..models.encoding.encoding import Encoding
from ..models.spec import ModelSpec
from ..outputs import Array, OutputSpec
from .answer import Answer, Exact
from .index import INDEX, Index
from .link import Link
from .table import Route, Table, bucket
from .trust.calibration import LEVELS
from .trust.certificate import ALPHA

logger = logging.getLogger(__name__)


class LinkGraph:
    """The models and the links between them.

    Args:
        models: each model's spec, the virtual ones among them: those that only links answer for.
        costs: what each costs, as the recording measured; of virtual models nothing.
        digests: each model file's digest, as the recording had it; virtual models have no file.
        tables: what was measured, by target.
        constants: the best constant output, by target.
        links: the links, by target; a target may have none.
        encodings: how outputs become vectors, by model.
        notes: where and on what the links were learnt.
    """

    def __init__(
        self,
        models: Mapping[str, ModelSpec],
        costs: Mapping[str, ModelCost],
        digests: Mapping[str, str],
        tables: Mapping[str, Table],
        constants: Mapping[str, Array],
        links: Mapping[str, Link],
        encodings: Mapping[str, Encoding],
        notes: Mapping[str, Any],
    ) -> None:
        self.models = dict(models)
        self.costs = dict(costs)
        self.digests = dict(digests)
        self.tables = dict(tables)
        self.constants = dict(constants)
        self.links = dict(links)
        self.encodings = dict(encodings)
        self.notes = dict(notes)
        self.calibrated_s = float(self.notes.get("calibrated_s", 0.0))
        self._routes: dict[tuple[str, frozenset[str], int], Route] = {}

    @classmethod
    def load(cls, folder: Path | str) -> "LinkGraph":
        """Reads what `train_links` wrote.

        Raises:
            InvalidInput: no such folder, or something in it is missing or damaged.
        """
        folder = Path(folder)
        index = Index.read(folder)
        if not index.certified:
            logger.warning(
                "%s: an earlier version certified these links as if inputs were independent, on what they were chosen "
                "on: none of that counts, and no linked answer is trusted; train the links again",
                folder,
            )
        links = {name: Link(folder / f"{name}.onnx") for name in index.links}
        for link in links.values():
            if dict(link.spec.digests) != dict(index.digests):
                raise InvalidInput(f"{link.path}: was trained with other models than {folder / INDEX} says")
        return cls(
            index.models,
            index.costs,
            index.digests,
            index.tables,
            index.constants,
            links,
            index.encodings,
            index.notes,
        )

    @property
    def virtual(self) -> dict[str, ModelSpec]:
        """The models that never run, as no file is behind them: a person's labels, which links learnt to say."""
        return {name: spec for name, spec in self.models.items() if spec.virtual}

    def check(
        self, links: Path | str, models: Mapping[str, ModelSpec], digests: Mapping[str, str], *, looks_at: str = "none"
    ) -> None:
        """Makes sure that models are the very ones the links were learnt from: their files, classes and modality.

        Args:
            links: what the links are called in an error.
            models: each model's spec.
            digests: each model file's digest.
            looks_at: what their inputs are, as a recording says it ("image", "array"); "none": not known.

        Raises:
            InvalidInput: a model is missing, or is another one.
        """
        for name, learnt in self.digests.items():
            again = (
                f"record again with the model that is here and train the links again, or bring back {name!r} as it was"
            )
            if name not in digests:
                raise InvalidInput(
                    f"{links}: model {name!r} is missing; the links were learnt with it (digest {learnt})"
                )
            if digests[name] != learnt:
                raise InvalidInput(
                    f"{links}: model {name!r} has digest {digests[name]} here, but the links were learnt with "
                    f"{learnt}: {again}"
                )
            here, known = models[name].output, self.models[name].output
            if here != known:
                raise InvalidInput(
                    f"{links}: model {name!r} says {_differing(here, known)} here, but the links were learnt with "
                    f"{_differing(known, here)}: {again}"
                )
        learnt_from = self.notes.get("input", "none")
        if "none" not in (looks_at, learnt_from) and looks_at != learnt_from:
            raise InvalidInput(
                f"{links}: was learnt from models that look at {learnt_from}s, those here look at {looks_at}s: "
                "train links on a recording of these"
            )

    def without_links(self) -> Self:
        """The same models, answered for by holding and constants only: what links are compared with."""
        tables = {name: table.without_links() for name, table in self.tables.items()}
        return type(self)(self.models, self.costs, self.digests, tables, self.constants, {}, self.encodings, self.notes)

    def with_tables(self, tables: Mapping[str, Table]) -> Self:
        """The same models and links, chosen by what was measured since."""
        return type(self)(
            self.models, self.costs, self.digests, tables, self.constants, self.links, self.encodings, self.notes
        )

    def exact(self, name: str, value: Array) -> Exact:
        """A model's exact output, checked and with its vector.

        Raises:
            UnknownModel: no model has that name.
            InvalidInput: the value does not fit the model's kind, or holds NaN.
        """
        if name not in self.models:
            raise UnknownModel(name, tuple(self.models))
        try:
            value = self.models[name].output.check(value)
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {error}") from error
        return Exact(value, self.encodings[name].encode(value))

    def choose(self, target: str, available: frozenset[str], age_s: float | None) -> Route:
        """How the target is answered for when `available` ran and its own last output is `age_s` old."""
        key = (target, available, bucket(age_s))
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = self.tables[target].choose(available - {target}, key[2])
        return route

    def predict(
        self,
        target: str,
        sources: Mapping[str, Array],
        *,
        last: Array | None = None,
        age_s: float | None = None,
        then: Mapping[str, Array] | None = None,
        alpha: float = ALPHA,
    ) -> Answer:
        """Predicts the target's output.

        Args:
            target: the model that did not run.
            sources: the exact outputs of the models that ran on this input.
            last: the target's own last exact output; None if it never ran.
            age_s: how old `last` is, in seconds of capture time.
            then: the exact outputs of other models on the input of `last`.
            alpha: the share of exact outputs that may lie outside the answer's region.

        Raises:
            UnknownModel: a name is not a model's.
            InvalidInput: a value does not fit its model's kind, or holds NaN; `last` without a valid `age_s`; `alpha`
                out of range.
        """
        if not LEVELS[0] <= alpha <= LEVELS[-1]:
            raise InvalidInput(f"alpha must be from {LEVELS[0]} to {LEVELS[-1]}, not {alpha}; {ALPHA} is usual")
        if last is not None and (age_s is None or not 0.0 <= age_s < float("inf")):
            raise InvalidInput(f"{target}: its last output needs an age of at least 0 s, not {age_s}")
        if target not in self.models:
            raise UnknownModel(target, tuple(self.models))
        return self.answer(
            target,
            {name: self.exact(name, value) for name, value in sources.items() if name != target},
            None if last is None else self.exact(target, last),
            age_s or 0.0,
            {name: self.exact(name, value) for name, value in (then or {}).items()},
            alpha=alpha,
        )

    def answer(
        self,
        target: str,
        now: Mapping[str, Exact],
        last: Exact | None,
        age_s: float,
        then: Mapping[str, Exact],
        *,
        alpha: float = ALPHA,
    ) -> Answer:
        """`predict` from outputs that are checked and have their vectors: what is called for every input."""
        route = self.choose(target, frozenset(now), None if last is None else age_s)
        measured = route.measured
        if route.origin == "constant":
            return self._linked(target, self.constants[target], measured.validation, route, alpha)
        if route.origin == "held":
            assert last is not None
            return self._linked(target, last.value, measured.validation, route, alpha)
        vector, confidence = self.links[target].predict(
            {name: now[name].vector for name in route.sources},
            {name: then[name].vector for name in route.sources if name in then},
            None if last is None else last.vector,
            age_s,
        )
        output = self.models[target].output
        hints = [translate_boxes(self.models[name].output, output, now[name].value) for name in route.sources]
        value = self.encodings[target].decode(
            vector,
            last=None if last is None else last.value,
            hints=[hint for hint in hints if hint is not None],
        )
        return self._linked(target, value, confidence, route, alpha)

    def _linked(self, target: str, value: Array, confidence: float, route: Route, alpha: float) -> Answer:
        measured = route.measured
        return Answer(
            value,
            confidence,
            route.origin,
            route.sources,
            route.trust(confidence, alpha),
            alpha,
            self.models[target].output,
            measured.calibration,
            self.calibrated_s,
            alpha,
        )


def _differing(one: OutputSpec, other: OutputSpec) -> str:
    """What one type of outputs says otherwise than another, in words; of classes the first that differs."""
    mine, theirs = one.model_dump(mode="json"), other.model_dump(mode="json")
    said = [f"{key} {value}" for key, value in mine.items() if key != "classes" and value != theirs[key]]
    if one.classes != other.classes:
        pairs = zip_longest(one.classes, other.classes)
        at, name = next((at, name) for at, (name, theirs) in enumerate(pairs) if name != theirs)
        said.append(f"{len(one.classes)} classes" + (f" (number {at} is {name!r})" if name is not None else ""))
    return ", ".join(said)
