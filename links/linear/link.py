"""One target's link in closed form: an .npz file with its spec inside, and what answers from it."""

import json
import math
import zipfile
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...files import check_format, replacing
from ...outputs import Array
from ..answer import Exact
from ..expectation.expectation import Expectation
from ..expectation.logistic import log_odds, probability
from ..link import LinkSpec
from ..table import STEM
from .basis import Basis
from .expected import Compared
from .regression import Regression

FORMAT = 2
_NEVER_RELEASED = 1
SUFFIX = ".npz"
_HEADER = "link"


@dataclass(frozen=True)
class LinearLink:
    """A link ready to predict from any of its sets of sources.

    Attributes:
        spec: what there is to know of it beside its weights.
        bases: how each source enters, by name, the stem among them if it reads one.
        regressions: by the sources that are read, in the order of `bases`.
        expectation: how probably each way to answer agrees on one input; None: an earlier version learnt none.
        stem: the digest of the stem whose features it reads; empty: none.
        path: its file; None: it has none yet.
    """

    spec: LinkSpec
    bases: dict[str, Basis]
    regressions: Mapping[tuple[str, ...], Regression]
    expectation: Expectation | None = None
    stem: str = ""
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
        vector, odds = self.expect(
            tuple(now),
            _known(now),
            _known(then),
            None if last is None else Exact(last, last),
            None if last is None else age_s,
            np.zeros(self._length),
        )
        return vector, float(probability(odds[1]))

    @property
    def _length(self) -> int:
        return self.spec.encodings[self.spec.target].length

    @cached_property
    def compared(self) -> Compared:
        """What is compared of the target's outputs."""
        return Compared.of(self.spec.encodings[self.spec.target])

    @cached_property
    def _errors(self) -> dict[tuple[str, ...], Array]:
        return {}

    def _far(self, names: tuple[str, ...]) -> Array:
        """What is looked at of the errors made from those sources (s, k)."""
        if names not in self._errors:
            self._errors[names] = self.regressions[names].errors * self.compared.std
        return self._errors[names]

    def told(self, available: Container[str]) -> tuple[str, ...]:
        """What held answers are judged by where no link is of use: the stem if it looked, else nothing."""
        return next(each for each in ((STEM,), ()) if each in self.regressions and all(n in available for n in each))

    def expect(
        self,
        sources: Collection[str],
        now: Mapping[str, Exact],
        then: Mapping[str, Exact],
        last: Exact | None,
        age_s: float | None,
        constant: Array,
        *,
        reached: float | None = None,
    ) -> tuple[Array, list[float]]:
        """The predicted vector, and how probably each of `WAYS` agrees on this input, as log-odds.

        Args:
            sources: what is read of `now`: one of the sets that there is a regression for.
            now: what was said on this input, by source.
            then: what was said when the target last ran.
            last: the target's own last exact output; None: it never ran.
            age_s: how old that is.
            constant: the target's constant as a vector.
            reached: what that reaches; None: what was learnt.
        """
        names = tuple(name for name in self.bases if name in sources)
        regression = self.regressions[names]
        vector, fade = self._say(names, regression, now), 0.0
        if last is None or age_s is None:
            held, age_s = constant, math.nan
        else:
            held = last.vector[: len(constant)]
            # Without what the sources said then it can't be told how far off the last output was.
            if all(name in then for name in names):
                fade = regression.fade_at(age_s)
                if names not in last.missed:
                    last.missed[names] = held - self._say(names, regression, then)
                vector = vector + fade * last.missed[names]
        said = self.compared.looked(np.asarray((held, vector, constant)))
        spread = np.asarray([math.sqrt(max(0.0, 1.0 - fade * fade))], np.float32)
        expected = self.compared.agreements(said[None], said[None, 1], self._far(names), spread)[0].tolist()
        if self.expectation is None:
            return vector, [float(log_odds(each)) for each in expected]
        moved = math.nan
        if STEM in self.bases and STEM in now and STEM in then:
            basis = self.bases[STEM]
            far = np.abs(now[STEM].standard(basis) - then[STEM].standard(basis))
            moved = float(np.add.reduce(far)) / len(far)
        return vector, self.expectation.log_odds_of(age_s, expected, moved, told=bool(names), reached=reached)

    def _say(self, names: tuple[str, ...], regression: Regression, said: Mapping[str, Exact]) -> Array:
        """What the regression says from those sources, whatever the target last said: (length,)."""
        if len(names) == 1:
            return regression.say(said[names[0]].numbers(self.bases[names[0]]))
        parts = [said[name].numbers(self.bases[name]) for name in names]
        return regression.say(np.concatenate(parts) if parts else np.zeros(0, np.float32))

    def write(self, path: Path) -> None:
        """Writes its file."""
        sets = list(self.regressions)
        header = {
            "format": FORMAT,
            "spec": json.loads(self.spec.dump()),
            "stem": self.stem,
            "sources": list(self.bases),
            "sets": [list(each) for each in sets],
        }
        arrays: dict[str, Array] = {}
        for name, basis in self.bases.items():
            arrays |= basis.as_arrays(f"basis.{name}")
        for number, each in enumerate(sets):
            arrays |= self.regressions[each].as_arrays(f"set.{number}")
        if self.expectation is not None:
            arrays |= self.expectation.as_arrays("expectation")
        header["arrays"] = {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}
        with replacing(path) as part, part.open("wb") as file:
            found = {_HEADER: np.asarray(json.dumps(header)), **_joined(arrays)}
            np.savez_compressed(file, **found)  # type: ignore[arg-type]  # its stub takes names for its options

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
                joined = dict(read)
            header: dict[str, Any] = json.loads(str(joined[_HEADER]))
            if header.get("format") == _NEVER_RELEASED:
                raise InvalidInput(f"{path}: a version between two releases wrote this link; train the links again")
            check_format(header.get("format"), (FORMAT,), path=path, what="a link in closed form")
            arrays = _parted(joined, header["arrays"])
            spec = LinkSpec.parse(json.dumps(header["spec"]), where=str(path))
            return cls(
                spec,
                {name: Basis.from_arrays(arrays, f"basis.{name}") for name in header["sources"]},
                {
                    tuple(each): Regression.from_arrays(arrays, f"set.{number}")
                    for number, each in enumerate(header["sets"])
                },
                Expectation.from_arrays(arrays, "expectation"),
                header["stem"],
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


def _joined(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """All arrays of a type as one: each in a file takes more by itself than most have in them."""
    types = sorted({str(array.dtype) for array in arrays.values()})
    return {
        each: np.concatenate([array.ravel() for array in arrays.values() if str(array.dtype) == each]) for each in types
    }


def _parted(joined: Mapping[str, Array], shapes: Mapping[str, tuple[str, Sequence[int]]]) -> dict[str, Array]:
    """What `_joined` put together; `shapes` are the type and the shape of each array, in their order.

    Raises:
        ValueError: there is more or less than they say.
    """
    arrays, at = {}, dict.fromkeys((each for each, _ in shapes.values()), 0)
    for name, (of, shape) in shapes.items():
        size = math.prod(shape)
        arrays[name] = joined[of][at[of] : at[of] + size].reshape(shape)
        at[of] += size
    if any(len(joined[of]) != end for of, end in at.items()):
        raise ValueError("its arrays have other shapes than it says")
    return arrays


def _known(vectors: Mapping[str, Array]) -> dict[str, Exact]:
    return {name: Exact(vector, vector) for name, vector in vectors.items()}


def share_bases(links: Sequence[LinearLink]) -> None:
    """Has links read a source in one and the same basis where theirs are equal, so that it is read once for all."""
    known: dict[str, list[Basis]] = {}
    for link in links:
        for name, basis in link.bases.items():
            same = next((each for each in known.setdefault(name, []) if each.equals(basis)), None)
            if same is None:
                known[name].append(basis)
            else:
                link.bases[name] = same
