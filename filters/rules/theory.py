"""What theory says of a rule before anything is trained (InFi, section 3.3): can its filter be simpler than the model?

It is a prior and no proof: the paper compares bounds, and its experiments give the same order (its figure 11).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theory:
    """A case that the theory distinguishes.

    Attributes:
        case: its name.
        filterable: whether the filter's task is no harder than the model's; None: theory says nothing.
        prior: the share of the optimal filtering rate that the paper's filters reached, as a median; None: unknown.
    """

    case: str
    filterable: bool | None
    prior: float | None


CONFIDENCE = Theory("low confidence", filterable=False, prior=0.41)
SUBSET = Theory("class subset", filterable=True, prior=0.78)
REGRESSION = Theory("regression bound", filterable=True, prior=0.71)
UNKNOWN = Theory("not covered", filterable=None, prior=None)


def joined(theories: tuple[Theory, ...]) -> Theory:
    """The case of a rule made of several rules: the least promising of theirs."""
    return min(theories, key=lambda theory: -1.0 if theory.prior is None else theory.prior)
