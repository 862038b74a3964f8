"""All links of one recording: predict any model's output from whichever others ran, by what was measured to be best."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import InvalidInput, UnknownModel
from ..models.cost import ModelCost
from ..models.encoding.boxes import translate_boxes
from ..models.encoding.encoding import Encoding
from ..models.spec import ModelSpec
from ..models.stem.stem import Stem
from ..outputs import Array, OutputSpec
from .answer import Answer, Exact
from .expectation.logistic import log_odds, probability
from .index import CAMERAS, Index, cameras_in
from .linear.link import LinearLink, share_bases
from .link import Link
from .reading import read_links, read_stem
from .table import STEM, Route, Table, bucket
from .trust.calibration import LEVELS
from .trust.certificate import ALPHA
from .way import Way


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
        stem: makes the features that stand for an input itself among the sources; None: the links read none.
        cameras: what opens the links of each camera that has some of its own, by name.
    """

    def __init__(
        self,
        models: Mapping[str, ModelSpec],
        costs: Mapping[str, ModelCost],
        digests: Mapping[str, str],
        tables: Mapping[str, Table],
        constants: Mapping[str, Array],
        links: Mapping[str, Link | LinearLink],
        encodings: Mapping[str, Encoding],
        notes: Mapping[str, Any],
        stem: Stem | None = None,
        cameras: Mapping[str, Callable[[], "LinkGraph"]] | None = None,
    ) -> None:
        self.models = dict(models)
        self.costs = dict(costs)
        self.digests = dict(digests)
        self.tables = dict(tables)
        self.constants = dict(constants)
        self.links = dict(links)
        self.encodings = dict(encodings)
        self.notes = dict(notes)
        self.stem = stem
        share_bases([link for link in self.links.values() if isinstance(link, LinearLink)])
        self._cameras = dict(cameras or {})
        self._opened: dict[str, LinkGraph] = {}
        self.calibrated_s = float(self.notes.get("calibrated_s", 0.0))
        self._routes: dict[tuple[str, frozenset[str], int], Route | None] = {}
        self._constants: dict[str, Array] = {}

    @classmethod
    def load(cls, folder: Path | str) -> "LinkGraph":
        """Reads what `train_links` wrote; of a site's links those that all cameras taught (`camera` has each one's).

        Raises:
            InvalidInput: no such folder, or something in it is missing or damaged.
        """
        folder = Path(folder)
        index = Index.read(folder)
        stem = read_stem(folder, index.stem)
        own = {name: partial(cls._read, folder / CAMERAS / name, folder, stem) for name in cameras_in(folder)}
        return cls._read(folder, folder, stem, index, own)

    @classmethod
    def _read(
        cls,
        folder: Path,
        top: Path,
        stem: Stem | None,
        index: Index | None = None,
        cameras: Mapping[str, Callable[[], "LinkGraph"]] | None = None,
    ) -> "LinkGraph":
        """Reads a folder of links; what it shares with the folder that it is in, `top`, lies there."""
        index = index or Index.read(folder)
        links = read_links(folder, top, index, stem)
        return cls(
            index.models,
            index.costs,
            index.digests,
            index.tables,
            index.constants,
            links,
            index.encodings,
            index.notes,
            stem if index.stem else None,
            cameras,
        )

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras that have links of their own; none where one recording was learnt from."""
        return tuple(self._cameras)

    def knows(self, camera: str) -> bool:
        """Whether a camera has links of its own."""
        return camera in self._cameras

    def camera(self, name: str) -> "LinkGraph":
        """The links of a camera: its own, else these, which all cameras taught.

        Raises:
            InvalidInput: something in its folder is missing or damaged.
        """
        if name in self._cameras and name not in self._opened:
            self._opened[name] = self._cameras[name]()
        return self._opened.get(name, self)

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
        cameras: dict[str, Callable[[], LinkGraph]] = {name: partial(self._free_camera, name) for name in self._cameras}
        return type(self)(
            self.models,
            self.costs,
            self.digests,
            tables,
            self.constants,
            {},
            self.encodings,
            self.notes,
            cameras=cameras,
        )

    def _free_camera(self, name: str) -> "LinkGraph":
        return self.camera(name).without_links()

    def with_tables(self, tables: Mapping[str, Table]) -> Self:
        """The same models and links, chosen by what was measured since."""
        return type(self)(
            self.models,
            self.costs,
            self.digests,
            tables,
            self.constants,
            self.links,
            self.encodings,
            self.notes,
            self.stem,
            self._cameras,
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

    def seen(self, features: Array, digest: str = "") -> Exact:
        """What the stem says of an input, as a source of links.

        Args:
            features: as it gives them, (length,).
            digest: of the stem that gave them; empty: this one.

        Raises:
            InvalidInput: the links read no stem, or another one; or these are none of its features.
        """
        if self.stem is None:
            raise InvalidInput("features of a stem were given, and these links read none")
        if digest not in ("", self.stem.digest):
            raise InvalidInput(
                f"features of a stem with digest {digest}, and these links read that with {self.stem.digest}: give the "
                "device the `stem.onnx` of the links' folder, or train the links with its stem"
            )
        values = np.asarray(features, np.float32)
        if values.shape != (self.stem.spec.length,) or not np.isfinite(values).all():
            raise InvalidInput(f"a stem's features must be {self.stem.spec.length} finite numbers")
        return Exact(values, values)

    def predict(
        self,
        target: str,
        sources: Mapping[str, Array],
        *,
        last: Array | None = None,
        age_s: float | None = None,
        then: Mapping[str, Array] | None = None,
        features: Array | None = None,
        features_then: Array | None = None,
        alpha: float = ALPHA,
    ) -> Answer:
        """Predicts the target's output.

        Args:
            target: the model that did not run.
            sources: the exact outputs of the models that ran on this input.
            last: the target's own last exact output; None if it never ran.
            age_s: how old `last` is, in seconds of capture time.
            then: the exact outputs of other models on the input of `last`.
            features: what the links' stem makes of this input; None: not known.
            features_then: what it made of the input of `last`.
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
        before = {name: self.exact(name, value) for name, value in (then or {}).items()}
        now = {name: self.exact(name, value) for name, value in sources.items() if name != target}
        if features is not None:
            now[STEM] = self.seen(features)
        if features_then is not None:
            before[STEM] = self.seen(features_then)
        return self.answer(
            target, now, None if last is None else self.exact(target, last), age_s or 0.0, before, alpha=alpha
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
        """`predict` from outputs that are checked and have their vectors: what is called for every input.

        What the stem saw stands among them, under the name `STEM`.
        """
        route = self.best_link(target, frozenset(now), None if last is None else age_s)
        way = self.ways(target, route, now, last, age_s, then)[0]
        return self.answer_by(target, way, now, last, age_s, then, alpha=alpha)

    def best_link(self, target: str, available: frozenset[str], age_s: float | None) -> Route | None:
        """The link from what is there that was measured to be the best; None: there is none.

        Args:
            target: the model that did not run.
            available: what ran, and the stem if it looked.
            age_s: how old the target's last output is; None: it never ran.
        """
        key = (target, available, bucket(age_s))
        if key not in self._routes:
            self._routes[key] = self.tables[target].best_link(available - {target}, key[2])
        return self._routes[key]

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
        """
        table, link, vector = self.tables[target], self.links.get(target), None
        if isinstance(link, LinearLink) and link.expectation is not None:
            sources = route.sources if route is not None else link.told(now)
            vector, (held, linked, constant) = link.expect(
                sources, now, then, None if last is None else last.vector, age_s, self._constant_vector(target)
            )
        else:
            held = 0.0 if last is None else float(log_odds(table.held_at(age_s)))
            linked = 0.0 if route is None else float(log_odds(route.measured.validation))
            constant = float(log_odds(table.constant.validation))
        moved = (0.0, 0.0, 0.0) if shifts is None else shifts.tolist()
        found = [Way("constant", (), table.constant, constant + moved[2], constant)]
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
            return self._answered(target, self.constants[target], way, alpha)
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


def _differing(one: OutputSpec, other: OutputSpec) -> str:
    """What one type of outputs says otherwise than another, in words; of classes the first that differs."""
    mine, theirs = one.model_dump(mode="json"), other.model_dump(mode="json")
    said = [f"{key} {value}" for key, value in mine.items() if key != "classes" and value != theirs[key]]
    if one.classes != other.classes:
        pairs = zip_longest(one.classes, other.classes)
        at, name = next((at, name) for at, (name, theirs) in enumerate(pairs) if name != theirs)
        said.append(f"{len(one.classes)} classes" + (f" (number {at} is {name!r})" if name is not None else ""))
    return ", ".join(said)
