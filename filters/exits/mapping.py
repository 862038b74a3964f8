"""From a small model's output to the big one's: which classes stand for which, and of which an answer speaks."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec

KINDS = ("boxes", "label", "multilabel")


class ClassMap(BaseModel):
    """How answers of a small model are written as a big one's.

    Attributes:
        small: what the small model returns.
        big: what the big one returns.
        places: of each class of the small model, the place of the same class among the big one's; -1: it has none.
        classes: the places of the big model's classes that an answer speaks of; of labels all.
        score: boxes: the least score of the small model's that is an answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    small: OutputSpec
    big: OutputSpec
    places: tuple[int, ...]
    classes: tuple[int, ...]
    score: float = Field(default=0.0, ge=0, le=1)

    @classmethod
    def of(cls, small: OutputSpec, big: OutputSpec, *, classes: Sequence[str], score: float) -> "ClassMap":
        """The mapping by the classes' names, whatever their case.

        Args:
            small: what the small model returns.
            big: what the big one returns.
            classes: of which an answer shall speak; none: all that both know.
            score: boxes: the least score of an answer.

        Raises:
            InvalidInput: the outputs are of two kinds or of one that can't be mapped, or a class is not known to both.
        """
        if small.kind != big.kind or big.kind not in KINDS:
            raise InvalidInput(
                f"the small model returns {small.kind} and the big one {big.kind}: one can stand in for the other only "
                f"where both return {', '.join(KINDS[:-1])} or {KINDS[-1]}"
            )
        known = {name.casefold(): place for place, name in enumerate(big.classes)}
        places = tuple(known.get(name.casefold(), -1) for name in small.classes)
        both = [place for place in places if place >= 0]
        if not both:
            raise InvalidInput(
                f"the models have no class in common: the small one knows {_few(small.classes)}, the big one "
                f"{_few(big.classes)}"
            )
        if big.kind != "boxes":
            if classes:
                raise InvalidInput(f"classes are chosen of boxes: a {big.kind} speaks of all of them: leave them out")
            if big.kind == "multilabel" and len(both) < len(big.classes):
                raise InvalidInput(f"the small model does not know all classes: it knows {_few(small.classes)}")
            return cls(small=small, big=big, places=places, classes=tuple(range(len(big.classes))))
        asked = []
        for name in classes:
            place = known.get(name.casefold(), -1)
            if place not in both:
                raise InvalidInput(
                    f"class {name!r}: must be one that both models know: {_few([big.classes[i] for i in both])}"
                )
            asked.append(place)
        return cls(small=small, big=big, places=places, classes=tuple(sorted(set(asked or both))), score=score)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes that an answer speaks of."""
        return tuple(self.big.classes[place] for place in self.classes)

    @property
    def is_whole(self) -> bool:
        """Whether an answer speaks of all classes that the big model knows."""
        return len(self.classes) == len(self.big.classes)

    def answer(self, value: Array) -> Array | None:
        """What the big model would say where the small one says this; None: it has no such class."""
        if self.big.kind == "boxes":
            places = np.asarray(self.places)[value[:, 5].astype(int)] if len(value) else np.zeros(0, int)
            wanted = np.isin(places, self.classes) & (value[:, 4] >= self.score)
            rows = value[wanted].astype(np.float32)
            rows[:, 5] = places[wanted]
            return rows
        said = np.zeros(len(self.big.classes), np.float32)
        if self.big.kind == "label":
            place = self.places[int(value.argmax())]
            if place < 0:
                return None
            said[place] = float(value.max())
            return said
        for mine, place in enumerate(self.places):
            if place >= 0:
                said[place] = value[mine]
        return said

    def relevant(self, value: Array) -> Array:
        """Of the small model's boxes those of the classes that an answer speaks of; other outputs are as they are."""
        if self.big.kind != "boxes" or not len(value):
            return value
        return value[np.isin(np.asarray(self.places)[value[:, 5].astype(int)], self.classes)]

    def agreement(self, answer: Array, exact: Array) -> float:
        """How far an answer agrees with the big model's own output, in the classes that it speaks of: from 0 to 1."""
        return self.big.agreement(self.part(answer), self.part(exact))

    def part(self, value: Array) -> Array:
        """Of the big model's boxes those of the classes that an answer speaks of; other outputs are as they are."""
        return value[np.isin(value[:, 5].astype(int), self.classes)] if self.big.kind == "boxes" else value


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
