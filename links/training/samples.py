"""A recording as what links learn from: outputs as vectors, blocks apart in time, and random situations of a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from ...errors import InvalidInput
from ...models.encoding.encoding import Encoding
from ...models.spec import ModelSpec
from ...outputs import Array
from ...traces.joined import in_a_row
from ...traces.site import Site
from ...traces.trace import Trace
from ..layout import layout_of
from ..table import bucket

MIN_INPUTS = 60
CAMERA_INPUTS = 20
"""A camera among others may have as few."""
OLDEST_S = 120.0
"""No last output is drawn that is older than this."""
# Of drawn situations: the target never ran; all sources ran; none of them had run when the target did.
_NEVER_SHARE = 0.15
_EVERY_SOURCE_SHARE = 0.1
_NO_THEN_SHARE = 0.15


@dataclass(frozen=True)
class Blocks:
    """Indices of three stretches of a recording, with a gap between them: to learn, to choose on, to report on.

    Of several cameras' recordings one after the other each has its own three; they stand side by side here.

    Attributes:
        train: to learn.
        validation: to choose on.
        report: to report on.
        learnt: all up to the end of `validation`: what is learnt from where each input is judged by what others taught.
        before: all before `report`.
        later: all from the beginning of `validation` on.
    """

    train: Array
    validation: Array
    report: Array
    learnt: Array
    before: Array
    later: Array

    @classmethod
    def split(cls, *counts: int) -> "Blocks":
        """60 % to learn, 20 % to choose on, 20 % to report on, less a gap of 2 % before each of the latter two.

        Args:
            counts: how many inputs each camera has.
        """
        rows: list[tuple[Array, ...]] = []
        start = 0
        for count in counts:
            gap = max(1, count // 50)
            first, second = round(count * 0.6), round(count * 0.8)
            cuts = (0, first), (first + gap, second), (second + gap, count), (0, second), (0, second + gap)
            rows.append(tuple(start + np.arange(*cut) for cut in (*cuts, (first + gap, count))))
            start += count
        return cls(*(np.concatenate(each) for each in zip(*rows, strict=True)))


@dataclass(frozen=True)
class Samples:
    """Every model's outputs of a recording, or of several cameras' recordings one after the other.

    Attributes:
        models: each model's spec.
        captured_s: when each input was captured, rising.
        values: each model's outputs.
        encodings: how they become vectors, fitted on the training block.
        vectors: the outputs as vectors (inputs, length), with their ids behind (inputs, length + ids).
        blocks: what is learnt from, chosen on and reported on.
        features: what the links' stem makes of each input (inputs, length); None: there is none.
        cameras: which inputs are each camera's, in order; empty: all are one's.
    """

    models: Mapping[str, ModelSpec]
    captured_s: Array
    values: Mapping[str, Sequence[Array]]
    encodings: Mapping[str, Encoding]
    vectors: Mapping[str, Array]
    blocks: Blocks
    features: Array | None = None
    cameras: Mapping[str, slice] = field(default_factory=dict)

    @property
    def leaves_out(self) -> bool:
        """Whether what is learnt from some cameras is judged at others; of fewer than three, at other times."""
        return len(self.cameras) > 2

    @classmethod
    def read(cls, source: Trace | Mapping[str, Trace], features: Mapping[str, Array] | None = None) -> "Samples":
        """All of a trace, or of a site's; `features` are what a stem makes of each camera's inputs.

        Raises:
            InvalidInput: there are fewer than two models or too few inputs, or times do not rise.
        """
        site = Site.of(source)
        if len(site.models) < 2:
            raise InvalidInput(
                f"{site.first.path}: links need at least 2 models, this recording has {len(site.models)}"
            )
        check_site(site)
        outputs = {name: [value for trace in site.values() for value in trace.outputs(name)] for name in site.models}
        counts = {camera: len(trace) for camera, trace in site.items()} if len(site) > 1 else {}
        found = cls.of(site.models, in_a_row([trace.captured_s for trace in site.values()]), outputs, cameras=counts)
        seen = None if features is None else np.concatenate([features[camera] for camera in site])
        return replace(found, features=seen)

    @classmethod
    def of(
        cls,
        models: Mapping[str, ModelSpec],
        captured_s: Array,
        outputs: Mapping[str, Sequence[Array]],
        encodings: Mapping[str, Encoding] | None = None,
        *,
        cameras: Mapping[str, int] | None = None,
    ) -> "Samples":
        """Aligned outputs, with encodings of their training block.

        Args:
            models: whose outputs.
            captured_s: when each input was captured.
            outputs: by model.
            encodings: those of some models that are not to be fitted again.
            cameras: how many inputs each camera has, one after the other; None: all are one's.

        Raises:
            InvalidInput: an output does not fit its model, or holds NaN.
        """
        blocks = Blocks.split(*(cameras.values() if cameras else [len(captured_s)]))
        values, fitted, vectors = {}, dict(encodings or {}), {}
        for name, spec in models.items():
            values[name] = [_checked(name, spec, value) for value in outputs[name]]
            if name not in fitted:
                fitted[name] = Encoding.fit(spec.output, [values[name][i] for i in blocks.train])
            vectors[name] = np.stack([fitted[name].encode(value) for value in values[name]])
        encoded = {name: fitted[name] for name in models}
        return cls(models, captured_s, values, encoded, vectors, blocks, cameras=_parts(cameras or {}))

    def camera(self, name: str) -> "Samples":
        """One camera's recording alone, its outputs encoded as everybody's."""
        part = self.cameras[name]
        return replace(
            self,
            captured_s=self.captured_s[part],
            values={model: values[part] for model, values in self.values.items()},
            vectors={model: vectors[part] for model, vectors in self.vectors.items()},
            blocks=Blocks.split(part.stop - part.start),
            features=None if self.features is None else self.features[part],
            cameras={},
        )

    def __len__(self) -> int:
        """How many inputs."""
        return len(self.captured_s)

    @property
    def step_s(self) -> float:
        """The usual time between two inputs."""
        return float(np.median(np.diff(self.captured_s)))

    def sources(self, target: str) -> tuple[str, ...]:
        """The models a target may be predicted from."""
        return tuple(name for name in self.models if name != target)

    def stacked(self, target: str) -> Array:
        """The vectors of all of a target's sources side by side, without ids (inputs, total length)."""
        return np.concatenate([self.standard(name) for name in self.sources(target)], axis=1)

    def standard(self, name: str) -> Array:
        """A model's vectors without ids (inputs, length)."""
        return self.vectors[name][:, : self.encodings[name].length]

    def ids(self, name: str) -> Array:
        """The ids of a model's outputs (inputs, ids); none for a model that gives no tokens."""
        return self.vectors[name][:, self.encodings[name].length :]

    def earlier(self, inputs: Array, age_s: Array) -> Array:
        """For each input the index of the one about `age_s` before it; -1 where there is none."""
        wanted = self.captured_s[inputs] - age_s
        at = np.searchsorted(self.captured_s, wanted + self.step_s / 2, side="right") - 1
        at = np.minimum(at, inputs - 1)
        first = self._first[inputs]
        missing = (wanted < self.captured_s[first] - self.step_s / 2) | (at < first)
        return np.asarray(np.where(missing, -1, at))

    @cached_property
    def _first(self) -> Array:
        """The first input of each input's camera (inputs,)."""
        first = np.zeros(len(self), np.int64)
        for part in self.cameras.values():
            first[part] = part.start
        return first

    def span_s(self, inputs: Array) -> float:
        """How long rising inputs last, the time between cameras' recordings left out."""
        first = self._first[inputs]
        begins = np.flatnonzero(np.diff(first, prepend=-1))
        ends = np.append(begins[1:], len(inputs)) - 1
        lasted = self.captured_s[inputs[ends]] - self.captured_s[inputs[begins]] + self.step_s
        return float(lasted.sum())

    def ages(self, inputs: Array, earlier: Array) -> Array:
        """How old the outputs of `earlier` are at `inputs`, in seconds; NaN where there is none."""
        age = self.captured_s[inputs] - self.captured_s[np.maximum(earlier, 0)]
        return np.asarray(np.where(earlier < 0, np.nan, age))

    def draw_ages(self, rng: np.random.Generator, count: int, *, low_s: float, high_s: float) -> Array:
        """Ages log-uniform from `low_s` to `high_s`, none below one step."""
        low, high = np.log(max(low_s, self.step_s)), np.log(max(high_s, self.step_s * 1.001))
        return np.asarray(np.exp(rng.uniform(low, max(low, high), count)))

    def in_bucket(self, inputs: Array, earlier: Array, index: int) -> Array:
        """Which inputs' earlier outputs have an age of that bucket: bool (n,)."""
        ages = self.ages(inputs, earlier)
        return np.asarray([np.isfinite(age) and bucket(float(age)) == index for age in ages], bool)


