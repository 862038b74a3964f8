"""All links of one recording: predict any model's output from whichever others ran, by what was measured to be best."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import InvalidInput, UnknownModel
from ..models.cost import ModelCost
from ..models.encoding.encoding import Encoding
from ..models.inputs.form import PICTURES, InputForm
from ..models.spec import ModelSpec
from ..models.stem.stem import Stem
from ..outputs import Array, OutputSpec
from ..traces.info import TraceInfo
from .answer import Answer, Exact
from .answering import Answering
from .index import CAMERAS, Index, cameras_in
from .linear.link import LinearLink, share_bases
from .link import Link
from .reading import read_links, read_stem
from .table import STEM, Table
from .trust.calibration import LEVELS
from .trust.certificate import ALPHA


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
        self.answering = Answering(
            self.models,
            self.tables,
            self.constants,
            self.links,
            self.encodings,
            self.calibrated_s,
            unknown=bool(self._cameras),
        )

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
        self,
        links: Path | str,
        models: Mapping[str, ModelSpec],
        digests: Mapping[str, str],
        *,
        info: TraceInfo | None = None,
    ) -> None:
        """Makes sure that models are the very ones the links were learnt from: their files, classes and modality.

        Args:
            links: what the links are called in an error.
            models: each model's spec.
            digests: each model file's digest.
            info: what a recording of their inputs says of itself; None: there is none.

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
        if why := self._looked_at(models) if info is None else self._inputs_differ(info):
            raise InvalidInput(f"{links}: was learnt from other inputs: {why}; train links on a recording of these")

    @property
    def learnt_form(self) -> InputForm | None:
        """The form of the inputs that the links were learnt from; None: it is not known."""
        found = self.notes.get("form")
        return None if found is None else InputForm.model_validate(found)

    def differs(self, form: InputForm) -> str:
        """In which way a stream's inputs are not what the links were learnt from; "": they are, as far as is known."""
        learnt = self.learnt_form
        if learnt is not None:
            return form.differs(learnt)
        return self._kept_otherwise(form.modality)

    def _kept_otherwise(self, modality: str) -> str:
        """Why links whose inputs' form nobody noted can't be of such inputs: only pictures are told from others."""
        kept = self.notes.get("input")
        is_other = (kept == "image" and modality != PICTURES.modality) or (
            kept == "array" and modality == PICTURES.modality
        )
        return f"they are {modality} here, and were kept as {kept} in training" if modality and is_other else ""

    def _inputs_differ(self, info: TraceInfo) -> str:
        kept = self.notes.get("input", "none")
        if "none" in (info.input, kept):
            return ""
        if info.input != kept:
            return f"they are {info.told_input} here, and were kept as {kept} in training"
        return "" if info.form is None else self.differs(info.form)

    def _looked_at(self, models: Mapping[str, ModelSpec]) -> str:
        """Which of the models looks at other inputs."""
        learnt = self.learnt_form
        for name in self.digests:
            why = self._kept_otherwise(models[name].modality) if learnt is None else models[name].fits(learnt)
            if why:
                return f"{name}: {why}"
        return ""

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
        answering = self.answering
        route = answering.best_link(target, frozenset(now), None if last is None else age_s)
        way = answering.ways(target, route, now, last, age_s, then)[0]
        return answering.answer_by(target, way, now, last, age_s, then, alpha=alpha)


def _differing(one: OutputSpec, other: OutputSpec) -> str:
    """What one type of outputs says otherwise than another, in words; of classes the first that differs."""
    mine, theirs = one.model_dump(mode="json"), other.model_dump(mode="json")
    said = [f"{key} {value}" for key, value in mine.items() if key != "classes" and value != theirs[key]]
    if one.classes != other.classes:
        pairs = zip_longest(one.classes, other.classes)
        at, name = next((at, name) for at, (name, theirs) in enumerate(pairs) if name != theirs)
        said.append(f"{len(one.classes)} classes" + (f" (number {at} is {name!r})" if name is not None else ""))
    return ", ".join(said)
