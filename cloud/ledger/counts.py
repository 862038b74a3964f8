"""What a ledger counts of itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LedgerStats:
    """What a ledger did since it was opened.

    Attributes:
        kept: answers that were written.
        commits: transactions that they were written in.
        commit_s: what these took together.
        waiting: answers and notes that wait to be written.
        waiting_bytes: what these take in memory.
        trouble: why nothing can be written now: "full" or "away"; empty: it can.
        troubles: how often that came.
        refused: answers that were refused because of it.
        unkept: answers that were given without being kept.
        notes_lost: notes (the journal, audits) that were not written.
        deleted: answers that were deleted, as they were too old or too many.
    """

    kept: int = 0
    commits: int = 0
    commit_s: float = 0.0
    waiting: int = 0
    waiting_bytes: int = 0
    trouble: str = ""
    troubles: int = 0
    refused: int = 0
    unkept: int = 0
    notes_lost: int = 0
    deleted: int = 0


@dataclass
class Counts:
    """The counters of a ledger; what `LedgerStats` says of them."""

    kept: int = 0
    commits: int = 0
    commit_s: float = 0.0
    troubles: int = 0
    refused: int = 0
    unkept: int = 0
    notes_lost: int = 0