def check_recording(trace: Trace, *, least: int = MIN_INPUTS) -> None:
    """Whether a recording is long enough to learn links from, and of one source.

    Raises:
        InvalidInput: it is not.
    """
    if len(trace) < least:
        raise InvalidInput(f"{trace.path}: links need at least {least} inputs, better 600; this has {len(trace)}")
    if not (np.diff(trace.captured_s) > 0).all():
        raise InvalidInput(f"{trace.path}: its capture times do not rise; record one source a trace")


def check_site(site: Site) -> None:
    """The same of a site's recordings: together they must be long enough, each alone may be short.

    Raises:
        InvalidInput: they are not.
    """
    for trace in site.values():
        check_recording(trace, least=MIN_INPUTS if len(site) == 1 else CAMERA_INPUTS)
    if site.inputs < MIN_INPUTS:
        raise InvalidInput(
            f"{', '.join(site)}: links need at least {MIN_INPUTS} inputs in all, better 600 of each camera; these have "
            f"{site.inputs}"
        )


def _parts(counts: Mapping[str, int]) -> dict[str, slice]:
    ends = np.cumsum([0, *counts.values()]).tolist()
    return {name: slice(*ends_of) for name, ends_of in zip(counts, pairwise(ends), strict=True)}


def _checked(name: str, spec: ModelSpec, value: Array) -> Array:
    try:
        return spec.output.check(value)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}; record it again") from error


