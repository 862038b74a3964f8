"""Which versions of the wire this release speaks, and which one two sides agree on.

A field that the other side may leave out does not raise the version: protobuf passes over what it does not know. It is
raised where a side has to know what the other one does, and the version before goes on being spoken for one release.
"""

from ..errors import Incompatible

NEWEST = 2
OLDEST = 1
"""What says no version (0) speaks this one: it is older than the versions."""


def agree(newest: int, oldest: int, *, other: str) -> int:
    """The newest version that both sides speak.

    Args:
        newest: the newest that the other side speaks; 0: it says none.
        oldest: the oldest that it speaks; 0: as `newest`.
        other: what the other side is, for the message.

    Raises:
        Incompatible: there is none.
    """
    newest = newest or OLDEST
    oldest = oldest or newest
    agreed = min(newest, NEWEST)
    if agreed < max(oldest, OLDEST):
        theirs = f"{newest}" if oldest == newest else f"{oldest} to {newest}"
        raise Incompatible(
            f"{other} speaks version {theirs} of the wire, this side {OLDEST} to {NEWEST}: install "
            f"{'an older' if oldest > NEWEST else 'a newer'} infilink there, or one like it here"
        )
    return agreed
