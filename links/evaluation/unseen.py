"""Which inputs of a recording links were learnt from, recognised by their content and not by the recording's name."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...codec import pack
from ...errors import InvalidInput
from ...traces.trace import Trace
from ..graph import LinkGraph

logger = logging.getLogger(__name__)

_FINGERPRINTS = 64


def fingerprints(trace: Trace, models: Iterable[str], *, before: int) -> dict[str, str]:
    """Hashes of some inputs and their outputs, by sequence number, for the links' notes.

    Args:
        trace: the recording.
        models: whose outputs.
        before: the sequence number that all of them lie before; they are spread evenly.
    """
    learnt = trace.sequences[trace.sequences < before]
    chosen = learnt[np.linspace(0, len(learnt) - 1, min(len(learnt), _FINGERPRINTS)).astype(np.int64)]
    return _hashes(trace, models, {int(sequence) for sequence in chosen})


def held_out(graph: LinkGraph, trace: Trace) -> Trace:
    """The part of a recording that the links were not learnt from; the recording itself, if that is all of it.

    Raises:
        InvalidInput: they were learnt from all of it.
    """
    # Of a site's links for each camera's recording.
    recordings = graph.notes.get("recordings", [graph.notes])
    start = max(_learnt(notes, trace, graph.models.keys() - graph.virtual) for notes in recordings)
    if not start:
        return trace
    if start >= len(trace):
        raise InvalidInput(f"{trace.path}: the links were learnt from all of these inputs; give later ones")
    logger.warning(
        "%s: the links were learnt from this recording: only its last %d of %d inputs, which they never saw, count",
        trace.path,
        len(trace) - start,
        len(trace),
    )
    return trace.part(start, len(trace))


def _learnt(notes: Mapping[str, Any], trace: Trace, models: Iterable[str]) -> int:
    """How many inputs from the first on a recording's notes say were learnt from."""
    first, report = notes.get("first_sequence", 0), notes.get("report_sequence", 0)
    seen = trace.sequences[(first <= trace.sequences) & (trace.sequences < report)]
    if not len(seen) or not _is_the_one(notes, trace, models):
        return 0
    return int((trace.sequences <= seen[-1]).sum())


def _is_the_one(notes: Mapping[str, Any], trace: Trace, models: Iterable[str]) -> bool:
    """Whether the links were learnt from this source's inputs, under whatever name, and in whatever part or rate."""
    same_name = bool(trace.info.source == notes.get("source"))
    here = {int(sequence) for sequence in trace.sequences}
    known = {key: value for key, value in notes.get("marks", {}).items() if int(key) in here}
    if not known:
        return same_name
    found = _hashes(trace, models, {int(key) for key in known})
    # Not one alone: two recordings may both see nothing at the same moment.
    same: bool = sum(found[key] == value for key, value in known.items()) * 2 > len(known)
    if same_name and not same:
        logger.warning(
            "%s: its source has the name of the one that the links were learnt from (%s), but its inputs are others: "
            "all of them count",
            trace.path,
            trace.info.source,
        )
    return same


def _hashes(trace: Trace, models: Iterable[str], sequences: set[int]) -> dict[str, str]:
    outputs = [trace.outputs(name) for name in sorted(models)]
    found = {}
    for row, (sequence, jpeg) in enumerate(zip(trace.sequences, trace.payloads(), strict=True)):
        if int(sequence) in sequences:
            content = b"".join([jpeg, *(pack(values[row]) for values in outputs)])
            found[str(sequence)] = hashlib.blake2b(content, digest_size=8).hexdigest()
    return found