@dataclass(frozen=True)
class Draws:
    """Many situations of a target, one a row.

    Attributes:
        inputs: on which input the target is predicted.
        earlier: on which input it last ran; -1: never.
        masks: which sources ran on `inputs` (n, sources).
        then_masks: which ran on `earlier` as well (n, sources).
    """

    inputs: Array
    earlier: Array
    masks: Array
    then_masks: Array


class Situations:
    """Draws situations of a target, and makes their feature vectors.

    Args:
        samples: the recording.
        target: the model that is predicted.
        ids: whether its network reads tokens one by one.
    """

    def __init__(self, samples: Samples, target: str, *, ids: bool = False) -> None:
        self.samples = samples
        self.target = target
        self.sources = samples.sources(target)
        self.layout = layout_of(samples.encodings, target, self.sources, ids=ids)
        self.vectors = samples.standard(target)
        self.ids = samples.ids(target)
        self._stacked = samples.stacked(target)
        self._stacked_ids = np.concatenate([samples.ids(name) for name in self.sources], axis=1)

    def draw(self, rng: np.random.Generator, block: Array, count: int) -> Draws:
        """Random situations on the inputs of a block: any subset of the sources, any age."""
        inputs = rng.choice(block, count)
        ages = self.samples.draw_ages(rng, count, low_s=0.0, high_s=OLDEST_S)
        earlier = self.samples.earlier(inputs, ages)
        earlier[rng.random(count) < _NEVER_SHARE] = -1
        shares = np.where(rng.random(count) < _EVERY_SOURCE_SHARE, 1.0, rng.random(count))
        masks = rng.random((count, len(self.sources))) < shares[:, None]
        then_masks = masks & (rng.random(count) >= _NO_THEN_SHARE)[:, None]
        return Draws(inputs, earlier, masks, then_masks)

    def fixed(self, inputs: Array, earlier: Array, sources: tuple[str, ...]) -> Draws:
        """The situations in which exactly these sources run, now as well as when the target last ran."""
        mask = np.asarray([name in sources for name in self.sources], bool)
        masks = np.repeat(mask[None], len(inputs), axis=0)
        return Draws(inputs, earlier, masks, masks)

    def features(self, draws: Draws) -> Array:
        """The network's feature vectors (n, `layout.size`)."""
        before = np.maximum(draws.earlier, 0)
        return self.layout.pack_many(
            self._stacked[draws.inputs],
            self._stacked[before],
            self.vectors[before],
            draws.masks,
            draws.then_masks,
            self.samples.ages(draws.inputs, draws.earlier),
            ids=self._stacked_ids[draws.inputs],
            last_ids=self.ids[before],
        )
