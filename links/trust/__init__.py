"""How far an answer may be trusted: certified beforehand, watched and revoked while serving."""

from .certificate import ALPHA, GRID, LEAST, RISK, certified, certify_threshold, independent_share, upper_bound

__all__ = [
    "ALPHA",
    "GRID",
    "LEAST",
    "RISK",
    "certified",
    "certify_threshold",
    "independent_share",
    "upper_bound",
]
