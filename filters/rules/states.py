"""What outputs state, by a rule: the things that events are made of. NumPy only."""

from collections.abc import Sequence

import numpy as np

from ...outputs import Array, OutputSpec
from ...traces.events import presence
from .parser import Rule, Unchanged
from .predicates import Both, Count, Empty, Predicate


def states(rule: Rule, outputs: Sequence[Array | None], spec: OutputSpec) -> dict[str, Array]:
    """Per thing that the rule tells apart, which outputs state it: bool (inputs,).

    A rule that something is counted zero times tells its classes apart, `unchanged` all that the model knows. Any other
    rule has one thing, its text, which is stated by an output that is needed.

    Args:
        rule: what is redundant.
        outputs: a model's, or what stands in for them; None: the input was skipped, so nothing is stated.
        spec: of the model's outputs.
    """
    given = np.asarray([output is not None for output in outputs], bool)
    known = [spec.empty() if output is None else output for output in outputs]
    if isinstance(rule, Unchanged):
        found = presence(known, spec)
    else:
        absent = _absent(rule, spec)
        if absent is None:
            found = {rule.text: np.asarray([not rule.redundant(output, spec) for output in known], bool)}
        else:
            found = {}
            for count in absent:
                found |= _named(count, known, spec, found)
    return {what: there & given for what, there in found.items()}


def _absent(rule: Predicate, spec: OutputSpec) -> tuple[Count, ...] | None:
    """The counts of which a rule says that each is zero; None if it says anything else."""
    if isinstance(rule, Both):
        parts = [_absent(each, spec) for each in rule.rules]
        return None if None in parts else tuple(count for part in parts for count in part or ())
    if spec.kind not in ("boxes", "multilabel"):
        return None
    if isinstance(rule, Empty):
        return (Count((), "==", 0),)
    none = isinstance(rule, Count) and (rule.op, rule.number) in (("==", 0), ("<=", 0), ("<", 1))
    return (rule,) if none and isinstance(rule, Count) else None


def _named(count: Count, outputs: Sequence[Array], spec: OutputSpec, known: dict[str, Array]) -> dict[str, Array]:
    """Per class, which outputs have one, in the zone if there is one; classes of one name are one."""
    counts = np.stack([count.counts(output, spec) for output in outputs]) if len(outputs) else np.zeros((0, 1))
    found: dict[str, Array] = {}
    for column in count.columns(spec):
        name = spec.classes[column] if count.zone is None else f"{spec.classes[column]} in {count.zone.name}"
        there = counts[:, column] > 0 if len(outputs) else np.zeros(0, bool)
        found[name] = there | found.get(name, known.get(name, there))
    return found
