"""What there is to know of one served model, as operators and other protocols ask for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelEntry:
    """What there is to know of one model.

    Attributes:
        name: what it is called.
        version: the one that is served.
        digest: of its file.
        state: "loaded", "loading", "unloaded" or "failed".
        reason: the last load or unload, in words.
        place: whose memory it takes.
        size_bytes: its files.
        memory_bytes: what it takes when it is loaded, as far as that was measured.
        pinned: whether it stays loaded.
        parked: whether a person unloaded it.
        versions: those that lie in its folder; none of a flat file.
        before: the version that a rollback goes back to; empty: none.
        refused: what is newer in the folder and can't be served, and why; empty: nothing.
    """

    name: str
    version: str
    digest: str
    state: str
    reason: str
    place: str
    size_bytes: int
    memory_bytes: int
    pinned: bool
    parked: bool
    versions: tuple[int, ...] = ()
    before: str = ""
    refused: str = ""
