"""How much disagreements come in clumps: what one audited sample is worth as evidence."""

from collections.abc import Sequence

_ASSUMED = 0.3
_ASSUMED_ERRORS = 3.0
_HIGHEST = 0.95
# Of what was seen this long ago, in samples, little more than a third still counts.
_MEMORY = 200.0


class Clumping:
    """The correlation of one sample's disagreement with the next one's, as it is learnt: constant memory.

    Audited samples are a turn apart, but a scene that is hard lasts. Until disagreements were seen, some correlation is
    assumed: three errors in a row are then not taken for three accidents.
    """

    def __init__(self) -> None:
        self._count = 0.0
        self._sum = 0.0
        self._squares = 0.0
        self._products = 0.0
        self._last = 0.0

    @property
    def share(self) -> float:
        """How many independent samples the next one is worth, from those before it: above 0, at most 1."""
        of_mean = self._sum * self._sum / max(1.0, self._count)
        below = max(0.0, self._squares - of_mean)
        above = max(0.0, self._products - of_mean)
        correlation = min(_HIGHEST, (above + _ASSUMED * _ASSUMED_ERRORS) / (below + _ASSUMED_ERRORS))
        return (1.0 - correlation) / (1.0 + correlation)

    def update(self, disagreement: float) -> None:
        """Takes the next sample, in [0, 1]."""
        kept = 1.0 - 1.0 / _MEMORY
        self._count = kept * self._count + 1.0
        self._sum = kept * self._sum + disagreement
        self._squares = kept * self._squares + disagreement * disagreement
        self._products = kept * self._products + disagreement * self._last
        self._last = disagreement

    def as_list(self) -> list[float]:
        """Where it stands, as plain values for JSON."""
        return [self._count, self._sum, self._squares, self._products, self._last]

    def restore(self, values: Sequence[float]) -> None:
        """Goes on from where `as_list` said it stood.

        Raises:
            ValueError: these are no five values.
        """
        self._count, self._sum, self._squares, self._products, self._last = values
