"""A certificate for filters that are made, not trained."""

from infilink.filters.spec import Certificate


def certificate(*, error: float = 0.0, upper_bound: float = 0.01, rate: float = 0.5) -> Certificate:
    """One that proves an accuracy of at least 1 - `upper_bound`."""
    return Certificate(
        certified=True,
        confidence=0.95,
        inputs=1000,
        runs=100.0,
        lost=100.0 * error,
        error=error,
        upper_bound=upper_bound,
        method="clopper-pearson over runs",
        rate=rate,
    )
