"""Certificates and promises for filters that are made, not trained."""

from typing import Any

from infilink.filters.event_promise import EventPromise
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


def event_promise(**changes: Any) -> EventPromise:
    """One of .9 of the events within two seconds, proven on 60, all of them found."""
    given = {"recall": 0.9, "within_s": 2.0, "confidence": 0.95, "certified": True, "lower_bound": 0.95}
    found = {"events": 60, "clusters": 60.0, "found": 60, "rate": 0.5, "agreement": 0.9}
    return EventPromise(**{**given, **found, **changes})
