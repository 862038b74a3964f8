"""A certificate for filters that are made, not trained."""

from infilink.filters.spec import Certificate


def certificate(*, error: float = 0.0, upper_bound: float = 0.01, rate: float = 0.5) -> Certificate:
    """One that proves an accuracy of at least 1 - `upper_bound`."""
    return Certificate(
        certified=True,
        confidence=0.95,
        inputs=1000,
        effective_inputs=1000.0,
        errors=1000.0 * error,
        error=error,
        upper_bound=upper_bound,
        method="clopper-pearson",
        rate=rate,
    )
