"""One model's answer to one input: its value, how it came to be, and how far to trust it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

from ..outputs import Array, OutputSpec
from .trust.calibration import Calibration, distance, spread
from .trust.certificate import ALPHA
from .trust.region import Region

Trust = Literal["exact", "certified", "unsure", "uncalibrated", "revoked"]


@dataclass(frozen=True)
class Answer:
    """One model's answer to one input.

    Attributes:
        value: the output, as the model itself would give it.
        confidence: the probability that the exact model would agree; 1 if it ran.
        origin: how the value came to be.
        sources: the models it was predicted from.
        trust: what stands behind it:

            - "exact": the model ran.
            - "certified": outputs of this confidence were shown to disagree in at most `alpha`.
            - "unsure": enough were compared, but no such thing could be shown of this confidence.
            - "uncalibrated": too few were compared.
            - "revoked": it was certified, and the stream has shown since that it no longer holds.
        alpha: the share of trusted answers that may disagree, and of exact outputs that may lie outside `region`.
        output: the type of the value; needed for `region`.
        calibration: how far such answers were from the exact outputs; None: nothing was compared.
        calibrated_s: Unix time of that comparison; 0: not known.
        level: the risk level at which `region` is cut; `alpha`, unless the stream moved it.
    """

    value: Array
    confidence: float
    origin: Literal["executed", "linked", "held", "constant"]
    sources: tuple[str, ...] = ()
    trust: Trust = "uncalibrated"
    alpha: float = ALPHA
    output: OutputSpec | None = None
    calibration: Calibration | None = None
    calibrated_s: float = 0.0
    level: float = ALPHA

    @property
    def trusted(self) -> bool:
        """Whether it is exact or certified."""
        return self.trust in ("exact", "certified")

    @property
    def calibration_count(self) -> int:
        """How many independent comparisons stand behind it."""
        return 0 if self.calibration is None else self.calibration.count

    @cached_property
    def region(self) -> Region | None:
        """Where the exact output lies, but for a share `alpha`; None if the model ran, or too little was compared."""
        if self.output is None or self.calibration is None or not self.calibration.calibrated(self.alpha):
            return None
        radius = self.calibration.radius(self.level)
        return Region.around(self.output, self.value, radius, spread_of=self._spread)

    def distance(self, exact: Array, agreement: float) -> float:
        """How far the exact output is from the value, in the measure of `region`.

        Args:
            exact: the exact output.
            agreement: of the value with it.
        """
        assert self.output is not None
        return distance(self.output, self.value, exact, agreement=agreement, spread_of=self._spread)

    def covers(self, exact: Array, agreement: float) -> bool:
        """Whether the exact output lies in `region`; everything does where there is none."""
        if self.output is None or self.calibration is None:
            return True
        # What was rounded on its way into a file and back is within.
        return self.distance(exact, agreement) <= self.calibration.radius(self.level) + 1e-9

    @property
    def _spread(self) -> float:
        return float(spread(self.confidence)) if self.origin == "linked" else 1.0


class Numbers(Protocol):
    """How a vector enters a linear map."""

    @property
    def width(self) -> int:
        """How long vectors are."""

    def standardised(self, vectors: Array) -> Array:
        """Their standardised numbers."""

    def read(self, standard: Array) -> Array:
        """What a map reads of those."""


@dataclass(frozen=True)
class Exact:
    """An exact output and its vector; what links read of it is worked out once for all of them.

    Attributes:
        value: the output.
        vector: its standardised numbers.
        missed: by sources, how far off what its own link would have said from them was, worked out so far.
    """

    value: Array
    vector: Array
    missed: dict[tuple[str, ...], Array] = field(default_factory=dict, compare=False, repr=False)
    _read: dict[int, tuple[Numbers, Array, Array]] = field(default_factory=dict, compare=False, repr=False)

    def standard(self, basis: Numbers) -> Array:
        """Its standardised numbers in a basis."""
        return self._in(basis)[1]

    def numbers(self, basis: Numbers) -> Array:
        """What a linear map reads of it in a basis."""
        return self._in(basis)[2]

    def _in(self, basis: Numbers) -> tuple[Numbers, Array, Array]:
        found = self._read.get(id(basis))
        if found is None:
            standard = basis.standardised(self.vector[None, : basis.width])
            # The basis is kept with it, so that no other one gets its identity.
            found = self._read[id(basis)] = (basis, standard[0], basis.read(standard)[0])
        return found
