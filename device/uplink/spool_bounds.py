"""What a spool gives up first: what is too old, and, where it holds too much, by the policy that is set for that."""

from collections.abc import Container
from dataclasses import dataclass
from functools import partial

from .spool_disk import SpoolDisk
from .spool_file import SpoolFile
from .spool_rows import Head, Key
from .spool_settings import Full, SpoolSettings

_AT_ONCE = 64
_LEFT_SHARE = 0.98
"""Once there is too much, so much is left: inputs do not go one by one."""


@dataclass
class Held:
    """What a spool holds, unanswered: how many inputs, and what they take."""

    count: int = 0
    size_bytes: int = 0

    def add(self, head: Head, *, times: int = 1) -> None:
        """Takes note of an input more; `times` -1: of one less."""
        self.count += times
        self.size_bytes += times * head.size_bytes


def has_no_room(settings: SpoolSettings, held: Held, size_bytes: int) -> bool:
    """Whether a source has to wait until an input of this size can be held, too; a single one always can."""
    is_over = held.count >= settings.count or held.size_bytes + size_bytes > settings.size_bytes
    return held.count > 0 and is_over


def excess(
    disk: SpoolDisk, settings: SpoolSettings, when_full: Full, held: Held, skip: Container[Key], now_s: float
) -> tuple[list[Head], str]:
    """Some of the inputs that are too many, with the chains that they are part of; and why they are.

    Args:
        disk: where they are.
        settings: the bounds.
        when_full: the policy.
        held: what is there.
        skip: those that have their answer.
        now_s: the spool's time.
    """
    oldest = [head for head in disk.heads(lambda file: file.oldest(limit=_AT_ONCE)) if head.key not in skip]
    old = [head for head in oldest if now_s - head.taken_s > settings.age_s]
    if old:
        return _with_chains(disk, old), "older than `age_s`"
    if when_full == "block_source" or (held.count <= settings.count and held.size_bytes <= settings.size_bytes):
        return [], ""
    heads = oldest
    if when_full == "drop_lowest_value":
        heads = [head for head in disk.heads(lambda file: file.cheapest(limit=_AT_ONCE)) if head.key not in skip]
    count, size_bytes = held.count, held.size_bytes
    found = []
    for head in heads:
        if count <= _LEFT_SHARE * settings.count and size_bytes <= _LEFT_SHARE * settings.size_bytes:
            break
        found.append(head)
        count, size_bytes = count - 1, size_bytes - head.size_bytes
    return _with_chains(disk, found), "dropped: the spool is full"


def _with_chains(disk: SpoolDisk, heads: list[Head]) -> list[Head]:
    """These, with all unanswered ones of the chains that they are part of: what refers to them could not be decoded."""
    chains = dict.fromkeys(Key(head.key.session, head.chain) for head in heads if head.chain is not None)
    found = {head.key: head for head in heads if head.chain is None}
    for session, chain in chains:
        read = partial(SpoolFile.chain, session=session, chain=chain, answered=False)
        found.update({head.key: head for head in disk.heads(read)})
    return list(found.values())
