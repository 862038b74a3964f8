"""One target's link in closed form: an .npz file with its spec inside, and what answers from it."""

import json
import math
import zipfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...files import check_format, replacing
from ...outputs import Array
from ..expectation.expectation import Expectation
from ..link import LinkSpec, Situation
from ..table import STEM
from .basis import Basis
from .expected import Sureness, expected_agreement, expected_agreements
from .regression import Regression

FORMAT = 1
SUFFIX = ".npz"
_HEADER = "link"


@dataclass(frozen=True)
class LinearLink:
    """A link ready to predict from any of its sets of sources.

    Attributes:
        spec: what there is to know of it beside its weights.
        bases: how each source enters, by name, the stem among them if it reads one.
        regressions: by the sources that are read, in the order of `bases`.
        sureness: how probably a prediction agrees.
        stem: the digest of the stem whose features it reads; empty: none.
        expectation: how probably each way to answer agrees on one input; None: an earlier version learnt none.
        path: its file; None: it has none yet.
    """

    spec: LinkSpec
    bases: Mapping[str, Basis]
    regressions: Mapping[tuple[str, ...], Regression]
    sureness: Sureness
    stem: str = ""
    expectation: Expectation | None = None
    path: Path | None = None

    def predict(
        self, now: Mapping[str, Array], then: Mapping[str, Array], last: Array | None, age_s: float
    ) -> tuple[Array, float]:
        """The target's predicted vector, and the probability that it agrees with the exact one.

        Args:
            now: what the sources that ran say, as vectors.
            then: what they said when the target last ran, as vectors.
            last: the target's own last exact output as a vector; None if it never ran.
            age_s: how old that is.
        """
        vectors, confidences = self.predict_situations([Situation(now, then, last, age_s)])
        return vectors[0], float(confidences[0])

    def predict_situations(self, situations: Sequence[Situation]) -> tuple[Array, Array]:
        """Predicted vectors (n, length) and probabilities (n,) of situations of whichever sources."""
        vectors = np.zeros((len(situations), self.spec.encodings[self.spec.target].length), np.float32)
        confidences = np.zeros(len(situations))
        sets: dict[tuple[str, ...], list[int]] = {}
        for row, situation in enumerate(situations):
            sets.setdefault(tuple(name for name in self.bases if name in situation.now), []).append(row)
        for sources, rows in sets.items():
            vectors[rows], confidences[rows] = self._predict(sources, [situations[row] for row in rows])
        return vectors, confidences

    def expect(
        self,
        sources: tuple[str, ...],
        now: Mapping[str, Array],
        then: Mapping[str, Array],
        last: Array | None,
        age_s: float | None,
        constant: Array,
    ) -> tuple[Array, Array]:
        """The predicted vector, and how probably each of `WAYS` agrees on this input: log-odds (ways,).

        Args:
            sources: what is read of `now`: one of the sets that there is a regression for.
            now: what was said on this input, as vectors.
            then: what was said when the target last ran.
            last: the target's own last exact output as a vector; None: it never ran.
            age_s: how old that is.
            constant: the target's best constant as a vector.
        """
        assert self.expectation is not None
        sources = tuple(name for name in self.bases if name in sources)
        regression, length = self.regressions[sources], len(constant)
        vector = regression.say(self._numbers(sources, [now]))[0]
        age = math.nan if last is None or age_s is None else age_s
        fade = 0.0
        if last is not None and all(name in then for name in sources):
            fade = float(regression.fade(np.asarray([age]))[0])
            vector = vector + fade * (last[:length] - regression.say(self._numbers(sources, [then]))[0])
        spread = regression.spread(np.asarray([fade]))
        said = np.stack([constant if last is None else last[:length], vector, constant])
        encoding = self.spec.encodings[self.spec.target]
        expected = expected_agreements(encoding, said[None], vector[None], regression.errors, spread)
        moved = math.nan
        if last is not None and STEM in self.bases and STEM in now and STEM in then:
            moved = float(self.bases[STEM].moved(now[STEM][None], then[STEM][None])[0])
        odds = self.expectation.log_odds(np.asarray([age]), expected, np.asarray([moved]), told=bool(sources))
        return vector.astype(np.float32), odds[0]

    def told(self, available: Container[str]) -> tuple[str, ...]:
        """What held answers are judged by where no link is of use: the stem if it looked, else nothing."""
        return next(each for each in ((STEM,), ()) if each in self.regressions and all(n in available for n in each))

    def _predict(self, sources: tuple[str, ...], situations: Sequence[Situation]) -> tuple[Array, Array]:
        regression = self.regressions[sources]
        vectors = regression.say(self._numbers(sources, [each.now for each in situations]))
        # Without what the sources said then it can't be told how far off the last output was.
        known = [
            row
            for row, each in enumerate(situations)
            if each.last is not None and all(name in each.then for name in sources)
        ]
        ages_s = np.full(len(situations), np.nan)
        if known:
            ages_s[known] = [situations[row].age_s for row in known]
            length = vectors.shape[1]
            last = np.stack([situations[row].last[:length] for row in known])  # type: ignore[index]
            said = regression.say(self._numbers(sources, [situations[row].then for row in known]))
            vectors[known] += regression.fade(ages_s[known])[:, None] * (last - said)
        fades = regression.fade(ages_s)
        encoding = self.spec.encodings[self.spec.target]
        expected = expected_agreement(encoding, vectors, regression.errors, regression.spread(fades))
        return vectors.astype(np.float32), self.sureness.of(expected, fades)

    def _numbers(self, sources: tuple[str, ...], said: Sequence[Mapping[str, Array]]) -> Array:
        parts = [
            self.bases[name].numbers(np.stack([each[name][: len(self.bases[name].sums)] for each in said]))
            for name in sources
        ]
        return np.concatenate([np.zeros((len(said), 0)), *parts], axis=1)

    def write(self, path: Path) -> None:
        """Writes its file."""
        sets = list(self.regressions)
        header = {
            "format": FORMAT,
            "spec": json.loads(self.spec.dump()),
            "stem": self.stem,
            "sources": list(self.bases),
            "sets": [list(each) for each in sets],
            "sureness": list(self.sureness.weights),
        }
        arrays: dict[str, Array] = {_HEADER: np.asarray(json.dumps(header))}
        for name, basis in self.bases.items():
            arrays |= basis.as_arrays(f"basis.{name}")
        for number, each in enumerate(sets):
            arrays |= self.regressions[each].as_arrays(f"set.{number}")
        if self.expectation is not None:
            arrays |= self.expectation.as_arrays("expectation")
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub takes names for its options

    @classmethod
    def read(cls, path: Path) -> "LinearLink":
        """Reads what `write` wrote.

        Raises:
            InvalidInput: it is not there, or is no such link.
        """
        if not path.is_file():
            raise InvalidInput(f"{path}: there is no such link")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as read:
                arrays = dict(read)
            header: dict[str, Any] = json.loads(str(arrays[_HEADER]))
            check_format(header.get("format"), (FORMAT,), path=path, what="a link in closed form")
            spec = LinkSpec.parse(json.dumps(header["spec"]), where=str(path))
            return cls(
                spec,
                {name: Basis.from_arrays(arrays, f"basis.{name}") for name in header["sources"]},
                {
                    tuple(each): Regression.from_arrays(arrays, f"set.{number}")
                    for number, each in enumerate(header["sets"])
                },
                Sureness(tuple(header["sureness"])),
                header["stem"],
                Expectation.from_arrays(arrays, "expectation"),
                path,
            )
        except InvalidInput:
            raise
        except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise InvalidInput(f"{path}: is damaged ({error!r}); train the links again") from error

    @property
    def reads_stem(self) -> bool:
        """Whether the stem is among its sources."""
        return STEM in self.bases
